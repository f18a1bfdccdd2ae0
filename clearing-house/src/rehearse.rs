//! A day that is in the books, priced again by a tariff that is not in force yet: what it would have brought in, and
//! which riders would have paid more.
//!
//! Riders are taken to ride as they did. What a card carries from tap to tap (transfers, caps) is carried on by the new
//! tariff from the first ride of the day; before that it is what the old one left.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;
use transit::card::{PURSE_UPPER_LIMIT, Record};
use transit::config::ConfigError;
use transit::fare::{self, Boarding, CardView, Decision};
use transit::id::{CardToken, LineNumber, TapId};
use transit::money::{Amount, Balance, Currency};
use transit::tap::Tap;
use transit::tariff::Tariff;
use transit::time::ServiceDay;

use crate::clearing_house::ClearingHouse;
use crate::journey;
use crate::store::StoreError;

/// The riders named in a rehearsal: those who would pay the most more.
const WORST: usize = 5;

/// What another tariff would have charged on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rehearsal {
    /// The service day of travel.
    pub service_day: ServiceDay,
    /// The version that was tried.
    pub version: u32,
    /// The currency of every amount.
    pub currency: Currency,
    /// All lines together.
    pub total: Change,
    /// By line.
    pub lines: BTreeMap<LineNumber, Change>,
    /// Cards that would have paid more, the same, and less, over the day.
    pub riders: Riders,
    /// The cards that would have paid the most more, at most five, the worst first.
    pub worst: Vec<Rider>,
    /// Rides that the purse would not have covered; they count with their fare.
    pub not_enough: u64,
    /// Rides that the new tariff does not price, with the reason; they count nowhere else.
    pub undecidable: Vec<Undecidable>,
}

/// Rides and what they brought in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Change {
    /// Rides.
    pub rides: u64,
    /// By the tariff of the day.
    pub before_minor: i64,
    /// By the one that was tried.
    pub after_minor: i64,
}

/// How many cards pay what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Riders {
    /// More than they did.
    pub more: u64,
    /// The same.
    pub same: u64,
    /// Less.
    pub less: u64,
}

/// One card's day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rider {
    /// The card.
    pub card: CardToken,
    /// Its rides.
    #[serde(flatten)]
    pub change: Change,
}

/// A ride that has no fare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Undecidable {
    /// The tap.
    pub tap: String,
    /// Why.
    pub why: String,
}

/// A rehearsal that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum RehearseError {
    /// The file is no tariff.
    #[error(transparent)]
    Tariff(#[from] ConfigError),
    /// Nobody rode.
    #[error("the books have no ride of {0}; `status` tells which days they have")]
    NoRides(ServiceDay),
    /// Amounts of two currencies.
    #[error("the tariff is in {tried}, and the books are in {books}")]
    Currency {
        /// That of the file.
        tried: String,
        /// That of the books.
        books: String,
    },
    /// The books cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ClearingHouse {
    /// Prices the rides of `day` by the tariff in `file`.
    ///
    /// # Errors
    /// [`RehearseError`].
    pub fn rehearse(&mut self, file: &Path, day: ServiceDay) -> Result<Rehearsal, RehearseError> {
        let Self { store, config } = self;
        let tried = Tariff::parse(file, &crate::config::read(file)?)?;
        let books = config.tariffs.currency();
        if tried.currency != *books {
            return Err(RehearseError::Currency { tried: tried.currency.code, books: books.code.clone() });
        }
        let rides = store.view()?.rides_of(day)?;
        if rides.is_empty() {
            return Err(RehearseError::NoRides(day));
        }
        Ok(rehearse(rides, &tried, day))
    }
}

