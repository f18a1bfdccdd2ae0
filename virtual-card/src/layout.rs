//! What an issuer puts on every card, read from a file: keys, files, access rights, and the fields of the records.

use std::{collections::BTreeMap, path::Path};

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, de::Error};
use toml::Spanned;

use crate::{
    file::{AccessRights, CommunicationMode},
    fixture::{FixtureError, Moment, Source},
};

/// The layout of one application.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// The application's identifier, six hexadecimal digits as transmitted.
    #[serde(deserialize_with = "hexadecimal")]
    aid: [u8; 3],
    /// The end of the diversification input: UID, application identifier, key number, this.
    pub(crate) system: String,
    /// Names of the application's keys, numbered from 0 in this order.
    pub(crate) keys: Vec<String>,
    /// KS1 of the application. Unless it is given, 0B: the master key may change everything, and anybody list the files.
    #[serde(default = "key_settings")]
    pub(crate) key_settings: u8,
    /// How many key sets it has, the active one included: 1, or 2 to 16 on EV2 and EV3. An EV1 has one.
    #[serde(default = "one_key_set")]
    pub(crate) key_sets: u8,
    /// The key that may roll them.
    #[serde(default)]
    pub(crate) roll_key: u8,
    /// The number that stands for the Transaction MAC key in its diversification input.
    pub(crate) transaction_mac_key_number: u8,
    /// The backup data file of the issuer.
    pub(crate) issuer_file: FileLayout,
    /// The value file.
    pub(crate) purse_file: FileLayout,
    /// The cyclic record file.
    pub(crate) record_file: RecordFileLayout,
    /// The Transaction MAC file.
    pub(crate) transaction_mac_file: FileLayout,
    /// The fields of a record.
    pub record: Fields,
    /// The fields of the issuer file.
    pub issuer: Fields,
}

const fn key_settings() -> u8 {
    0x0B
}

const fn one_key_set() -> u8 {
    1
}

/// Number, mode and rights of a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileLayout {
    pub(crate) number: u8,
    pub(crate) mode: CommunicationMode,
    pub(crate) rights: AccessRights,
}

/// A record file has one slot more than it stores.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordFileLayout {
    pub(crate) number: u8,
    pub(crate) mode: CommunicationMode,
    pub(crate) rights: AccessRights,
    pub(crate) slots: usize,
}

/// Fields packed without gaps, most significant bit first.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Fields(Vec<Field>);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    name: String,
    /// 1 to 40.
    bits: u32,
    #[serde(default)]
    is: Meaning,
}

/// What a field's number means, and so how it may be written in a card file.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Meaning {
    #[default]
    Number,
    /// Two's complement.
    Signed,
    /// Unix seconds; also written `now`, `now-20min`, `now+2h`, `now-30s`.
    Time,
    /// Days since 2000-01-01, 0 is none; also written `today`, `today+12d`, `2026-11-23`.
    Day,
}

/// The fields that a card file names; those that it does not name are 0.
pub(crate) type Entries = BTreeMap<String, Spanned<Entry>>;

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a field is a whole number or a text such as \"now-20min\" or \"today+12d\"")]
pub(crate) enum Entry {
    Number(i64),
    Text(String),
}

impl Layout {
    /// Reads a layout file and checks that its fields fill whole bytes.
    ///
    /// # Errors
    /// [`FixtureError`] names the file, the line and the remedy.
    pub fn load(path: &Path) -> Result<Self, FixtureError> {
        let source = Source::read(path)?;
        let layout: Self = source.parse()?;
        for (name, fields) in [("record", &layout.record), ("issuer", &layout.issuer)] {
            if let Some(field) = fields.0.iter().find(|field| !(1..=40).contains(&field.bits)) {
                return Err(
                    source.invalid(None, format!("field `{}` has {} bits: give 1 to 40", field.name, field.bits))
                );
            }
            if !fields.bits().is_multiple_of(8) {
                let problem = format!("the `{name}` fields add up to {} bits: fill whole bytes", fields.bits());
                return Err(source.invalid(None, problem));
            }
        }
        Ok(layout)
    }

    /// The application's identifier, as transmitted.
    pub(crate) const fn aid(&self) -> [u8; 3] {
        self.aid
    }
}

fn hexadecimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 3], D::Error> {
    let problem = |_| D::Error::custom("`aid` is not 6 hexadecimal digits");
    let mut aid = [0; 3];
    hex::decode_to_slice(String::deserialize(deserializer)?, &mut aid).map_err(problem)?;
    Ok(aid)
}

