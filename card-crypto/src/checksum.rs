//! The checksum of enciphered messages and of new keys.

use crc::{CRC_32_JAMCRC, Crc, Table};

const CRC32: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_JAMCRC);

/// CRC-32 as DESFire sends it: the IEEE polynomial, started with all ones, **without** the final inversion (the CRC
/// catalogue's CRC-32/JAMCRC), least significant byte first; of the parts one after the other.
///
/// Sources: NXP AN0945, ChangeKey; NXP AN12196, section 5.16.1.
#[must_use]
pub fn crc32(parts: &[&[u8]]) -> [u8; 4] {
    let mut digest = CRC32.digest();
    for part in parts {
        digest.update(part);
    }
    digest.finalize().to_le_bytes()
}
