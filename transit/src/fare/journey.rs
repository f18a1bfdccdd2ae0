//! Journeys with a tap-in and a tap-out: what is open on a card, and what its end costs.

use super::caps::Spending;
use super::transfer::{Chain, rule_for};
use super::{Accept, Boarding, CardView, ChargePath, Free, GateKind, Refusal, accept, price, product_for};
use crate::card::{CarriedFields, Record, RecordKind};
use crate::id::{LineNumber, StopNumber};
use crate::money::Amount;
use crate::tariff::{JourneyFare, JourneyRule, Line, Tariff};
use crate::time::{Moment, ServiceDay};

/// What a tap is to a journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JourneyStep {
    /// Its begin, at this stop.
    TapIn(StopNumber),
    /// Its end.
    TapOut(TapOut),
}

/// The end of a journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TapOut {
    /// Where it began; `None` where the card was not tapped in.
    pub entry: Option<Entry>,
    /// The line of the exit.
    pub line: LineNumber,
    /// The stop of the exit.
    pub stop: StopNumber,
    /// Where its price comes from.
    pub price: TapOutPrice,
    /// What its tap-in was charged.
    pub paid: Amount,
    /// What its tap-in was charged more than the journey costs: a credit on the card, which its next debits take off.
    pub overpaid: Amount,
    /// What the purse lacked: the rider is let out and owes it.
    pub lacking: Amount,
}

/// The begin of a journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The line.
    pub line: LineNumber,
    /// The stop.
    pub stop: StopNumber,
    /// When; where a desk has written since, up to a minute after it.
    pub at: Moment,
}

/// Where the price of a tap-out comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapOutPrice {
    /// The tariff, between entry and exit.
    Tariff(JourneyRule),
    /// The tariff has no price between them: what the tap-in was charged is all.
    NoPrice,
    /// Out where it came in, soon after: no journey, nothing to pay.
    SameStop,
    /// Later than journeys last: the maximum.
    Late,
    /// Not tapped in: the maximum.
    NoEntry,
    /// Not tapped in, at a place where something has happened: nothing.
    Incident,
    /// Out a second time, moments after the first: nothing.
    Again,
}

/// A journey that a tap found open and that cannot end with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished {
    /// Where it began.
    pub entry: Entry,
    /// What its tap-in was charged.
    pub paid: Amount,
    /// What the maximum is more than that. No validator debits it.
    pub owed: Amount,
}

/// The journey that a card has open, where the tariff knows its line.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenJourney<'a> {
    line: &'a Line,
    fare: &'a JourneyFare,
    entry: Entry,
    paid: Amount,
}

/// An open journey with its price.
struct Settled {
    path: ChargePath,
    overpaid: Amount,
    carried: CarriedFields,
    expired: Option<ServiceDay>,
}

impl<'a> OpenJourney<'a> {
    pub(super) fn of(record: &Record, tariff: &'a Tariff) -> Option<Self> {
        let (stop, minutes_ago, paid) = record.carried.journey;
        let at = match record.kind {
            RecordKind::TapIn => record.time,
            RecordKind::Load | RecordKind::Refund | RecordKind::Sale => {
                Moment(record.time.0.saturating_sub(60 * u32::from(minutes_ago)))
            }
            RecordKind::Issued | RecordKind::Boarding | RecordKind::TapOut => return None,
        };
        let line = tariff.line(record.line).filter(|_| stop != 0)?;
        let entry = Entry { line: line.number, stop: StopNumber(stop), at };
        Some(Self { line, fare: tariff.journey_fare(line)?, entry, paid: Amount::from(paid) })
    }

    /// Whether a gate that goes both ways is to end it.
    pub(super) fn ends_at(&self, tariff: &Tariff, boarding: &Boarding) -> bool {
        !self.is_late(boarding.at) && tariff.is_one_journey(self.entry.line, boarding.line)
    }

    fn is_late(&self, at: Moment) -> bool {
        self.entry.at.distance_s(at) > 60 * u32::from(self.fare.longest_minutes)
    }

    /// What it owes where it is never ended. At a place where something has happened, nothing.
    pub(super) fn unfinished(&self, view: &CardView, tariff: &Tariff, boarding: &Boarding) -> Option<Unfinished> {
        let settled = self.settle(view, tariff, boarding.at, (self.fare.maximum, self.entry.line, false))?;
        let owed = if boarding.gate.incident { Amount::ZERO } else { settled.path.charge };
        Some(Unfinished { entry: self.entry, paid: self.paid, owed })
    }

    fn price(&self, tariff: &Tariff, boarding: &Boarding) -> (Amount, TapOutPrice) {
        let incident = boarding.gate.incident;
        let minutes_s = |minutes: u16| 60 * u32::from(minutes);
        let since_s = self.entry.at.distance_s(boarding.at);
        if boarding.stop == self.entry.stop && (incident || since_s < minutes_s(self.fare.free_exit_minutes)) {
            return (Amount::ZERO, TapOutPrice::SameStop);
        }
        if self.is_late(boarding.at) && !incident {
            return (self.fare.maximum, TapOutPrice::Late);
        }
        match tariff.journey_price((self.entry.line, self.entry.stop), (boarding.line, boarding.stop)) {
            Some(price) => (price.fare, TapOutPrice::Tariff(price.rule)),
            None => (self.fare.tap_in, TapOutPrice::NoPrice),
        }
    }

