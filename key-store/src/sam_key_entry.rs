//! How a key entry of a SAM is set up. Sources: `phKeyStore_SamAV3_Int.h` and `.c` of NXP's Reader Library.

use crate::key_set::LIVE_VERSIONS;
use crate::role::KeyRole;

/// What SAM_GetKeyEntry tells about an entry.
pub(crate) struct KeyEntry {
    versions: [u8; 3],
    /// The counter that limits its use, if one does.
    pub(crate) usage_counter: Option<u8>,
    set: [u8; 2],
    extended_set: u8,
}

impl KeyEntry {
    pub(crate) fn of_bytes(bytes: &[u8]) -> Result<Self, &'static str> {
        const NO_COUNTER: u8 = 0xFF;
        let &[a, b, c, _, _, _, _, _, _, counter, set0, set1, extended, ..] = bytes else {
            return Err("it has not the three versions of an AES-128 entry");
        };
        let usage_counter = (counter != NO_COUNTER).then_some(counter);
        Ok(Self { versions: [a, b, c], usage_counter, set: [set0, set1], extended_set: extended })
    }

    /// The versions that count: 1 to 255, the two newest, newest first. An empty place of an entry has version 0.
    pub(crate) fn versions(&self) -> Vec<u8> {
        let mut versions: Vec<u8> = self.versions.into_iter().filter(|&version| version != 0).collect();
        versions.sort_unstable_by(|one, other| other.cmp(one));
        versions.dedup();
        versions.truncate(LIVE_VERSIONS);
        versions
    }

    /// Whether it may hold the key of `role`; else what is wrong.
    pub(crate) fn check(&self, role: KeyRole) -> Result<(), &'static str> {
        const KEY_TYPE: u8 = 0x78;
        const AES_128: u8 = 0x04 << 3;
        const ALLOW_DUMP_SESSION_KEY: u8 = 0x01;
        const KEEP_IV: u8 = 0x04;
        const DISABLE_KEY_ENTRY: u8 = 0x02;
        const KEY_CLASS: u8 = 0x07;
        const CLASS_PICC: u8 = 0x01;
        const CLASS_OFFLINE_CRYPTO: u8 = 0x04;
        const ALLOW_DUMP_SECRET_KEY: u8 = 0x08;
        const MANDATORY_DIVERSIFICATION: u8 = 0x10;

        let set = |bit: u8| self.set[0] & bit != 0;
        let extended = |bit: u8| self.extended_set & bit != 0;
        let class = self.extended_set & KEY_CLASS;
        let is_token = role == KeyRole::Token;
        let rules = [
            (self.set[0] & KEY_TYPE != AES_128, "it holds no AES-128 key"),
            (self.set[1] & DISABLE_KEY_ENTRY != 0, "it is disabled"),
            (self.versions().is_empty(), "it has no key: versions are 1 to 255"),
            (set(KEEP_IV), "\"keep IV\" is on and must be off"),
            (is_token && class != CLASS_OFFLINE_CRYPTO, "its class is not OfflineCrypto"),
            (is_token && extended(ALLOW_DUMP_SECRET_KEY), "\"allow dump secret key\" is on: the key could be read"),
            (!is_token && class != CLASS_PICC, "its class is not PICC"),
            (!is_token && !set(ALLOW_DUMP_SESSION_KEY), "\"allow dump session key\" is off and must be on"),
            (
                !is_token && !extended(MANDATORY_DIVERSIFICATION),
                "\"mandatory key diversification\" is off: the master key itself could be used, or read",
            ),
        ];
        rules.into_iter().find(|(broken, _)| *broken).map_or(Ok(()), |(_, problem)| Err(problem))
    }
}
