//! A table of origins and destinations, for the island railway of `fixtures/lagoon`.
#![no_main]

use std::fs;
use std::path::Path;

use clearing_house::od_table::{OdImport, OdOptions};
use libfuzzer_sys::fuzz_target;
use tempfile::NamedTempFile;
use transit::id::LineNumber;
use transit::tariff::Tariff;

fuzz_target!(|bytes: &[u8]| {
    let Ok(table) = NamedTempFile::new() else { return };
    if fs::write(table.path(), bytes).is_err() {
        return;
    }
    let options = OdOptions {
        tariff: Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/lagoon/tariff.toml"),
        lines: vec![LineNumber(5)],
        name: "railway".to_owned(),
        profiles: Vec::new(),
    };
    if let Ok(import) = OdImport::of(table.path(), &options) {
        let parsed = Tariff::parse(Path::new("tariff.toml"), &import.tariff);
        assert_eq!(parsed.is_err(), import.refused.is_some());
    }
});
