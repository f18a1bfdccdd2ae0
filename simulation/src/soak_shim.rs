//! The preloaded library that makes a chosen call to the file system fail: `shim/failing_calls.c`.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Failed;

/// The compiled library.
#[derive(Debug, Clone)]
pub struct Shim(PathBuf);

/// A call that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailingCall {
    /// Which, from 1.
    pub nth: u32,
    /// In which way.
    pub how: How,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// A sector cannot be written: this call alone.
    InputOutput,
    /// The disk is full from here on.
    Full,
    /// The disk is read-only from here on.
    ReadOnly,
    /// SIGKILL before the call.
    Kill,
}

impl How {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::InputOutput, Self::Full, Self::ReadOnly, Self::Kill];
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InputOutput => "EIO",
            Self::Full => "ENOSPC",
            Self::ReadOnly => "EROFS",
            Self::Kill => "KILL",
        })
    }
}

impl fmt::Display for FailingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at call {}", self.how, self.nth)
    }
}

/// The call that failed, as the library tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Such as `fsync`.
    pub function: String,
    /// The file.
    pub path: String,
}

impl Shim {
    /// Compiles the library into `folder`.
    ///
    /// # Errors
    /// There is no C compiler, or it refuses.
    pub fn build(folder: &Path) -> Result<Self, Failed> {
        compile("failing_calls", include_str!("../shim/failing_calls.c"), folder).map(Self)
    }

    /// Makes a call of `command` to files below `folder` fail.
    pub fn preload(&self, command: &mut Command, folder: &Path, call: FailingCall) {
        command
            .env("LD_PRELOAD", &self.0)
            .env("FAILING_CALLS_FOLDER", folder)
            .env("FAILING_CALLS_NTH", call.nth.to_string())
            .env("FAILING_CALLS_HOW", call.how.to_string());
    }

    /// As [`Shim::preload`], but calls are counted only from the moment when there is a file `armed`.
    pub fn preload_unarmed(&self, command: &mut Command, folder: &Path, call: FailingCall, armed: &Path) {
        self.preload(command, folder, call);
        command.env("FAILING_CALLS_ARMED", armed);
    }
}

/// Compiles the library that lets pcscd look for virtual cards every 5 ms instead of 400 ms: real readers tell by
/// themselves.
///
/// # Errors
/// There is no C compiler, or it refuses.
pub fn build_poll_shim(folder: &Path) -> Result<PathBuf, Failed> {
    compile("poll_shim", include_str!("../../benches/poll-shim/nanosleep.c"), folder)
}

/// Compiles a library to preload.
pub(crate) fn compile(name: &str, source: &str, folder: &Path) -> Result<PathBuf, Failed> {
    let doing = || format!("compiling {name} with cc (Debian package build-essential)");
    let library = folder.join(name).with_extension("so");
    let mut compiler = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-x", "c", "-", "-o"])
        .arg(&library)
        .arg("-ldl")
        .stdin(Stdio::piped())
        .spawn()
        .map_err(Failed::system(doing()))?;
    if let Some(mut input) = compiler.stdin.take() {
        input.write_all(source.as_bytes()).map_err(Failed::system(doing()))?;
    }
    if !compiler.wait().map_err(Failed::system(doing()))?.success() {
        return Err(Failed::Unexpected(format!("{}: it refuses", doing())));
    }
    Ok(library)
}

impl Reached {
    /// Reads what the library wrote on a program's standard error, where it got so far.
    #[must_use]
    pub fn find(standard_error: &str) -> Option<Self> {
        let told = standard_error.lines().find_map(|line| line.strip_prefix("failing_calls: call "))?;
        let (function, rest) = told.split_once(", ")?.1.split_once(" of ")?;
        let (path, _) = rest.rsplit_once(": ")?;
        Some(Self { function: function.to_owned(), path: path.to_owned() })
    }

    /// The call makes a commit of SQLite durable.
    #[must_use]
    pub fn is_commit(&self) -> bool {
        self.function.ends_with("sync") && self.path.ends_with("-wal")
    }
}