    /// Everything as it was at the tap-in, day, time and profile, with the price of the whole journey in place of what the
    /// tap-in debited.
    fn settle(
        &self,
        view: &CardView,
        tariff: &Tariff,
        at: Moment,
        (fare, exit, is_cancelled): (Amount, LineNumber, bool),
    ) -> Option<Settled> {
        let (record, entered) = (&view.record, tariff.calendar.service_time(self.entry.at));
        let product = product_for(view, tariff, self.line.number, entered.day);
        let covers_exit =
            |_: &Free| exit == self.line.number || product_for(view, tariff, exit, entered.day).counts.is_some();
        let mut path = match product.counts.filter(covers_exit) {
            Some(free) => price::free(tariff, (self.line, fare), free),
            None => price::single(tariff, (self.line, fare), view.issuer.as_ref(), entered)?,
        };
        let mut carried = record.carried;
        let mut chain = Chain::at(record, at);
        // A tap-in that a pass made free is part of no chain.
        let is_in_chain = product.counts.is_none() || self.paid > Amount::ZERO;
        let chain_rule = rule_for(tariff.transfer.as_ref(), self.line).filter(|_| is_in_chain);
        if let Some(rule) = chain_rule.filter(|_| path.free.is_none()) {
            path.transfer = chain.boarded(rule, path.single_fare, self.paid);
        }
        let due = path.single_fare.saturating_sub(path.transfer.map_or(Amount::ZERO, |transfer| transfer.off));
        let overpaid = self.paid.saturating_sub(due);
        path.charge = due.saturating_sub(self.paid);
        if tariff.caps.any() {
            let mut spending = Spending::at(record, entered.day, at);
            if path.free.is_none() {
                let (capping, charge) = spending.cap(tariff.caps, path.charge);
                (path.caps, path.charge) = (Some(capping), charge);
            }
            spending.give_back(overpaid);
            carried.caps = spending.fields(path.charge);
        }
        if chain_rule.is_some() {
            chain.give_back(overpaid);
            chain.pay(path.charge);
            if is_cancelled {
                chain.leave();
            }
        }
        carried.transfer = chain.fields();
        Some(Settled { path, overpaid, carried, expired: product.expired })
    }
}

/// Decides a tap-out. Nobody is kept in: what is on the deny list leaves, and so does who cannot pay.
pub(super) fn leave(
    view: &CardView,
    tariff: &Tariff,
    (line, fare): (&Line, &JourneyFare),
    boarding: &Boarding,
    open: Option<OpenJourney<'_>>,
) -> Result<Accept, Refusal> {
    let ends = open.filter(|open| tariff.is_one_journey(open.entry.line, line.number));
    let (settled, price) = match ends {
        Some(open) => {
            let (fare, price) = open.price(tariff, boarding);
            let is_cancelled = price == TapOutPrice::SameStop;
            (open.settle(view, tariff, boarding.at, (fare, line.number, is_cancelled)), price)
        }
        None => {
            let price = price_without_entry(&view.record, tariff, boarding);
            let fare = if price == TapOutPrice::NoEntry { fare.maximum } else { Amount::ZERO };
            (settle_without_entry(view, tariff, boarding.at, (line, fare)), price)
        }
    };
    let Settled { mut path, overpaid, mut carried, expired } = settled.ok_or(Refusal::CannotDecide)?;
    path.unfinished = match ends {
        Some(_) => None,
        None => open.and_then(|open| open.unfinished(view, tariff, boarding)),
    };
    carried.journey = (0, 0, 0);
    path.journey = Some(JourneyStep::TapOut(TapOut {
        entry: ends.map(|open| open.entry),
        line: line.number,
        stop: boarding.stop,
        price,
        paid: ends.map_or(Amount::ZERO, |open| open.paid),
        overpaid,
        lacking: Amount::ZERO,
    }));
    accept(view, boarding, (path, carried, expired), RecordKind::TapOut)
}

fn price_without_entry(record: &Record, tariff: &Tariff, boarding: &Boarding) -> TapOutPrice {
    let is_again = record.kind == RecordKind::TapOut
        && record.stop == boarding.stop
        && record.time.distance_s(boarding.at) < tariff.pass_back_window_s
        && tariff.is_one_journey(record.line, boarding.line);
    match (is_again, boarding.gate.incident) {
        (true, _) => TapOutPrice::Again,
        (false, true) => TapOutPrice::Incident,
        (false, false) => TapOutPrice::NoEntry,
    }
}

/// The maximum, or nothing, as of now.
fn settle_without_entry(
    view: &CardView,
    tariff: &Tariff,
    at: Moment,
    (line, fare): (&Line, Amount),
) -> Option<Settled> {
    let now = tariff.calendar.service_time(at);
    let product = product_for(view, tariff, line.number, now.day);
    let mut path = match product.counts {
        Some(free) => price::free(tariff, (line, fare), free),
        None => price::single(tariff, (line, fare), view.issuer.as_ref(), now)?,
    };
    let mut carried = view.record.carried;
    carried.transfer = view.record.transfer_at(at);
    if tariff.caps.any() {
        let spending = Spending::at(&view.record, now.day, at);
        if path.free.is_none() {
            let (capping, charge) = spending.cap(tariff.caps, path.charge);
            (path.caps, path.charge) = (Some(capping), charge);
        }
        carried.caps = spending.fields(path.charge);
    }
    Some(Settled { path, overpaid: Amount::ZERO, carried, expired: product.expired })
}

/// Whether a tap goes out. `None` where the line has no way out.
pub(super) fn goes_out(
    tariff: &Tariff,
    fare: Option<&JourneyFare>,
    boarding: &Boarding,
    open: Option<&OpenJourney<'_>>,
) -> Option<bool> {
    match (boarding.gate.kind, fare) {
        (GateKind::Entry, _) => Some(false),
        (GateKind::Exit | GateKind::Both, None) => None,
        (GateKind::Exit, Some(_)) => Some(true),
        (GateKind::Both, Some(_)) => Some(open.is_some_and(|open| open.ends_at(tariff, boarding))),
    }
}
