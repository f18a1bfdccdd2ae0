//! A key set split into shares, any few of which restore it (Shamir's secret sharing over GF(2⁸), crate `blahaj`).
//!
//! `blahaj` is the maintained fork of `sharks` after Cure53's audit found its coefficients biased (RUSTSEC-2024-0398).
//! Its field arithmetic looks up tables, so its time can depend on the keys: hold a ceremony on a machine where nothing
//! else runs.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;

use blahaj::Sharks;
use card_crypto::Key;
use rand_core::{TryCryptoRng, TryRng};
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;
use transit::config::KeysClass;
use zeroize::Zeroizing;

use crate::key_set::{KeySet, Random};
use crate::role::KeyRole;
use crate::sealed::class_code;

const KEY_BYTES: usize = 16;
/// Role, version, key.
const ENTRY_BYTES: usize = 2 + KEY_BYTES;
/// What tells the right keys from any others when shares are combined.
const DIGEST_BYTES: usize = 8;

/// The most shares that a set is split into: paper for a committee, not for a crowd.
pub const MOST_SHARES: u8 = 16;

/// One share of a key set. Wiped when dropped, never printed but on purpose, by
/// [`to_paper`](Share::to_paper).
pub struct Share {
    pub(crate) heading: Heading,
    pub(crate) values: Zeroizing<Vec<u8>>,
}

/// What a share says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heading {
    /// Names the splitting. Shares of different splittings do not mix, not even of the same keys.
    pub set: SetId,
    /// Which share it is, from 1.
    pub index: u8,
    /// How many restore the keys.
    pub needed: u8,
    /// How many there are.
    pub total: u8,
    /// The class of the keys.
    pub class: KeysClass,
    /// How many keys are shared.
    pub keys: u8,
}

/// The name of one splitting: 4 random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetId(pub [u8; 4]);

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(self.0))
    }
}

/// Why a set is not split, or shares do not restore one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// So many shares of so many are not made.
    #[error("{needed} of {total} shares: at least 2 restore the keys, and at most {MOST_SHARES} are made")]
    Threshold {
        /// Shares that would restore the keys.
        needed: u8,
        /// Shares that would be made.
        total: u8,
    },
    /// A share of another splitting is among them.
    #[error("share {index} is of set {found}, the others are of set {expected}: it belongs to another ceremony")]
    Foreign {
        /// The share.
        index: u8,
        /// Its set.
        found: SetId,
        /// The set of the others.
        expected: SetId,
    },
    /// Two say that they are the same share.
    #[error("share {0} is there twice")]
    Twice(u8),
    /// Too few.
    #[error(
        "{needed} shares restore the keys; here: {}; {} more needed, of: {}",
        listed(present),
        usize::from(*needed).saturating_sub(present.len()),
        listed(absent)
    )]
    Missing {
        /// How many restore the keys.
        needed: u8,
        /// The shares that are here.
        present: Vec<u8>,
        /// The shares that are not.
        absent: Vec<u8>,
    },
    /// Without this share the others agree.
    #[error("share {0} is not what was printed; the others restore the keys without it")]
    Wrong(u8),
    /// They do not agree, and they are too few to tell which one is wrong.
    #[error(
        "of the shares {} one is not what was printed: compare their fingerprints with the protocol of the ceremony, or \
         add another share",
        listed(.0)
    )]
    OneWrong(Vec<u8>),
}

fn listed(indices: &[u8]) -> String {
    let numbers: Vec<String> = indices.iter().map(u8::to_string).collect();
    if numbers.is_empty() { "none".to_owned() } else { numbers.join(", ") }
}

impl Share {
    /// What it says of itself.
    #[must_use]
    pub fn heading(&self) -> Heading {
        self.heading
    }

    /// Eight digits that tell whether a share is still what was printed; they belong in the protocol of the ceremony,
    /// and they tell nothing about the keys.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let whole = Zeroizing::new([&self.heading.to_bytes()[..], &self.values].concat());
        hex::encode_upper(&digest(&SHA256, &whole).as_ref()[..4])
    }
}

impl Heading {
    pub(crate) const BYTES: usize = 10;
    const FORMAT: u8 = 1;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let [a, b, c, d] = self.set.0;
        let class = class_code(self.class);
        [Self::FORMAT, a, b, c, d, self.index, self.needed, self.total, class, self.keys]
    }

    pub(crate) fn of_bytes(bytes: [u8; Self::BYTES]) -> Option<Self> {
        let [format, a, b, c, d, index, needed, total, class, keys] = bytes;
        let class = [KeysClass::Test, KeysClass::Production].into_iter().find(|&known| class_code(known) == class)?;
        // Share 0 would be the keys themselves.
        let sane = format == Self::FORMAT && possible(needed, total) && (1..=total).contains(&index);
        sane.then_some(Self { set: SetId([a, b, c, d]), index, needed, total, class, keys })
    }

    /// How many bytes of this share follow its heading.
    pub(crate) fn value_bytes(self) -> usize {
        usize::from(self.keys) * ENTRY_BYTES + DIGEST_BYTES
    }

    /// Everything but the index.
    fn of_all(self) -> [u8; Self::BYTES] {
        Self { index: 0, ..self }.to_bytes()
    }
}