impl Fields {
    /// The sum of all fields, in bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.0.iter().map(|field| field.bits).sum()
    }

    /// The sum of all fields, in bytes.
    pub(crate) fn length(&self) -> usize {
        self.bits() as usize / 8
    }

    /// Names and numbers, in the layout's order; bytes that are missing count as 0.
    #[must_use]
    pub fn decode(&self, bytes: &[u8]) -> Vec<(&str, i64)> {
        let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |shift| i64::from(byte >> shift & 1)));
        let decoded = self.0.iter().map(|field| {
            let number = (0..field.bits).fold(0, |number, _| number << 1 | bits.next().unwrap_or(0));
            let is_negative = matches!(field.is, Meaning::Signed) && number >> (field.bits - 1) == 1;
            (field.name.as_str(), if is_negative { number - (1 << field.bits) } else { number })
        });
        decoded.collect()
    }

    pub(crate) fn encode(&self, entries: &Entries, moment: Moment, source: &Source) -> Result<Vec<u8>, FixtureError> {
        let unknown = entries.iter().find(|(name, _)| !self.0.iter().any(|field| field.name == **name));
        if let Some((name, entry)) = unknown {
            let known: Vec<&str> = self.0.iter().map(|field| field.name.as_str()).collect();
            let problem = format!("the layout has no field `{name}`: use one of {}", known.join(", "));
            return Err(source.invalid(Some(entry.span()), problem));
        }
        let mut bits = vec![];
        for field in &self.0 {
            let number = match entries.get(&field.name) {
                None => 0,
                Some(entry) => field
                    .number(entry.get_ref(), moment)
                    .map_err(|problem| source.invalid(Some(entry.span()), format!("`{}`: {problem}", field.name)))?,
            };
            bits.extend((0..field.bits).rev().map(|shift| (number >> shift & 1) == 1));
        }
        Ok(bits.chunks(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit))).collect())
    }
}

impl Field {
    fn number(&self, entry: &Entry, moment: Moment) -> Result<i64, String> {
        let number = match entry {
            Entry::Number(number) => *number,
            Entry::Text(text) => match self.is {
                Meaning::Time => time(text, moment.now)?,
                Meaning::Day => day(text, moment.today)?,
                Meaning::Number | Meaning::Signed => return Err(format!("{text:?} is a text: give a whole number")),
            },
        };
        let (least, most) = match self.is {
            Meaning::Signed => (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1),
            Meaning::Number | Meaning::Time | Meaning::Day => (0, (1 << self.bits) - 1),
        };
        if (least..=most).contains(&number) {
            Ok(number)
        } else {
            Err(format!("{number} does not fit {} bits: give {least} to {most}", self.bits))
        }
    }
}

/// `now` and an offset in `s`, `min` or `h`.
fn time(text: &str, now: u32) -> Result<i64, String> {
    const UNITS: [(&str, i64); 3] = [("min", 60), ("h", 3600), ("s", 1)];
    let time = text.strip_prefix("now").and_then(|rest| offset(rest, &UNITS));
    time.map(|offset| i64::from(now).saturating_add(offset))
        .ok_or_else(|| format!("{text:?} is no time: give Unix seconds or, for example, \"now-20min\" (s, min, h)"))
}

/// `today` and an offset in `d`, or a date.
fn day(text: &str, today: u16) -> Result<i64, String> {
    let relative = text.strip_prefix("today").and_then(|rest| offset(rest, &[("d", 1)]));
    let absolute = || text.parse::<Date>().ok().map(days_since_2000);
    relative.map(|offset| i64::from(today).saturating_add(offset)).or_else(absolute).ok_or_else(|| {
        format!("{text:?} is no day: give days since 2000-01-01, a date such as 2026-11-23, or \"today+12d\"")
    })
}

/// A sign, a number and a unit; nothing at all is 0.
fn offset(text: &str, units: &[(&str, i64)]) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let (number, factor) =
        units.iter().find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (number, *factor)))?;
    let sign = match number.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = number.get(1..).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse::<i64>().ok()?.checked_mul(sign * factor)
}

/// How a service day is counted on cards; negative before 2000.
#[must_use]
pub fn days_since_2000(date: Date) -> i64 {
    const EPOCH: Date = jiff::civil::date(2000, 1, 1);
    i64::from((date - EPOCH).get_days())
}
