//! Shares on paper: numbered lines in groups of four, each with a check code of its own, so that a typing mistake is
//! named by its line.
//!
//! ```text
//! CHAM KEY SHARE 2 of 5 · any 3 restore the keys · set 5E1B0F7A · production · fingerprint 90AB12CD
//!  1  0538 63ST 1T0G 60M0  7Q2M
//!  2  …
//! ```
//!
//! The alphabet is Crockford's base 32: no I, L, O or U; small letters, `I` and `L` for 1 and `O` for 0 are understood.
//! The first line is the share's heading; the check code of every line covers the heading and the line's number, so a
//! line of another sheet, or two lines exchanged, are found too.

use std::fmt::Write as _;

use data_encoding::{Encoding, Specification};
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

use crate::plain::class_name;
use crate::share::{Heading, Share};

const LINE_BYTES: usize = 10;
const GROUP: usize = 4;
const CHECK_CHARACTERS: usize = 4;
/// How the line above the share begins; typing it in does no harm.
const TITLE: &str = "CHAM";

/// Why what was typed is not a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PaperError {
    /// A line does not begin with the number that belongs there.
    #[error("line {0} is missing, or does not begin with its number")]
    Number(usize),
    /// A line has too few characters or too many.
    #[error("line {line} has {found} characters where {expected} belong, not counting its number and spaces")]
    Length {
        /// The line.
        line: usize,
        /// Characters that belong there.
        expected: usize,
        /// Characters that are there.
        found: usize,
    },
    /// A character that the alphabet does not have.
    #[error("line {line} has a `{character}`: a share has the digits and the letters but U")]
    Character {
        /// The line.
        line: usize,
        /// The character.
        character: char,
    },
    /// The check code is not that of the line.
    #[error("line {0} is not as printed: its check code does not fit; compare it character by character")]
    Check(usize),
    /// The first line is as printed and makes no sense to this program.
    #[error("line 1 is not the heading of a share that this program knows")]
    Heading,
    /// More lines than the share has.
    #[error("the share ends with line {0}; there is more")]
    Excess(usize),
}

impl Share {
    /// The sheet to print. It must not reach a disk.
    #[must_use]
    pub fn to_paper(&self) -> Zeroizing<String> {
        let Heading { set, index, needed, total, class, .. } = self.heading;
        // Long enough for the longest share, so that it does not grow and leave copies behind.
        let mut sheet = Zeroizing::new(String::with_capacity(2048));
        let title = format!(
            "{TITLE} KEY SHARE {index} of {total} · any {needed} restore the keys · set {set} · {} · fingerprint {}\n",
            class_name(class),
            self.fingerprint()
        );
        sheet.push_str(&title);
        let alphabet = alphabet();
        let heading = self.heading.to_bytes();
        let lines = std::iter::once(&heading[..]).chain(self.values.chunks(LINE_BYTES));
        for (line, bytes) in (1..).zip(lines) {
            let characters = Zeroizing::new(alphabet.encode(bytes));
            // Writing to a string cannot fail.
            let _ = write!(sheet, "{line:>2} ");
            for group in characters.as_bytes().chunks(GROUP) {
                sheet.push(' ');
                sheet.extend(group.iter().copied().map(char::from));
            }
            sheet.push_str("  ");
            sheet.push_str(&check_code(&alphabet, &heading, line, bytes));
            sheet.push('\n');
        }
        sheet
    }

    /// Reads a share as typed from its sheet. Case, spaces and dashes do not matter; each line begins with its number.
    ///
    /// # Errors
    /// [`PaperError`] names the line.
    pub fn from_paper(text: &str) -> Result<Self, PaperError> {
        let mut lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.get(..TITLE.len()).is_some_and(|t| t.eq_ignore_ascii_case(TITLE)));
        let alphabet = alphabet();
        let first = read_line(&alphabet, lines.next(), None, 1, Heading::BYTES)?;
        let heading = <[u8; Heading::BYTES]>::try_from(first.as_slice()).map_err(|_| PaperError::Heading)?;
        let known = Heading::of_bytes(heading).ok_or(PaperError::Heading)?;

        let mut values = Zeroizing::new(Vec::with_capacity(known.value_bytes()));
        let mut line = 1;
        while values.len() < known.value_bytes() {
            line += 1;
            let bytes = LINE_BYTES.min(known.value_bytes() - values.len());
            values.extend_from_slice(&read_line(&alphabet, lines.next(), Some(&heading), line, bytes)?);
        }
        match lines.next() {
            Some(_) => Err(PaperError::Excess(line)),
            None => Ok(Self { heading: known, values }),
        }
    }
}

/// One line of `bytes` bytes; without a `heading` it is the heading itself.
fn read_line(
    alphabet: &Encoding,
    text: Option<&str>,
    heading: Option<&[u8; Heading::BYTES]>,
    line: usize,
    bytes: usize,
) -> Result<Zeroizing<Vec<u8>>, PaperError> {
    let (number, rest) = text.and_then(|text| text.split_once(char::is_whitespace)).ok_or(PaperError::Number(line))?;
    if number.trim_end_matches(['.', ':']).parse() != Ok(line) {
        return Err(PaperError::Number(line));
    }
    let mut characters = Zeroizing::new(String::with_capacity(rest.len()));
    for character in rest.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        if !character.is_ascii_alphanumeric() || character.eq_ignore_ascii_case(&'u') {
            return Err(PaperError::Character { line, character });
        }
        characters.push(character);
    }
    let expected = alphabet.encode_len(bytes) + CHECK_CHARACTERS;
    if characters.len() != expected {
        return Err(PaperError::Length { line, expected, found: characters.len() });
    }
    let (data, check) = characters.split_at(expected - CHECK_CHARACTERS);
    let data = Zeroizing::new(alphabet.decode(data.as_bytes()).map_err(|_| PaperError::Check(line))?);
    let own = Heading::BYTES;
    let heading = match heading {
        Some(heading) => heading,
        None => data.first_chunk::<{ Heading::BYTES }>().filter(|_| data.len() == own).ok_or(PaperError::Heading)?,
    };
    let right = check_code(alphabet, heading, line, &data);
    if canonical(check) == right { Ok(data) } else { Err(PaperError::Check(line)) }
}

/// 20 bits of SHA-256 over heading, line number and the line's bytes: one wrong line in a million passes.
fn check_code(alphabet: &Encoding, heading: &[u8; Heading::BYTES], line: usize, bytes: &[u8]) -> String {
    let line = u8::try_from(line).unwrap_or(u8::MAX);
    let message = Zeroizing::new([b"cham share line", &heading[..], &[line], bytes].concat());
    let mut code = alphabet.encode(&digest(&SHA256, &message).as_ref()[..3]);
    code.truncate(CHECK_CHARACTERS);
    code
}

fn canonical(typed: &str) -> String {
    let canonical = typed.chars().map(|character| match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    });
    canonical.collect()
}

fn alphabet() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    specification.translate.from.push_str("abcdefghjkmnpqrstvwxyzOoIiLl");
    specification.translate.to.push_str("ABCDEFGHJKMNPQRSTVWXYZ001111");
    specification.encoding().expect("Crockford's alphabet has 32 symbols")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_crockfords() {
        assert_eq!(alphabet().encode(&[0, 68, 50, 20, 199, 66, 84, 182, 53, 207]), "0123456789ABCDEF");
        assert_eq!(alphabet().decode(b"o1iLzO0q").unwrap(), alphabet().decode(b"0111Z00Q").unwrap());
    }
}
