//! What every state looks like, against pictures that were looked at.

use std::fs;
use std::path::Path;

use slint::{Rgba8Pixel, SharedPixelBuffer};
use ui::screenshots::write_png;

use crate::cases;
use crate::panel::{Panel, read_png};

/// Largest difference of a colour channel that is still the same picture: rounding of another processor.
const TOLERANCE: u8 = 2;

#[test]
fn golden_pictures_800x480() {
    compare_all((800, 480));
}

#[test]
fn golden_pictures_1280x800() {
    compare_all((1280, 800));
}

fn compare_all(size: (u32, u32)) {
    let panel = Panel::new(size);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let actual = Path::new(env!("CARGO_TARGET_TMPDIR")).join("golden");
    fs::create_dir_all(&actual).unwrap();
    let accept = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for (name, view) in cases::all() {
        // The other profiles differ in words only.
        if name.starts_with("accepted-concession-") && !name.ends_with("sixty-plus") {
            continue;
        }
        let file = format!("{name}-{}x{}.png", size.0, size.1);
        let picture = panel.show(&view);
        let difference = difference(read_png(&golden.join(&file)), &picture);
        if let Some(difference) = difference {
            if accept {
                write_png(&golden.join(&file), &picture).unwrap();
            } else {
                write_png(&actual.join(&file), &picture).unwrap();
                wrong.push(format!("{file}: {difference}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nThe pictures as they are now: {}\nIf they are as they should be: UPDATE_GOLDEN=1 cargo test -p ui",
        wrong.join("\n"),
        actual.display()
    );
}

fn difference(golden: Option<SharedPixelBuffer<Rgba8Pixel>>, actual: &SharedPixelBuffer<Rgba8Pixel>) -> Option<String> {
    let Some(golden) = golden else {
        return Some("there is no such picture".to_owned());
    };
    if golden.size() != actual.size() {
        return Some(format!("{:?} instead of {:?}", actual.size(), golden.size()));
    }
    let pixels = golden.as_bytes().chunks(4).zip(actual.as_bytes().chunks(4));
    let differ = pixels.filter(|(a, b)| a.iter().zip(*b).any(|(a, b)| a.abs_diff(*b) > TOLERANCE)).count();
    (differ > 0).then(|| format!("{differ} pixels differ"))
}
