//! A tariff file.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use transit::tariff::Tariff;

fuzz_target!(|text: &str| {
    let _ = Tariff::parse(Path::new("tariff.toml"), text);
});
