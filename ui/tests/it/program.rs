//! The program as it is started: arguments, and fonts where the environment names none.

use std::fs;
use std::process::Command;

use slint::{Rgba8Pixel, SharedPixelBuffer};
use ui::screenshots::Screenshots;

use crate::panel::read_png;

#[test]
fn help_names_every_argument() {
    let output = Command::new(env!("CARGO_BIN_EXE_ui")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for argument in ["--socket", "--width", "--height", "--fullscreen", "--screenshots"] {
        assert!(help.contains(argument), "{argument} is missing in:\n{help}");
    }
}

/// With no fonts named it unpacks its own and starts itself again; only then does it find that there is no display.
#[test]
fn brings_its_own_fonts() {
    let cache = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ui"))
        .args(["--socket", "nobody"])
        .env_clear()
        .env("XDG_CACHE_HOME", cache.path())
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.starts_with("ui: "), "it says what is missing, and does not panic: {error}");
    assert!(cache.path().join("cham-ui/fonts.conf").is_file());
}

#[test]
fn pictures_are_counted_and_whole() {
    let directory = tempfile::tempdir().unwrap();
    let mut screenshots = Screenshots::new(&directory.path().join("pictures")).unwrap();
    let mut picture = SharedPixelBuffer::<Rgba8Pixel>::new(3, 2);
    picture.make_mut_slice()[4] = Rgba8Pixel::new(1, 2, 3, 255);
    let first = screenshots.write("idle", &picture).unwrap();
    let second = screenshots.write("declined-not-enough", &picture).unwrap();
    assert!(first.ends_with("01-idle.png") && second.ends_with("02-declined-not-enough.png"));
    assert_eq!(read_png(&second).unwrap().as_slice(), picture.as_slice());
    assert_eq!(fs::read_dir(directory.path().join("pictures")).unwrap().count(), 2, "nothing unfinished is left");
}
