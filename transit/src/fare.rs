//! The fare decision: everything it needs comes in, one value comes out. The validator acts on it, and the clearing
//! house runs it again on what the tap recorded and must get the same answer.

mod caps;
mod gate;
mod journey;
mod journey_words;
mod path;
mod price;
mod transfer;
mod words;

use crate::card::{CarriedFields, Issuer, Profile, Record, RecordKind};
use crate::id::{LineNumber, StopNumber, TapId};
use crate::money::{Amount, Balance};
use crate::tariff::{Line, Tariff};
use crate::time::{Moment, ServiceDay};

pub use caps::{Cap, Capping};
pub use gate::{Gate, GateKind};
pub use journey::{Entry, JourneyStep, TapOut, TapOutPrice, Unfinished};
pub use path::{ChargePath, Free};
pub use transfer::Transfer;
pub use words::Language;

use self::caps::Spending;
use self::journey::{OpenJourney, goes_out, leave};
use self::transfer::{Chain, rule_for};

/// What is known of the card when the fare is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardView {
    /// The newest record.
    pub record: Record,
    /// The issuer file, where the record says that a pass or a profile counts.
    pub issuer: Option<Issuer>,
    /// The card is on the deny list.
    pub denied: bool,
}

/// Where and when, and the name that the tap will have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boarding {
    /// The tap's name, which goes onto the card.
    pub tap: TapId,
    /// The line.
    pub line: LineNumber,
    /// The stop.
    pub stop: StopNumber,
    /// The time.
    pub at: Moment,
    /// Whether it is a way in or out.
    pub gate: Gate,
}

/// What to do with a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a box would allocate at every tap")]
pub enum Decision {
    /// Let the rider in, or out, once the card has taken `record` and the debit.
    Accept(Accept),
    /// Let nobody in, write nothing.
    Refuse(Refusal),
}

/// An accepted ride.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accept {
    /// What to debit; at 0 nothing is debited.
    pub fare: Amount,
    /// Why that much, in a word.
    pub basis: Basis,
    /// Why that much, rule by rule.
    pub path: ChargePath,
    /// A pass for this line ended on this day, which is why it did not count.
    pub expired_pass: Option<ServiceDay>,
    /// The record to write.
    pub record: Record,
}

/// What a fare rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The line's flat fare.
    FlatFare,
    /// The fare of a route of the line's length.
    RouteLength,
    /// The price of a journey from stop to stop: its tap-in or its tap-out.
    Journey,
    /// A time of day at which the fare is another.
    TimeBand,
    /// A profile that pays less.
    Discount(Profile),
    /// A transfer, which costs less than a ride alone.
    Transfer,
    /// A cap that left less than the fare, or nothing.
    Cap,
    /// A pass, valid to the end of a service day.
    Pass {
        /// Its last service day.
        valid_until: ServiceDay,
        /// Service days left after this one.
        days_left: u16,
    },
    /// A profile that rides free.
    FreeProfile(Profile),
}

/// Why a rider is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The card is on the deny list.
    Denied,
    /// The purse holds less than the fare.
    NotEnough {
        /// What the purse holds.
        balance: Balance,
        /// What the ride costs.
        fare: Amount,
    },
    /// This validator has let this card in moments ago.
    AlreadyPaid,
    /// Another validator at this place has let this card in moments ago.
    UseSameGate,
    /// The tariff has no such line or stop, or the card's counters are used up.
    CannotDecide,
}

/// Decides one tap: a boarding, a tap-in or a tap-out.
pub fn decide(view: &CardView, tariff: &Tariff, boarding: &Boarding) -> Decision {
    match decided(view, tariff, boarding) {
        Ok(accept) => Decision::Accept(accept),
        Err(refusal) => Decision::Refuse(refusal),
    }
}

fn decided(view: &CardView, tariff: &Tariff, boarding: &Boarding) -> Result<Accept, Refusal> {
    let line = tariff.line(boarding.line).ok_or(Refusal::CannotDecide)?;
    let fare = tariff.journey_fare(line);
    let open = OpenJourney::of(&view.record, tariff);
    let is_out = goes_out(tariff, fare, boarding, open.as_ref()).ok_or(Refusal::CannotDecide)?;
    let is_both_ways = boarding.gate.kind == GateKind::Both;
    if view.denied && !is_out {
        return Err(Refusal::Denied);
    }
    if (!is_out || is_both_ways)
        && let Some(refusal) = pass_back(&view.record, tariff, boarding, is_out)
    {
        return Err(refusal);
    }
    match fare.filter(|_| is_out) {
        Some(fare) => leave(view, tariff, (line, fare), boarding, open),
        None => board(view, tariff, line, boarding, open),
    }
}

/// A boarding, or the begin of a journey.
fn board(
    view: &CardView,
    tariff: &Tariff,
    line: &Line,
    boarding: &Boarding,
    open: Option<OpenJourney<'_>>,
) -> Result<Accept, Refusal> {
    let now = tariff.calendar.service_time(boarding.at);
    let product = product_for(view, tariff, boarding.line, now.day);
    let mut path = match product.counts {
        Some(free) => price::free(tariff, (line, line.fare), free),
        None => {
            let single = price::single(tariff, (line, line.fare), view.issuer.as_ref(), now);
            single.ok_or(Refusal::CannotDecide)?
        }
    };
    let mut carried = view.record.carried;
    let mut chain = Chain::at(&view.record, boarding.at);
    let chain_rule = rule_for(tariff.transfer.as_ref(), line).filter(|_| path.free.is_none());
    if let Some(rule) = chain_rule {
        path.transfer = chain.board(rule, path.single_fare);
        path.charge = path.single_fare.saturating_sub(path.transfer.map_or(Amount::ZERO, |transfer| transfer.off));
    }
    if tariff.caps.any() {
        let spending = Spending::at(&view.record, now.day, boarding.at);
        if path.free.is_none() {
            let (capping, charge) = spending.cap(tariff.caps, path.charge);
            (path.caps, path.charge) = (Some(capping), charge);
        }
        carried.caps = spending.fields(path.charge);
    }
    if chain_rule.is_some() {
        chain.pay(path.charge);
    }
    carried.transfer = chain.fields();
    // Whatever journey was open, this tap does not end it.
    path.unfinished = open.and_then(|open| open.unfinished(view, tariff, boarding));
    let kind = match tariff.journey_fare(line) {
        Some(_) => {
            path.journey = Some(JourneyStep::TapIn(boarding.stop));
            let paid = u32::try_from(path.charge.minor()).map_err(|_| Refusal::CannotDecide)?;
            carried.journey = (boarding.stop.0, 0, paid);
            RecordKind::TapIn
        }
        None => {
            carried.journey = (0, 0, 0);
            RecordKind::Boarding
        }
    };
    accept(view, boarding, (path, carried, product.expired), kind)
}

