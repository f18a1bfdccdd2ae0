//! Gives fontconfig our fonts and no others.
//!
//! Slint asks fontconfig for fonts even where they are embedded, and panics when it has none; and where it has others, a
//! missing glyph would look different on every machine. fontconfig reads `FONTCONFIG_FILE` from the environment, which a
//! running program cannot change safely, so the program unpacks its fonts and starts itself once more.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable that names fontconfig's configuration.
pub const VARIABLE: &str = "FONTCONFIG_FILE";

const FILES: [(&str, &[u8]); 3] = [
    ("NotoSans-Regular.ttf", include_bytes!("../fonts/NotoSans-Regular.ttf")),
    ("NotoSans-Bold.ttf", include_bytes!("../fonts/NotoSans-Bold.ttf")),
    ("fonts.conf", include_bytes!("../fonts/fonts.conf")),
];

/// Returns at once where [`VARIABLE`] is set; else replaces this process by itself, with the variable set to our fonts.
///
/// # Errors
/// The fonts could not be unpacked or the program could not be started again. The caller may set the variable to
/// `ui/fonts/fonts.conf` itself.
pub fn provide() -> io::Result<()> {
    if env::var_os(VARIABLE).is_some() {
        return Ok(());
    }
    let directory = private_directory(|name| env::var_os(name)).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, "none of CACHE_DIRECTORY, XDG_CACHE_HOME and HOME names a directory")
    })?;
    let configuration = unpack(&directory)?;
    Err(Command::new(env::current_exe()?).args(env::args_os().skip(1)).env(VARIABLE, configuration).exec())
}

/// Writes the fonts into `directory`, made if needed, and returns the path of their `fonts.conf`.
///
/// # Errors
/// The directory or a file cannot be written.
pub fn unpack(directory: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(directory)?;
    for (name, bytes) in FILES {
        let path = directory.join(name);
        if fs::read(&path).is_ok_and(|found| found == bytes) {
            continue;
        }
        // Two screens may start at once: never show fontconfig half a file.
        let unfinished = directory.join(format!("{name}.{}", std::process::id()));
        fs::write(&unfinished, bytes)?;
        fs::rename(&unfinished, &path)?;
    }
    Ok(directory.join("fonts.conf"))
}

/// A directory that only this user writes; never a shared one, where another could put a font for us to parse.
fn private_directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache =
        set("CACHE_DIRECTORY").or_else(|| set("XDG_CACHE_HOME")).or_else(|| Some(set("HOME")?.join(".cache")))?;
    Some(cache.join("cham-ui"))
}