/// Prices `rides`, in any order: pure.
pub fn rehearse(mut rides: Vec<Tap>, tried: &Tariff, service_day: ServiceDay) -> Rehearsal {
    rides.sort_by_key(|ride| (ride.card, ride.at, ride.id));
    let mut rehearsal = Rehearsal {
        service_day,
        version: tried.version,
        currency: tried.currency.clone(),
        total: Change::default(),
        lines: BTreeMap::new(),
        riders: Riders::default(),
        worst: Vec::new(),
        not_enough: 0,
        undecidable: Vec::new(),
    };
    for of_card in rides.chunk_by(|ride, next| ride.card == next.card) {
        let mut rider = Rider { card: of_card[0].card, change: Change::default() };
        let mut last: Option<(TapId, Record)> = None;
        for ride in of_card {
            match again(ride, tried, last.as_ref()) {
                Ok((record, balance)) => {
                    let saved_minor = rider.change.before_minor - rider.change.after_minor;
                    let balance_minor = balance.minor() + saved_minor;
                    rehearsal.not_enough += u64::from(balance_minor < record.amount.minor());
                    let line = rehearsal.lines.entry(ride.line).or_default();
                    for change in [&mut rider.change, line, &mut rehearsal.total] {
                        change.add(ride.fare, record.amount);
                    }
                    last = Some((ride.id, record));
                }
                Err(why) => rehearsal.undecidable.push(Undecidable { tap: ride.id.to_string(), why }),
            }
        }
        match rider.change.more_minor() {
            1.. => rehearsal.riders.more += 1,
            0 => rehearsal.riders.same += 1,
            _ => rehearsal.riders.less += 1,
        }
        rehearsal.worst.push(rider);
        rehearsal.worst.sort_by_key(|rider| (-rider.change.more_minor(), rider.card));
        rehearsal.worst.truncate(WORST);
        rehearsal.worst.retain(|rider| rider.change.more_minor() > 0);
    }
    rehearsal
}

/// The record that `tried` makes of a ride, and what the purse held before it; `last` is what it made of the card's ride
/// before.
fn again(ride: &Tap, tried: &Tariff, last: Option<&(TapId, Record)>) -> Result<(Record, Balance), String> {
    let mut view = journey::recorded_view(ride)?;
    let balance = view.record.balance_after;
    if let Some((tap, record)) = last {
        if view.record.tap == Some(*tap) {
            view.record = *record;
        } else if view.record.last_tap() == Some(*tap) {
            // A desk has written since.
            view.record.carried.transfer = record.carried.transfer;
            view.record.carried.caps = record.carried.caps;
        }
    }
    let balance_after = Balance::from_minor(i64::from(PURSE_UPPER_LIMIT));
    let view = CardView { record: Record { balance_after, ..view.record }, ..view };
    let boarding = Boarding { tap: ride.id, line: ride.line, stop: ride.stop, at: ride.at, gate: ride.gate };
    match fare::decide(&view, tried, &boarding) {
        Decision::Accept(accept) => Ok((accept.record, balance)),
        Decision::Refuse(refusal) => Err(journey::words(refusal).to_owned()),
    }
}

impl Change {
    /// What it is more than before; below 0 it is less.
    pub fn more_minor(&self) -> i64 {
        self.after_minor - self.before_minor
    }

    /// The same in thousandths of what it was; `None` where it was nothing.
    pub fn more_permille(&self) -> Option<i64> {
        (self.before_minor != 0).then(|| 1_000 * self.more_minor() / self.before_minor)
    }

    fn add(&mut self, before: Amount, after: Amount) {
        self.rides += 1;
        self.before_minor += before.minor();
        self.after_minor += after.minor();
    }
}

impl fmt::Display for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = |change: &Change| {
            let [before, after] = [change.before_minor, change.after_minor].map(|minor| self.currency.display(minor));
            let percent = change.more_permille().map_or(String::new(), |permille| {
                let sign = if permille < 0 { '−' } else { '+' };
                format!(" ({sign}{}.{} %)", permille.unsigned_abs() / 10, permille.unsigned_abs() % 10)
            });
            format!("{} ride(s), {before} → {after}{percent}", change.rides)
        };
        writeln!(f, "Service day {} by tariff version {}", self.service_day, self.version)?;
        writeln!(f, "Revenue     {}", change(&self.total))?;
        for (line, of_line) in &self.lines {
            writeln!(f, "  line {:<5}{}", line.0, change(of_line))?;
        }
        let Riders { more, same, less } = self.riders;
        writeln!(f, "Riders      {more} pay more, {same} the same, {less} less")?;
        for rider in &self.worst {
            writeln!(f, "  card {}: {}", rider.card, change(&rider.change))?;
        }
        if self.not_enough > 0 {
            writeln!(f, "{} ride(s) for which the purse held too little", self.not_enough)?;
        }
        for Undecidable { tap, why } in &self.undecidable {
            writeln!(f, "Not priced: tap {tap}: {why}")?;
        }
        Ok(())
    }
}