const fn possible(needed: u8, total: u8) -> bool {
    2 <= needed && needed <= total && total <= MOST_SHARES
}

/// Splits a set into `total` shares, any `needed` of which restore it; fewer tell nothing about it. A signing seed is
/// not shared.
///
/// # Errors
/// [`ShareError::Threshold`].
pub fn split(set: &KeySet, needed: u8, total: u8, random: Random<'_>) -> Result<Vec<Share>, ShareError> {
    if !possible(needed, total) {
        return Err(ShareError::Threshold { needed, total });
    }
    let mut name = [0; 4];
    random(&mut name);
    let heading = Heading { set: SetId(name), index: 0, needed, total, class: set.class(), keys: key_count(set) };

    let mut secret = Zeroizing::new(Vec::with_capacity(heading.value_bytes()));
    for key in set.keys() {
        secret.extend_from_slice(&[key.role.code(), key.version]);
        secret.extend_from_slice(key.key.expose_secret());
    }
    let check = digest_of(heading, &secret);
    secret.extend_from_slice(&check);

    let shares = Sharks(needed).dealer_rng(&secret, &mut FromCaller(random)).take(usize::from(total));
    let shares = shares.zip(1..).map(|(share, index)| {
        let bytes = Zeroizing::new(Vec::from(&share));
        Share { heading: Heading { index, ..heading }, values: Zeroizing::new(bytes[1..].to_vec()) }
    });
    Ok(shares.collect())
}

fn key_count(set: &KeySet) -> u8 {
    u8::try_from(set.keys().len()).expect("a set has at most 14 keys")
}

/// Restores a set from shares.
///
/// # Errors
/// [`ShareError`] names the share that is foreign, twice there or wrong, or those of which some are missing.
pub fn combine(shares: &[Share]) -> Result<KeySet, ShareError> {
    let Some(first) = shares.first() else {
        return Err(ShareError::Missing { needed: 2, present: Vec::new(), absent: Vec::new() });
    };
    let of_set = |heading: Heading| shares.iter().filter(|share| share.heading.of_all() == heading.of_all()).count();
    let common = shares.iter().map(|share| share.heading).max_by_key(|&heading| of_set(heading));
    let common = common.unwrap_or(first.heading);
    if let Some(foreign) = shares.iter().find(|share| share.heading.of_all() != common.of_all()) {
        let Heading { index, set: found, .. } = foreign.heading;
        return Err(ShareError::Foreign { index, found, expected: common.set });
    }
    let mut present = BTreeSet::new();
    if let Some(twice) = shares.iter().find(|share| !present.insert(share.heading.index)) {
        return Err(ShareError::Twice(twice.heading.index));
    }
    if shares.len() < usize::from(common.needed) {
        let absent = (1..=common.total).filter(|index| !present.contains(index)).collect();
        return Err(ShareError::Missing { needed: common.needed, present: present.into_iter().collect(), absent });
    }
    if let Some(set) = restored(common, shares.iter()) {
        return Ok(set);
    }
    if shares.len() > usize::from(common.needed) {
        let agree_without =
            |left_out: &&Share| restored(common, shares.iter().filter(|share| share != left_out)).is_some();
        if let Some(wrong) = shares.iter().find(agree_without) {
            return Err(ShareError::Wrong(wrong.heading.index));
        }
    }
    Err(ShareError::OneWrong(present.into_iter().collect()))
}

/// The set that these shares agree on, all of them.
fn restored<'a>(heading: Heading, shares: impl Iterator<Item = &'a Share>) -> Option<KeySet> {
    let points: Vec<blahaj::Share> = shares
        .map(|share| {
            let bytes = Zeroizing::new([&[share.heading.index], &share.values[..]].concat());
            blahaj::Share::try_from(&bytes[..]).ok()
        })
        .collect::<Option<_>>()?;
    let secret = Zeroizing::new(Sharks(heading.needed).recover(&points).ok()?);
    let (entries, check) = secret.split_last_chunk::<DIGEST_BYTES>()?;
    if !bool::from(digest_of(heading, entries).ct_eq(check)) {
        return None;
    }
    let mut set = KeySet::new(heading.class);
    for entry in entries.as_chunks::<ENTRY_BYTES>().0 {
        let [role, version, key @ ..] = entry;
        set.insert(KeyRole::of_code(*role)?, *version, Key::new(*key)).ok()?;
    }
    Some(set)
}

fn digest_of(heading: Heading, entries: &[u8]) -> [u8; DIGEST_BYTES] {
    let message = Zeroizing::new([&heading.of_all()[..], entries].concat());
    let whole = digest(&SHA256, &message);
    *whole.as_ref().first_chunk().expect("SHA-256 has 32 bytes")
}

impl PartialEq for Share {
    /// Compares in constant time.
    fn eq(&self, other: &Self) -> bool {
        self.heading == other.heading && self.values.ct_eq(&other.values).into()
    }
}

impl Eq for Share {}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("heading", &self.heading).finish_non_exhaustive()
    }
}

/// The caller's randomness, as `blahaj` wants it.
struct FromCaller<'a>(Random<'a>);

impl TryRng for FromCaller<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        (self.0)(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        (self.0)(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        (self.0)(bytes);
        Ok(())
    }
}

impl TryCryptoRng for FromCaller<'_> {}
