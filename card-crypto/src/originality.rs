//! Whether NXP made the chip: its signature over the UID.
//!
//! ECDSA on secp224r1, with the seven UID bytes themselves in the place of the hash. It says that NXP made **a** chip with
//! this UID. It is static, anybody can read it, and a clone that shows the same UID can show it too: take the UID from
//! [`get_card_uid`](crate::Card::get_card_uid) under a key that only this card holds, and treat the signature as what
//! keeps blank chips of other makers out of the issuing desk.
//!
//! ```
//! use card_crypto::originality::{OriginalityKey, is_genuine};
//!
//! /// Would this desk issue a card on this chip?
//! fn issuable(uid: &[u8; 7], signature: &[u8; 56]) -> bool {
//!     is_genuine(uid, signature, &OriginalityKey::nxp_desfire())
//! }
//! assert!(!issuable(&[0x04; 7], &[0x5A; 56]));
//! ```
//!
//! Sources: NXP AN12343, table 44, and AN12196, section 6 and table 30, for the check and two of the keys; the other keys
//! from proxmark3 (`client/src/mifare/originality.c` and `tools/recover_pk.py`), recovered from and verified against
//! signatures of real chips, which are among this crate's known answers.

use p224::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier};

/// The public half of a key that signs UIDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginalityKey(VerifyingKey);

/// These bytes are no point of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an originality key is an uncompressed point of secp224r1: 04 and two coordinates of 28 bytes")]
pub struct InvalidOriginalityKey;

/// NXP's keys for the DESFire family, uncompressed points.
const NXP_DESFIRE: [[u8; 57]; 6] = [
    // DESFire Light: NXP AN12343, table 44.
    bytes(b"040E98E117AAA36457F43173DC920A8757267F44CE4EC5ADD3C54075571AEBBF7B942A9774A1D94AD02572427E5AE0A2DD36591B1FB34FCF3D"),
    // DESFire EV2, NTAG 424: NXP AN12196, section 6.
    bytes(b"048A9B380AF2EE1B98DC417FECC263F8449C7625CECE82D9B916C992DA209D68422B81EC20B65A66B5102A61596AF3379200599316A00A1410"),
    // DESFire EV1, NTAG 413: proxmark3, as the rest.
    bytes(b"04BB5D514F7050025C7D0F397310360EEC91EAF792E96FC7E0F496CB4E669D414F877B7B27901FE67C2E3B33CD39D1C797715189AC951C2ADD"),
    // DESFire EV2.
    bytes(b"04B304DC4C615F5326FE9383DDEC9AA892DF3A57FA7FFB3276192BC0EAA252ED45A865E3B093A3D0DCE5BE29E92F1392CE7DE321E3E5C52B3A"),
    // DESFire EV2 XL.
    bytes(b"04CD5D45E50B1502F0BA4656FF37669597E7E183251150F9574CC8DA56BF01C7ABE019E29FEA48F9CE22C3EA4029A765E1BC95A89543BAD1BC"),
    // DESFire EV3.
    bytes(b"041DB46C145D0A36539C6544BD6D9B0AA62FF91EC48CBC6ABAE36E0089A46F0D08C8A715EA40A63313B92E90DDC1730230E0458A33276FB743"),
];

impl OriginalityKey {
    /// A key of one's own, such as that of test cards: never one that production accepts.
    ///
    /// # Errors
    /// [`InvalidOriginalityKey`] when the bytes are no point of the curve.
    pub fn new(uncompressed: &[u8; 57]) -> Result<Self, InvalidOriginalityKey> {
        VerifyingKey::from_sec1_bytes(uncompressed).map(Self).map_err(|_| InvalidOriginalityKey)
    }

    /// NXP's keys for the DESFire family.
    #[must_use]
    pub fn nxp_desfire() -> Vec<Self> {
        NXP_DESFIRE.iter().filter_map(|point| Self::new(point).ok()).collect()
    }
}

/// Whether one of these keys signed this UID.
///
/// `uid` is the real UID, as transmitted; `signature` is r ‖ s as [`read_signature`](crate::Card::read_signature) returns
/// it.
#[must_use]
pub fn is_genuine(uid: &[u8; 7], signature: &[u8; 56], keys: &[OriginalityKey]) -> bool {
    let Ok(signature) = Signature::from_slice(signature) else {
        return false;
    };
    let mut hash = [0; 28];
    hash[21..].copy_from_slice(uid);
    keys.iter().any(|OriginalityKey(key)| key.verify_prehash(&hash, &signature).is_ok())
}

/// The bytes that these hexadecimal digits, all of them upper case, spell.
const fn bytes(digits: &[u8; 114]) -> [u8; 57] {
    let mut bytes = [0; 57];
    let mut i = 0;
    while i < digits.len() {
        let digit = if digits[i] > b'9' { digits[i] - b'A' + 10 } else { digits[i] - b'0' };
        bytes[i / 2] = bytes[i / 2] << 4 | digit;
        i += 1;
    }
    bytes
}
