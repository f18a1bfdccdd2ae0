//! The way from the fare of a line to the charge: every rule that counted, with its amounts.

use super::{Basis, Cap, Capping, JourneyStep, Transfer, Unfinished};
use crate::card::Profile;
use crate::id::LineNumber;
use crate::money::Amount;
use crate::tariff::{Discount, FareRule, Rounding, TimeBand};
use crate::time::ServiceDay;

/// How a decision came to its charge. It is derived from what the tap recorded and never stored: whoever decides again
/// gets the same path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChargePath {
    /// The tariff that decided.
    pub tariff_version: u32,
    /// The line; of a tap-out, that of the tap-in where there is one.
    pub line: LineNumber,
    /// What the line costs before any other rule; of a tap-out, what the whole journey costs.
    pub line_fare: Amount,
    /// Where that comes from.
    pub fare_rule: FareRule,
    /// A pass or a profile for which the ride is free; no other rule counted then.
    pub free: Option<Free>,
    /// The time of day that made it more or less.
    pub time_band: Option<TimeBand>,
    /// What the rider's profile took off.
    pub discount: Option<Discount>,
    /// How the fare was rounded after these percentages.
    pub rounding: Rounding,
    /// What this boarding, or the whole journey, costs alone: the fare of the line after percentages and rounding.
    pub single_fare: Amount,
    /// The transfer that it is.
    pub transfer: Option<Transfer>,
    /// What the caps left of it; `None` where the tariff has none.
    pub caps: Option<Capping>,
    /// What it is to a journey; `None` of a boarding that has its price alone.
    pub journey: Option<JourneyStep>,
    /// A journey that it found open and does not end.
    pub unfinished: Option<Unfinished>,
    /// What a credit on the card took off.
    pub credit: Amount,
    /// What is charged.
    pub charge: Amount,
}

/// Why a ride is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Free {
    /// A pass, valid to the end of a service day.
    Pass {
        /// Its last service day.
        valid_until: ServiceDay,
        /// Service days left after the day of the ride.
        days_left: u16,
    },
    /// A profile that rides free.
    Profile(Profile),
}

impl ChargePath {
    /// The last rule that made the charge what it is.
    pub fn basis(&self) -> Basis {
        if let Some(free) = self.free {
            return match free {
                Free::Pass { valid_until, days_left } => Basis::Pass { valid_until, days_left },
                Free::Profile(profile) => Basis::FreeProfile(profile),
            };
        }
        let took_off = |cap: Option<Cap>| cap.is_some_and(|cap| cap.off > Amount::ZERO);
        if self.caps.is_some_and(|caps| took_off(caps.of_day) || took_off(caps.of_month)) {
            return Basis::Cap;
        }
        if self.transfer.is_some_and(|transfer| transfer.off > Amount::ZERO) {
            return Basis::Transfer;
        }
        if let Some(discount) = self.discount {
            return Basis::Discount(discount.profile);
        }
        if self.time_band.is_some() {
            return Basis::TimeBand;
        }
        match self.fare_rule {
            FareRule::Flat => Basis::FlatFare,
            FareRule::RouteLength(_) => Basis::RouteLength,
            FareRule::Journey(_) => Basis::Journey,
        }
    }
}
