//! Compiles the `.slint` files and embeds the fonts.

fn main() {
    let configuration = slint_build::CompilerConfiguration::new()
        .embed_resources(slint_build::EmbedResourcesKind::EmbedFiles)
        // The tests look elements up by name.
        .with_debug_info(true);
    if let Err(error) = slint_build::compile_with_config("ui/app_window.slint", configuration) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
