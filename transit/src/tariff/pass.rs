//! Passes on sale.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Line;
use crate::card::{ProductKind, Profile};
use crate::id::LineNumber;
use crate::money::Amount;

/// A calendar-month pass on sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// For one route or for all.
    pub kind: ProductKind,
    /// The line of a one-route pass; 0 of one for all.
    pub line: LineNumber,
    /// What it costs whom, in minor units; a profile that is missing pays what `Ordinary` does, or cannot buy it.
    pub prices: BTreeMap<Profile, Amount>,
    /// The day of the month, 1 to 28, from which the pass of the next month is on sale.
    pub next_month_from_day: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PassEntry {
    kind: ProductKind,
    line: Option<LineNumber>,
    price_minor: BTreeMap<Profile, Amount>,
    next_month_from_day: u8,
}

impl PassEntry {
    pub(super) fn checked(self, lines: &[Line]) -> Result<Pass, String> {
        let line = match (self.kind, self.line) {
            (ProductKind::OneRoutePass, Some(line)) if lines.iter().any(|other| other.number == line) => line,
            (ProductKind::OneRoutePass, Some(line)) => {
                return Err(format!("a pass is for line {}, which has no [[line]] entry", line.0));
            }
            (ProductKind::OneRoutePass, None) => return Err("a one_route_pass needs its `line`".to_owned()),
            (ProductKind::AllRoutePass, None) => LineNumber(0),
            (ProductKind::AllRoutePass, Some(_)) => return Err("an all_route_pass has no `line`".to_owned()),
            (ProductKind::None, _) => return Err("a pass is a one_route_pass or an all_route_pass".to_owned()),
        };
        if let Some(price) = self.price_minor.values().find(|price| !(1..=0x00FF_FFFF).contains(&price.minor())) {
            return Err(format!(
                "a pass costs 1 to 16777215 minor units, as a card's record holds, not {}",
                price.minor()
            ));
        }
        if !(1..=28).contains(&self.next_month_from_day) {
            return Err(format!("`next_month_from_day` is 1 to 28, not {}", self.next_month_from_day));
        }
        let next_month_from_day = self.next_month_from_day;
        Ok(Pass { kind: self.kind, line, prices: self.price_minor, next_month_from_day })
    }
}
