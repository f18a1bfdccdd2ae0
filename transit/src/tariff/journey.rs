//! Prices of a journey between two stops, for lines with tap-in and tap-out.

use serde::Deserialize;

use super::line::Position;
use super::{FareRule, Line, Rounding, Stop, Tariff};
use crate::id::{LineNumber, StopNumber};
use crate::money::Amount;

/// The most that a card's record holds as paid in a journey: 20 bits.
pub(super) const PAID_MAX_MINOR: i64 = 0x000F_FFFF;

/// The longest that a journey may take: a day.
const LONGEST_MAX_MINUTES: u16 = 1_440;

/// What a journey costs on the lines that name it. Within it a stop's number is one place, whichever line has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JourneyFare {
    /// Its name in the tariff file.
    pub name: String,
    /// What a tap-in debits, before any other rule.
    pub tap_in: Amount,
    /// The most that a journey costs, and what one costs whose begin or end is not known.
    pub maximum: Amount,
    /// Who leaves where they came in less than this many minutes later has not ridden and pays nothing.
    pub free_exit_minutes: u16,
    /// A tap-out more than this many minutes after the tap-in costs the maximum.
    pub longest_minutes: u16,
    /// What a journey from one stop to another costs.
    pub prices: JourneyPrices,
}

/// What a journey from one stop to another costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JourneyPrices {
    /// By the number of zones from that of the entry to that of the exit, both counted: for one, for two, …; the last
    /// for all that are more.
    ZonesCounted(Vec<Amount>),
    /// By the zones of entry and exit.
    ZonePairs(PairTable),
    /// By the length of the ride along the line, from short to long.
    DistanceSteps(Vec<DistanceStep>),
    /// By the length of the ride along the line.
    Distance(DistanceRate),
    /// By the stops of entry and exit.
    StopPairs(PairTable),
}

/// The price of all rides from the step before it to just under a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistanceStep {
    /// Rides shorter than this; `None` of the last step, which is for all that are longer.
    #[serde(rename = "below_km")]
    pub below: Option<Position>,
    /// What such a ride costs, in minor units.
    #[serde(rename = "fare_minor")]
    pub fare: Amount,
}

/// A price that grows with every metre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistanceRate {
    /// What a ride costs that is not longer than `base_length`, in minor units.
    #[serde(rename = "base_minor")]
    pub base: Amount,
    /// How far the base goes.
    #[serde(rename = "base_km")]
    pub base_length: Position,
    /// What each kilometre more costs, in minor units, metre by metre.
    #[serde(rename = "per_km_minor")]
    pub per_km: Amount,
}

/// Prices by two numbers, those of zones or of stops: eight bytes for each, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairTable {
    /// From and to in one number, and the price in minor units.
    pairs: Vec<(u32, u32)>,
}

/// The price of a journey, and the rule that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JourneyPrice {
    /// What it costs before any other rule.
    pub fare: Amount,
    /// Where that comes from.
    pub rule: JourneyRule,
}

/// The rule that made the price of a journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JourneyRule {
    /// So many zones.
    ZonesCounted(u16),
    /// From a zone to a zone.
    ZonePair(u16, u16),
    /// A ride of this length, by steps.
    DistanceStep(Position),
    /// A ride of this length, metre by metre.
    Distance(Position),
    /// From a stop to a stop.
    StopPair(StopNumber, StopNumber),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JourneyFareEntry {
    name: String,
    tap_in_minor: Amount,
    maximum_minor: Amount,
    #[serde(default)]
    free_exit_minutes: u16,
    longest_minutes: u16,
    zones_minor: Option<Vec<Amount>>,
    zone_pair: Option<Vec<(u16, u16, u32)>>,
    distance_step: Option<Vec<DistanceStep>>,
    distance: Option<DistanceRate>,
    stop_pair: Option<Vec<(u16, u16, u32)>>,
}

impl Tariff {
    /// What a journey on `line` costs; `None` where a boarding has its price alone.
    pub fn journey_fare(&self, line: &Line) -> Option<&JourneyFare> {
        match line.fare_rule {
            FareRule::Journey(place) => self.journey_fares.get(place),
            FareRule::Flat | FareRule::RouteLength(_) => None,
        }
    }

    /// Whether a journey that begins on one of these lines may end on the other.
    pub fn is_one_journey(&self, entry: LineNumber, exit: LineNumber) -> bool {
        let rule = |number| self.line(number).map(|line| (line, line.fare_rule));
        match (rule(entry), rule(exit)) {
            (Some((line, FareRule::Journey(place))), Some((_, FareRule::Journey(other)))) => {
                let is_along_a_line = self.journey_fare(line).is_some_and(|fare| fare.prices.is_by_distance());
                place == other && (entry == exit || !is_along_a_line)
            }
            _ => false,
        }
    }

