//! Money in integer minor units of the tariff's one currency.
//!
//! An amount moves and is never negative; a balance stands and may be. Arithmetic is checked: an overflow is `None`,
//! never a wrapped number.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount that moves: 0 or more minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Amount(i64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// One minor unit, the least there is.
    pub const MINOR_UNIT: Self = Self(1);

    /// `minor` minor units; `None` when negative.
    pub const fn from_minor(minor: i64) -> Option<Self> {
        if minor < 0 { None } else { Some(Self(minor)) }
    }

    /// The amount in minor units, 0 or more.
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// The amount as a card's unsigned 32-bit value; `None` past 2³¹−1, the most that a value file takes.
    pub fn card_minor(self) -> Option<u32> {
        i32::try_from(self.0).ok().and_then(|minor| u32::try_from(minor).ok())
    }

    /// The sum; `None` on overflow.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(minor) => Some(Self(minor)),
            None => None,
        }
    }

    /// What is left when `other` is taken off; nothing where `other` is more.
    pub const fn saturating_sub(self, other: Self) -> Self {
        if other.0 < self.0 { Self(self.0 - other.0) } else { Self::ZERO }
    }
}

impl From<u32> for Amount {
    fn from(minor: u32) -> Self {
        Self(i64::from(minor))
    }
}

impl From<Amount> for i64 {
    fn from(amount: Amount) -> Self {
        amount.0
    }
}

impl TryFrom<i64> for Amount {
    type Error = NegativeAmount;

    fn try_from(minor: i64) -> Result<Self, NegativeAmount> {
        Self::from_minor(minor).ok_or(NegativeAmount(minor))
    }
}

/// An amount was given as a negative number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an amount is 0 or more minor units, not {0}")]
pub struct NegativeAmount(pub i64);

/// What stands in a purse or an account: a signed number of minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Balance(i64);

impl Balance {
    /// Nothing on either side.
    pub const ZERO: Self = Self(0);

    /// `minor` minor units, either sign.
    pub const fn from_minor(minor: i64) -> Self {
        Self(minor)
    }

    /// The balance in minor units.
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// The balance after `amount` is taken; `None` on overflow.
    pub const fn checked_debit(self, amount: Amount) -> Option<Self> {
        match self.0.checked_sub(amount.0) {
            Some(minor) => Some(Self(minor)),
            None => None,
        }
    }

    /// The balance after `amount` is added; `None` on overflow.
    pub const fn checked_credit(self, amount: Amount) -> Option<Self> {
        match self.0.checked_add(amount.0) {
            Some(minor) => Some(Self(minor)),
            None => None,
        }
    }
}

/// A currency: its ISO 4217 code, how many digits its minor unit has, and the sign passengers know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Currency {
    /// ISO 4217 alphabetic code, such as `VND`.
    pub code: String,
    /// Digits after the decimal separator, 0..=3. The dong has none.
    pub minor_digits: u8,
    /// The sign written after the number, such as `₫`.
    pub sign: String,
}

impl Currency {
    /// The number as people of this currency's country write it: groups of three divided by dots, a comma before the
    /// minor digits, a no-break space and the sign: `8.000 ₫`.
    pub fn display(&self, minor: i64) -> impl fmt::Display + '_ {
        CurrencyDisplay { currency: self, minor }
    }
}

struct CurrencyDisplay<'a> {
    currency: &'a Currency,
    minor: i64,
}

impl fmt::Display for CurrencyDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = usize::from(self.currency.minor_digits);
        let plain = format!("{:0>width$}", self.minor.unsigned_abs(), width = digits + 1);
        let (major, minor) = plain.split_at(plain.len() - digits);
        if self.minor < 0 {
            f.write_str("−")?;
        }
        for (index, digit) in major.chars().enumerate() {
            if index > 0 && (major.len() - index).is_multiple_of(3) {
                f.write_str(".")?;
            }
            write!(f, "{digit}")?;
        }
        if digits > 0 {
            write!(f, ",{minor}")?;
        }
        write!(f, "\u{a0}{}", self.currency.sign)
    }
}
