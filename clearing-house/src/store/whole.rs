//! Whether the file holds what was written to it, looked at before anybody relies on it; and a copy of it for the day on
//! which it does not.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension};

use super::{Store, StoreError};

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is something of that name.
    #[error("{} is there already: give a new name to each backup", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{} cannot be written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The books cannot be read, or the copy is not whole.
    #[error("the books cannot be copied")]
    Store(#[from] StoreError),
}

impl Store {
    /// Writes the books as they are at one moment to the new file `path`, looks at every page of the copy, and makes it
    /// durable. Others may read and write the books meanwhile.
    ///
    /// # Errors
    /// [`BackupError`]; no file of that name is left then.
    pub fn back_up(&self, path: &Path) -> Result<(), BackupError> {
        if path.exists() {
            return Err(BackupError::Exists { path: path.to_owned() });
        }
        let failed = |source| BackupError::File { path: path.to_owned(), source };
        let unfinished = path.with_added_extension("unfinished");
        // One that an earlier run did not finish is of no use.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        let copied = self.copy(&unfinished);
        if copied.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        copied?;
        let finish = || {
            File::open(&unfinished)?.sync_all()?;
            fs::rename(&unfinished, path)?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        };
        finish().map_err(failed)
    }

    fn copy(&self, to: &Path) -> Result<(), StoreError> {
        // A path as SQLite takes it, not as it may be shown.
        let name = to.to_str().ok_or_else(|| StoreError::Damaged(format!("{} is not UTF-8", to.display())))?;
        self.0.execute("VACUUM INTO ?1", [name])?;
        check(&Connection::open(to)?)
    }
}

/// Looks at every page, and for rows that name a row that is not there.
pub(super) fn check(connection: &Connection) -> Result<(), StoreError> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(StoreError::Pages(found.replace('\n', ": ")));
    }
    match dangling(connection)? {
        Some(table) => Err(StoreError::Damaged(format!("a row of `{table}` names a row that is not there"))),
        None => Ok(()),
    }
}

/// A table with a row whose foreign key names nothing.
pub(super) fn dangling(connection: &Connection) -> Result<Option<String>, rusqlite::Error> {
    connection.query_row("PRAGMA foreign_key_check", [], |row| row.get(0)).optional()
}

/// refinery panics at times and checksums of its own table that it cannot read, and takes a changed name or checksum for
/// another program's migration: ours never change once they are written.
pub(super) fn check_history(connection: &Connection) -> Result<(), StoreError> {
    let there = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'refinery_schema_history'";
    if !connection.prepare(there)?.exists([])? {
        return Ok(());
    }
    let mut statement =
        connection.prepare("SELECT version, name, applied_on, checksum FROM refinery_schema_history")?;
    let runner = super::migrations::migrations::runner();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (version, name): (i32, String) = (row.get(0)?, row.get(1)?);
        let (applied_on, checksum): (String, String) = (row.get(2)?, row.get(3)?);
        let is_plain = applied_on.bytes().all(|byte| byte.is_ascii_digit() || b"T:.Z-".contains(&byte));
        let is_time =
            applied_on.ends_with('Z') && !applied_on.contains(":60") && applied_on.parse::<Timestamp>().is_ok();
        let known = runner.get_migrations().iter().find(|known| i64::from(known.version()) == i64::from(version));
        let is_ours = checksum
            .parse::<u64>()
            .is_ok_and(|checksum| known.is_none_or(|known| known.checksum() == checksum && known.name() == name));
        if !is_plain || !is_time || !is_ours {
            return Err(StoreError::Damaged("`refinery_schema_history` holds what no program wrote".to_owned()));
        }
    }
    Ok(())
}

/// SQLite says that the file is damaged, or a column holds what no column of ours can.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error;
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || matches!(
            error,
            Error::FromSqlConversionFailure(..)
                | Error::IntegralValueOutOfRange(..)
                | Error::InvalidColumnType(..)
                | Error::Utf8Error(..)
        )
}
