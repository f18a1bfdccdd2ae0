//! How every program refuses a configuration file: with its path, the line, what is wrong and what would be right; and
//! which class of keys it may load.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Parses a TOML file's `text`. Unknown keys are refused where the type says `deny_unknown_fields`.
///
/// # Errors
/// [`ConfigError`] with `path` and the line.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        ConfigError { path: path.to_owned(), line: Some(line), message: error.message().to_owned() }
    })
}

/// A file that a program refuses to start with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {message}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct ConfigError {
    /// The file, as it was named.
    pub path: PathBuf,
    /// The line, counted from 1, where one is to blame.
    pub line: Option<usize>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl ConfigError {
    /// An error of the whole file, such as that it is missing.
    pub fn whole_file(path: &Path, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, message: message.into() }
    }
}

/// Whether keys are for trying things out, or guard money. A key file says its class, the configuration says which class
/// may load, and a program refuses to start where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeysClass {
    /// Published; for virtual cards and test cards.
    Test,
    /// Secret; for cards that hold money.
    Production,
}
