//! `figures.json`: what the project's commands measure, each its own.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Map, Value};

use crate::Failed;

/// Writes `own` into `figures.json` in `folder`, which is made; figures of others that are there stay.
///
/// # Errors
/// The file cannot be read or written, or holds something else than figures.
pub fn merge<Name: Into<String>>(folder: &Path, own: impl IntoIterator<Item = (Name, Value)>) -> Result<(), Failed> {
    let path = folder.join("figures.json");
    let doing = || format!("merging figures into {}", path.display());
    fs::create_dir_all(folder).map_err(Failed::system(doing()))?;
    let mut figures: Map<String, Value> = match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| Failed::system(doing())(error.into()))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Map::new(),
        Err(error) => return Err(Failed::system(doing())(error)),
    };
    figures.extend(own.into_iter().map(|(name, value)| (name.into(), value)));
    let text = serde_json::to_string_pretty(&figures).map_err(|error| Failed::system(doing())(error.into()))?;
    // Whoever reads meanwhile finds the old figures or the new ones.
    let next = path.with_extension("json.next");
    fs::write(&next, text + "\n").and_then(|()| fs::rename(&next, &path)).map_err(Failed::system(doing()))
}
