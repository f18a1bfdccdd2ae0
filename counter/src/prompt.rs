//! What a person is asked. Questions go to standard error, and a passphrase never comes from the command line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::path::Path;

use key_store::Passphrase;
use zeroize::Zeroizing;

/// How passphrases are asked for.
#[derive(Debug)]
pub struct Prompt {
    /// An open file descriptor with one passphrase a line, instead of a person.
    lines: Option<BufReader<File>>,
}

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum NoPassphrase {
    /// The terminal or the file descriptor cannot be read.
    #[error("no passphrase can be read; run this at a terminal, or hand one in with --passphrase-fd")]
    Unreadable(#[source] io::Error),
    /// The two were not the same.
    #[error("the two passphrases are not the same; start again")]
    NotTheSame,
    /// Too short.
    #[error(transparent)]
    TooShort(#[from] key_store::passphrase::TooShort),
}

/// The longest line that is taken for a passphrase.
const LINE_BYTES_MAX: u64 = 1024;

impl Prompt {
    /// Asks at the terminal, or reads from an open file descriptor.
    ///
    /// # Errors
    /// [`NoPassphrase::Unreadable`]: no such file descriptor is open.
    pub fn new(passphrase_fd: Option<i32>) -> Result<Self, NoPassphrase> {
        let open = |number: i32| File::open(format!("/dev/fd/{number}")).map(BufReader::new);
        let lines = passphrase_fd.map(open).transpose().map_err(NoPassphrase::Unreadable)?;
        Ok(Self { lines })
    }

    /// Reads from a file, one passphrase a line.
    ///
    /// # Errors
    /// [`NoPassphrase::Unreadable`].
    pub fn from_file(path: &Path) -> Result<Self, NoPassphrase> {
        let lines = File::open(path).map(BufReader::new).map_err(NoPassphrase::Unreadable)?;
        Ok(Self { lines: Some(lines) })
    }

    /// The passphrase of a file that is there.
    ///
    /// # Errors
    /// [`NoPassphrase`].
    pub fn passphrase(&mut self, question: &str) -> Result<Passphrase, NoPassphrase> {
        self.ask(question).map(Passphrase::typed)
    }

    /// A passphrase for a new file: asked for twice at a terminal.
    ///
    /// # Errors
    /// [`NoPassphrase`].
    pub fn new_passphrase(&mut self, question: &str) -> Result<Passphrase, NoPassphrase> {
        let first = self.ask(question)?;
        if self.lines.is_none() && *self.ask("The same again: ")? != *first {
            return Err(NoPassphrase::NotTheSame);
        }
        Ok(Passphrase::new(first)?)
    }

    fn ask(&mut self, question: &str) -> Result<Zeroizing<String>, NoPassphrase> {
        let Some(lines) = &mut self.lines else {
            return rpassword::prompt_password(question).map(Zeroizing::new).map_err(NoPassphrase::Unreadable);
        };
        // Long enough for every line that is taken, so that it does not grow and leave copies behind.
        let mut line = Zeroizing::new(String::with_capacity(2 * 1024));
        lines.take(LINE_BYTES_MAX).read_line(&mut line).map_err(NoPassphrase::Unreadable)?;
        Ok(line)
    }
}

/// The text of one paper share from standard input: up to an empty line or the end. `None` when there is nothing more.
///
/// # Errors
/// Standard input cannot be read.
pub fn share(input: &mut impl BufRead) -> io::Result<Option<Zeroizing<String>>> {
    let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
    loop {
        let mut line = Zeroizing::new(String::with_capacity(1024));
        let read = input.by_ref().take(LINE_BYTES_MAX).read_line(&mut line)?;
        let is_blank = line.trim().is_empty();
        if read == 0 || (is_blank && !text.is_empty()) {
            return Ok((!text.is_empty()).then_some(text));
        }
        if !is_blank {
            text.push_str(&line);
        }
    }
}

/// Whether a person types at standard input.
pub fn somebody_types() -> bool {
    io::stdin().is_terminal()
}

/// Tells the person at the desk what to do now.
pub fn tell(text: &str) {
    // Nothing is left to do where even standard error is gone.
    let _ = writeln!(io::stderr(), "{text}");
}
