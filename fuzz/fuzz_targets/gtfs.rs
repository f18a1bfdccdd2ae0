//! The files of a GTFS feed, each behind a line `== NAME`: the tariff that is made of them is one, or is said to be none.
#![no_main]

use std::fs;
use std::path::Path;

use clearing_house::gtfs::{GtfsImport, ImportOptions};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use transit::tariff::Tariff;

fuzz_target!(|bytes: &[u8]| {
    let Ok(folder) = TempDir::new() else { return };
    let mut file: Option<(String, Vec<&[u8]>)> = None;
    let close = |file: Option<(String, Vec<&[u8]>)>| {
        let Some((name, lines)) = file else { return };
        // What a disk does not take is no finding.
        let _ = fs::write(folder.path().join(name), lines.join(&b'\n'));
    };
    for line in bytes.split(|byte| *byte == b'\n') {
        match line.strip_prefix(b"== ").map(std::str::from_utf8) {
            Some(Ok(name)) if is_file_name(name) => close(file.replace((name.to_owned(), Vec::new()))),
            _ => file.iter_mut().for_each(|(_, lines)| lines.push(line)),
        }
    }
    close(file);
    if let Ok(import) = GtfsImport::of(folder.path(), &ImportOptions::default(), |_| {}, &|_| {}) {
        let parsed = Tariff::parse(Path::new("tariff.toml"), &import.tariff);
        assert_eq!(parsed.err().map(|error| error.message), import.refused);
    }
});

/// Nothing outside the folder is written.
fn is_file_name(name: &str) -> bool {
    name.strip_suffix(".txt")
        .is_some_and(|stem| !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
}
