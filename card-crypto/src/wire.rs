//! How numbers travel: little-endian, offsets and lengths in three bytes.

use crate::{
    error::{Misbehaviour, Misuse, OutOfRange},
    file::FileNumber,
};

/// The most that three bytes carry.
pub(crate) const THREE_BYTES_MAX: u32 = 0xFF_FFFF;

/// A number as its three bytes on the wire.
#[inline]
pub(crate) fn three_bytes(what: &'static str, number: u32) -> Result<[u8; 3], OutOfRange> {
    let [low, middle, high, _] = within(what, number, 0, THREE_BYTES_MAX)?.to_le_bytes();
    Ok([low, middle, high])
}

/// The header of a command on a stretch of a file: its number and two three-byte numbers.
#[inline]
pub(crate) fn file_header(file: FileNumber, first: [u8; 3], second: [u8; 3]) -> [u8; 7] {
    let ([a, b, c], [d, e, f]) = (first, second);
    [file.get(), a, b, c, d, e, f]
}

/// The header of a command that writes this data into a file from this offset.
#[inline]
pub(crate) fn write_header(file: FileNumber, offset: u32, data: &[u8]) -> Result<[u8; 7], Misuse> {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    within("length", length, 1, THREE_BYTES_MAX)?;
    Ok(file_header(file, three_bytes("offset", offset)?, three_bytes("length", length)?))
}

/// An amount as its four bytes on the wire: signed on the card, and it must not be negative.
#[inline]
pub(crate) fn amount_bytes(amount: u32) -> Result<[u8; 4], Misuse> {
    Ok(within("amount", amount, 0, i32::MAX.unsigned_abs())?.to_le_bytes())
}

/// The number, where it is in range.
#[inline]
pub(crate) fn within(what: &'static str, number: u32, least: u32, most: u32) -> Result<u32, OutOfRange> {
    if (least..=most).contains(&number) { Ok(number) } else { Err(OutOfRange { what, least, most }) }
}

/// An answer that has exactly `N` bytes.
pub(crate) fn exactly<const N: usize>(answer: &[u8]) -> Result<[u8; N], Misbehaviour> {
    answer.try_into().map_err(|_| Misbehaviour::WrongLength { expected: N, actual: answer.len() })
}