/// Takes the charge of `path` from the credit on the card and then from its purse. Who leaves owes what it lacks.
fn accept(
    view: &CardView,
    boarding: &Boarding,
    (mut path, mut carried, expired_pass): (ChargePath, CarriedFields, Option<ServiceDay>),
    kind: RecordKind,
) -> Result<Accept, Refusal> {
    let balance = view.record.balance_after;
    let (sequence, remainder) = carried.action;
    let credit = Amount::from_minor(i64::from(remainder)).unwrap_or(Amount::ZERO);
    path.credit = credit.min(path.charge);
    path.charge = path.charge.saturating_sub(path.credit);
    let mut overpaid = Amount::ZERO;
    if let Some(JourneyStep::TapOut(tap_out)) = &mut path.journey {
        let held = Amount::from_minor(balance.minor()).unwrap_or(Amount::ZERO);
        tap_out.lacking = path.charge.saturating_sub(held);
        path.charge = path.charge.min(held);
        overpaid = tap_out.overpaid;
    }
    let remainder = i64::from(remainder) - path.credit.minor() + overpaid.minor();
    carried.action = (sequence, i32::try_from(remainder.min(REMAINDER_MAX)).map_err(|_| Refusal::CannotDecide)?);

    let fare = path.charge;
    let balance_after = balance.checked_debit(fare).ok_or(Refusal::CannotDecide)?;
    if fare > Amount::ZERO && balance_after < Balance::ZERO {
        return Err(Refusal::NotEnough { balance, fare });
    }
    let card_sequence = view.record.card_sequence + 1;
    if card_sequence > 0x00FF_FFFF {
        return Err(Refusal::CannotDecide);
    }
    let record = Record {
        kind,
        card_sequence,
        tap: Some(boarding.tap),
        previous: view.record.tap,
        time: boarding.at,
        line: boarding.line,
        stop: boarding.stop,
        amount: fare,
        balance_after,
        carried,
        recovered: false,
        ..view.record
    };
    Ok(Accept { fare, basis: path.basis(), path, expired_pass, record })
}

/// The most credit that a card's record holds: 23 bits and a sign.
const REMAINDER_MAX: i64 = 0x007F_FFFF;

/// Rides never exceed debits: a card that comes back to the place of its last ride is not let in again, whether or not
/// a desk has written on it since. A gate of both ways takes a card that comes back at once neither in nor out; one that
/// rides along, in a bus, takes it out at the next stop.
fn pass_back(record: &Record, tariff: &Tariff, boarding: &Boarding, is_out: bool) -> Option<Refusal> {
    let since_record_s = record.time.distance_s(boarding.at);
    let since_ride_s = match record.kind {
        RecordKind::Boarding | RecordKind::TapIn => since_record_s,
        RecordKind::TapOut if boarding.gate.kind == GateKind::Both => since_record_s,
        // Whole minutes, rounded down: a load never opens the window early.
        RecordKind::Load | RecordKind::Refund | RecordKind::Sale if record.line != LineNumber(0) => {
            since_record_s.saturating_add(60 * u32::from(record.carried.journey.1))
        }
        RecordKind::Load | RecordKind::Refund | RecordKind::Sale | RecordKind::Issued | RecordKind::TapOut => {
            return None;
        }
    };
    if since_ride_s >= tariff.pass_back_window_s {
        return None;
    }
    let here = record.stop == boarding.stop
        && (record.line == boarding.line || tariff.is_one_journey(record.line, boarding.line));
    if is_out && !here {
        None
    } else if record.last_tap().is_some_and(|last| last.device == boarding.tap.device) {
        Some(Refusal::AlreadyPaid)
    } else if here {
        Some(Refusal::UseSameGate)
    } else {
        None
    }
}

struct ProductFound {
    counts: Option<Free>,
    expired: Option<ServiceDay>,
}

fn product_for(view: &CardView, tariff: &Tariff, line: LineNumber, today: ServiceDay) -> ProductFound {
    let Some(issuer) = &view.issuer else {
        return ProductFound { counts: None, expired: None };
    };
    if tariff.free_profiles.contains(&issuer.profile) && today <= issuer.profile_valid_until {
        return ProductFound { counts: Some(Free::Profile(issuer.profile)), expired: None };
    }
    let passes = || issuer.products.iter().filter(|product| product.covers(line) && product.valid_from <= today);
    let valid_until = passes().map(|pass| pass.valid_until).filter(|until| today <= *until).max();
    ProductFound {
        counts: valid_until.map(|until| Free::Pass { valid_until: until, days_left: until.0 - today.0 }),
        expired: match valid_until {
            Some(_) => None,
            None => passes().map(|pass| pass.valid_until).max(),
        },
    }
}
