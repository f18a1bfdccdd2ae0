//! The fare decision: everything it needs comes in, one value comes out. The validator acts on it, and the clearing
//! house runs it again on what the tap recorded and must get the same answer.

mod caps;
mod path;
mod price;
mod transfer;
mod words;

use crate::card::{Issuer, Profile, Record, RecordKind};
use crate::id::{LineNumber, StopNumber, TapId};
use crate::money::{Amount, Balance};
use crate::tariff::Tariff;
use crate::time::{Moment, ServiceDay};

pub use caps::{Cap, Capping};
pub use path::{ChargePath, Free};
pub use transfer::Transfer;
pub use words::Language;

use self::caps::Spending;
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
}

/// What to do with a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a box would allocate at every tap")]
pub enum Decision {
    /// Let the rider in, once the card has taken `record` and the debit.
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

/// Decides one boarding.
pub fn decide(view: &CardView, tariff: &Tariff, boarding: &Boarding) -> Decision {
    let Some(line) = tariff.line(boarding.line) else {
        return Decision::Refuse(Refusal::CannotDecide);
    };
    if view.denied {
        return Decision::Refuse(Refusal::Denied);
    }
    if let Some(refusal) = pass_back(&view.record, tariff, boarding) {
        return Decision::Refuse(refusal);
    }

    let now = tariff.calendar.service_time(boarding.at);
    let product = product_for(view, tariff, boarding.line, now.day);
    let path = match product.counts {
        Some(free) => Some(price::free(tariff, line, free)),
        None => price::single(tariff, line, view.issuer.as_ref(), now),
    };
    let Some(mut path) = path else {
        return Decision::Refuse(Refusal::CannotDecide);
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
    // A fare of one boarding owes nothing at the end of a journey: an open one is closed by it.
    carried.journey = (0, 0, 0);
    let fare = path.charge;
    let balance = view.record.balance_after;
    let Some(balance_after) = balance.checked_debit(fare) else {
        return Decision::Refuse(Refusal::CannotDecide);
    };
    if fare > Amount::ZERO && balance_after < Balance::ZERO {
        return Decision::Refuse(Refusal::NotEnough { balance, fare });
    }
    let card_sequence = view.record.card_sequence + 1;
    if card_sequence > 0x00FF_FFFF {
        return Decision::Refuse(Refusal::CannotDecide);
    }
    let record = Record {
        kind: RecordKind::Boarding,
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
    Decision::Accept(Accept { fare, basis: path.basis(), path, expired_pass: product.expired, record })
}

/// Rides never exceed debits: a card that comes back to the place of its last ride is not let in again, whether or not
/// a desk has written on it since.
fn pass_back(record: &Record, tariff: &Tariff, boarding: &Boarding) -> Option<Refusal> {
    let since_record_s = record.time.distance_s(boarding.at);
    let since_ride_s = match record.kind {
        RecordKind::Boarding | RecordKind::TapIn => since_record_s,
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
    let here = record.line == boarding.line && record.stop == boarding.stop;
    if record.last_tap().is_some_and(|last| last.device == boarding.tap.device) {
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