    /// The price of a journey from a stop of a line to a stop of the same or of another one; `None` where the tariff has
    /// none.
    pub fn journey_price(
        &self,
        (entry_line, entry): (LineNumber, StopNumber),
        (exit_line, exit): (LineNumber, StopNumber),
    ) -> Option<JourneyPrice> {
        if !self.is_one_journey(entry_line, exit_line) {
            return None;
        }
        let line = self.line(entry_line)?;
        let (from, to) = (line.stop(entry)?, self.line(exit_line)?.stop(exit)?);
        self.journey_fare(line)?.between(from, to, self.rounding)
    }
}

impl JourneyFare {
    /// The price between two stops of its lines, on one line where the distance counts.
    pub(super) fn between(&self, from: &Stop, to: &Stop, rounding: Rounding) -> Option<JourneyPrice> {
        let price = self.prices.between(from, to, rounding)?;
        Some(JourneyPrice { fare: price.fare.min(self.maximum), ..price })
    }
}

impl JourneyPrices {
    /// Whether the ride's length along its line is what counts.
    pub fn is_by_distance(&self) -> bool {
        match self {
            Self::DistanceSteps(_) | Self::Distance(_) => true,
            Self::ZonesCounted(_) | Self::ZonePairs(_) | Self::StopPairs(_) => false,
        }
    }

    fn between(&self, from: &Stop, to: &Stop, rounding: Rounding) -> Option<JourneyPrice> {
        let (fare, rule) = match self {
            Self::ZonesCounted(fares) => {
                let zones = from.zone?.abs_diff(to.zone?).saturating_add(1);
                let fare = fares.get(usize::from(zones) - 1).or(fares.last())?;
                (*fare, JourneyRule::ZonesCounted(zones))
            }
            Self::ZonePairs(table) => {
                let (from, to) = (from.zone?, to.zone?);
                (table.price(from, to)?, JourneyRule::ZonePair(from, to))
            }
            Self::DistanceSteps(steps) => {
                let length = from.km?.distance_to(to.km?);
                let step = steps.iter().find(|step| step.below.is_none_or(|below| length < below))?;
                (step.fare, JourneyRule::DistanceStep(length))
            }
            Self::Distance(rate) => {
                let length = from.km?.distance_to(to.km?);
                (rate.price(length, rounding)?, JourneyRule::Distance(length))
            }
            Self::StopPairs(table) => {
                let (from, to) = (from.number, to.number);
                (table.price(from.0, to.0)?, JourneyRule::StopPair(from, to))
            }
        };
        Some(JourneyPrice { fare, rule })
    }

    /// The amounts that stand in it.
    pub(super) fn amounts(&self) -> Vec<Amount> {
        match self {
            Self::ZonesCounted(fares) => fares.clone(),
            Self::ZonePairs(table) | Self::StopPairs(table) => table.iter().map(|(_, _, fare)| fare).collect(),
            Self::DistanceSteps(steps) => steps.iter().map(|step| step.fare).collect(),
            Self::Distance(rate) => vec![rate.base],
        }
    }
}

impl DistanceRate {
    /// The posted price of a ride of `length`: rounded as the tariff says, before percentages.
    fn price(&self, length: Position, rounding: Rounding) -> Option<Amount> {
        let beyond_m = i64::from(length.m().saturating_sub(self.base_length.m()));
        let exact = self.base.minor().checked_mul(1_000)?.checked_add(self.per_km.minor().checked_mul(beyond_m)?)?;
        rounding.round(exact, 1_000)
    }
}

impl PairTable {
    /// The price from one number to another; that of the way back where only that one stands in the table.
    pub fn price(&self, from: u16, to: u16) -> Option<Amount> {
        let at = |key: u32| self.pairs.binary_search_by_key(&key, |pair| pair.0).ok();
        let index = at(key(from, to)).or_else(|| at(key(to, from)))?;
        self.pairs.get(index).map(|(_, fare)| Amount::from(*fare))
    }

    /// From, to and price, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u16, Amount)> + '_ {
        self.pairs.iter().map(|(key, fare)| {
            let [from_high, from_low, to_high, to_low] = key.to_be_bytes();
            let (from, to) = (u16::from_be_bytes([from_high, from_low]), u16::from_be_bytes([to_high, to_low]));
            (from, to, Amount::from(*fare))
        })
    }

    fn checked(rows: Vec<(u16, u16, u32)>, of: &str) -> Result<Self, String> {
        let mut pairs: Vec<_> = rows.into_iter().map(|(from, to, fare)| (key(from, to), fare)).collect();
        pairs.sort_unstable();
        let table = Self { pairs };
        if let Some(pair) = table.pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let (from, to) = (pair[0].0 >> 16, pair[0].0 & 0xFFFF);
            return Err(format!("its {of} from {from} to {to} is there twice"));
        }
        Ok(table)
    }
}

fn key(from: u16, to: u16) -> u32 {
    u32::from(from) << 16 | u32::from(to)
}

