//! AES-CMAC (NIST SP 800-38B) and the shortened form that DESFire EV2 sends.

use aes::Aes128Enc;
use cmac::{KeyInit, Mac};
use subtle::ConstantTimeEq;

use crate::key::Key;

/// AES-CMAC of a message.
#[must_use]
pub fn cmac(key: &Key, message: &[u8]) -> [u8; 16] {
    let mut mac = ScheduledMac::new(key);
    mac.update(message);
    mac.finish()
}

/// The 8 bytes of an AES-CMAC that DESFire EV2 sends: those at positions 1, 3, 5 … 15.
///
/// Source: NXP AN12343, secure messaging, "MACt".
#[must_use]
pub fn truncated_cmac(key: &Key, message: &[u8]) -> [u8; 8] {
    truncate(cmac(key, message))
}

/// A CMAC whose key is scheduled once and which then serves one message after the other.
pub(crate) struct ScheduledMac(cmac::Cmac<Aes128Enc>);

impl ScheduledMac {
    pub(crate) fn new(key: &Key) -> Self {
        Self(cmac::Cmac::new(key.expose_secret().into()))
    }

    pub(crate) fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// The whole MAC of what was given since the last one.
    pub(crate) fn finish(&mut self) -> [u8; 16] {
        self.0.finalize_reset().into_bytes().into()
    }

    /// The shortened MAC of what was given since the last one.
    pub(crate) fn finish_truncated(&mut self) -> [u8; 8] {
        truncate(self.finish())
    }
}

/// Whether two values are the same, in a time that does not depend on where they differ.
pub(crate) fn same(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

fn truncate(mac: [u8; 16]) -> [u8; 8] {
    std::array::from_fn(|i| mac[2 * i + 1])
}
