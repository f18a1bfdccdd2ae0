//! Which start of the machine this is.
//!
//! What a process has written is kept when it dies: the kernel holds it. Only the machine's own end, a lost power before
//! all, takes what no fsync has covered. The two are told apart by the boot.

use std::fmt;
use std::str::FromStr;

/// One start of a machine, as its kernel names it (Linux: `/proc/sys/kernel/random/boot_id`, random(4)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootId(pub [u8; 16]);

/// Not the name of a boot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a boot id is 32 hexadecimal digits, with or without hyphens, not `{0}`")]
pub struct NoBootId(String);

impl FromStr for BootId {
    type Err = NoBootId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 16];
        let digits = text.trim().replace('-', "");
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| NoBootId(text.to_owned()))?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}