impl JourneyFareEntry {
    pub(super) fn checked(self) -> Result<JourneyFare, String> {
        let name = self.name.clone();
        self.into_fare().map_err(|why| format!("[[journey_fare]] `{name}`: {why}"))
    }

    fn into_fare(self) -> Result<JourneyFare, String> {
        let kinds = [
            self.zones_minor.map(|fares| Ok(JourneyPrices::ZonesCounted(fares))),
            self.zone_pair.map(|rows| PairTable::checked(rows, "zone_pair").map(JourneyPrices::ZonePairs)),
            self.distance_step.map(|steps| Ok(JourneyPrices::DistanceSteps(steps))),
            self.distance.map(|rate| Ok(JourneyPrices::Distance(rate))),
            self.stop_pair.map(|rows| PairTable::checked(rows, "stop_pair").map(JourneyPrices::StopPairs)),
        ];
        let mut kinds = kinds.into_iter().flatten();
        let (Some(prices), None) = (kinds.next(), kinds.next()) else {
            return Err(
                "give it one of `zones_minor`, `zone_pair`, `distance_step`, `distance`, `stop_pair`".to_owned()
            );
        };
        let prices = prices?;
        if let JourneyPrices::DistanceSteps(steps) = &prices {
            check_steps(steps)?;
        }
        let amounts = prices.amounts();
        if amounts.is_empty() {
            return Err("it has no prices".to_owned());
        }
        let maximum = self.maximum_minor;
        if !(1..=PAID_MAX_MINOR).contains(&maximum.minor()) {
            let maximum = maximum.minor();
            return Err(format!(
                "`maximum_minor` is 1 to {PAID_MAX_MINOR} minor units, as a card's record holds, not {maximum}"
            ));
        }
        if let Some(more) = amounts.iter().chain([&self.tap_in_minor]).find(|fare| **fare > maximum) {
            let (more, maximum) = (more.minor(), maximum.minor());
            return Err(format!("a price of {more} is more than its `maximum_minor`, {maximum}"));
        }
        let (free_exit_minutes, longest_minutes) = (self.free_exit_minutes, self.longest_minutes);
        if !(1..=LONGEST_MAX_MINUTES).contains(&longest_minutes) || free_exit_minutes > longest_minutes {
            return Err(format!(
                "`longest_minutes` is 1 to {LONGEST_MAX_MINUTES}, and `free_exit_minutes` no more than it"
            ));
        }
        let tap_in = self.tap_in_minor;
        Ok(JourneyFare { name: self.name, tap_in, maximum, free_exit_minutes, longest_minutes, prices })
    }
}

/// Steps from short to long, the last for all that is longer: no ride is without a price.
fn check_steps(steps: &[DistanceStep]) -> Result<(), String> {
    let bounds = steps.iter().map(|step| step.below);
    if bounds.clone().is_sorted_by(|one, next| one.is_some() && (next.is_none() || one < next))
        && steps.last().is_some_and(|last| last.below.is_none())
    {
        return Ok(());
    }
    Err("`distance_step` stand from short to long, and the last one alone is without `below_km`".to_owned())
}

/// The stops of its lines have what its prices ask for, and a number is one place.
pub(super) fn check_stops(fares: &[JourneyFare], lines: &[Line]) -> Result<(), String> {
    for (place, fare) in fares.iter().enumerate() {
        let lines = || lines.iter().filter(|line| line.fare_rule == FareRule::Journey(place));
        let mut places: Vec<(StopNumber, &str)> = Vec::new();
        for line in lines() {
            for stop in &line.stops {
                check_stop(fare, line, stop)?;
                places.push((stop.number, &stop.name));
            }
            if fare.prices.is_by_distance() && !line.stops.iter().map(|stop| stop.km).is_sorted() {
                return Err(format!("the `km` of line {} grow from stop to stop", line.number.0));
            }
        }
        places.sort_unstable();
        let other = places.windows(2).find(|pair| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1);
        if let Some(pair) = other.filter(|_| !fare.prices.is_by_distance()) {
            let (number, one, other, name) = (pair[0].0.0, pair[0].1, pair[1].1, &fare.name);
            return Err(format!(
                "stop {number} is `{one}` and `{other}` on lines of [[journey_fare]] `{name}`, where a number is one place"
            ));
        }
    }
    Ok(())
}

fn check_stop(fare: &JourneyFare, line: &Line, stop: &Stop) -> Result<(), String> {
    let (is_there, what) = match fare.prices {
        JourneyPrices::ZonesCounted(_) | JourneyPrices::ZonePairs(_) => (stop.zone.is_some(), "zone"),
        JourneyPrices::DistanceSteps(_) | JourneyPrices::Distance(_) => (stop.km.is_some(), "km"),
        JourneyPrices::StopPairs(_) => return Ok(()),
    };
    if is_there {
        return Ok(());
    }
    let (stop, line, name) = (stop.number.0, line.number.0, &fare.name);
    Err(format!("stop {stop} of line {line} has no `{what}`, by which [[journey_fare]] `{name}` charges"))
}
