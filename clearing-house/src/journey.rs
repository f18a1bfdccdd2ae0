//! The fare decision, run again on what a tap recorded (pure). A difference is a finding, never a refusal: the rider
//! has ridden.

use transit::card::{Issuer, Record};
use transit::fare::{self, Boarding, CardView, Decision, Refusal};
use transit::id::TapId;
use transit::money::Amount;
use transit::tap::{Outcome, Reason, Tap};
use transit::tariff::{Tariff, Tariffs};
use transit::time::Moment;

use crate::finding::{Finding, FindingKind};
use crate::ledger::Basis;

/// The outcome of deciding again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redecided {
    /// What the fare rests on.
    pub basis: Basis,
    /// What does not fit.
    pub findings: Vec<Finding>,
}

/// Decides `tap` again: a completed or an unknown one, or one declined for want of money. Of others there is nothing
/// to decide.
pub fn decide_again(tap: &Tap, tariff: &Tariff) -> Redecided {
    let mut redecided = Redecided { basis: Basis::AsCharged, findings: Vec::new() };
    if !matches!(tap.outcome, Outcome::Done | Outcome::Unknown | Outcome::Declined(Reason::NotEnough)) {
        return redecided;
    }
    let mut find = |kind, detail: String| {
        redecided.findings.push(Finding::new(kind, tap.id, detail));
    };
    if tap.outcome == Outcome::Done && tap.debited.unwrap_or(Amount::ZERO) != tap.fare {
        let debited = tap.debited.map_or(0, Amount::minor);
        find(FindingKind::ChargeDiffers, format!("the fare is {} and the debit {debited}", tap.fare.minor()));
    }
    let view = match view(tap, tariff) {
        Ok(view) => view,
        Err(why) => {
            find(FindingKind::Undecidable, why);
            return redecided;
        }
    };
    let boarding = Boarding { tap: tap.id, line: tap.line, stop: tap.stop, at: tap.at, gate: tap.gate };
    let decision = fare::decide(&view, tariff, &boarding);
    match (tap.outcome, decision) {
        (Outcome::Declined(_), Decision::Refuse(Refusal::NotEnough { fare, .. })) if fare == tap.fare => {}
        (Outcome::Done | Outcome::Unknown, Decision::Accept(accept)) if accept.fare == tap.fare => {
            redecided.basis = match accept.basis {
                fare::Basis::FlatFare => Basis::FlatFare,
                fare::Basis::RouteLength => Basis::RouteLength,
                fare::Basis::Journey => Basis::Journey,
                fare::Basis::TimeBand => Basis::TimeBand,
                fare::Basis::Discount(profile) => Basis::Discount(profile),
                fare::Basis::Transfer => Basis::Transfer,
                fare::Basis::Cap => Basis::Cap,
                fare::Basis::Pass { .. } => Basis::Pass,
                fare::Basis::FreeProfile(profile) => Basis::FreeProfile(profile),
            };
            if !wrote(tap, accept.record) {
                let detail = "the record written is not the one that the fare decision makes".to_owned();
                find(FindingKind::DecisionDiffers, detail);
            }
        }
        (_, Decision::Accept(accept)) => {
            let said = format!("decided {} where the tariff says {}", tap.fare.minor(), accept.fare.minor());
            find(FindingKind::DecisionDiffers, said);
        }
        (_, Decision::Refuse(refusal)) => {
            find(FindingKind::DecisionDiffers, format!("the fare decision refuses this tap: {}", words(refusal)));
        }
    }
    redecided
}

/// The finding where `version` decided at a moment at which another one was in force.
pub fn tariff_not_in_force(id: TapId, at: Moment, version: u32, tariffs: &Tariffs) -> Option<Finding> {
    let in_force = tariffs.at(at).version;
    let detail = || format!("decided by tariff version {version}, in force was {in_force}");
    (version != in_force).then(|| Finding::new(FindingKind::TariffNotInForce, id, detail()))
}

/// What the validator knew of the card, where the tap recorded it and `tariff` is the one that decided.
pub(crate) fn view(tap: &Tap, tariff: &Tariff) -> Result<CardView, String> {
    if tap.tariff_version != tariff.version {
        return Err(format!("decided by tariff version {}, at hand is {}", tap.tariff_version, tariff.version));
    }
    recorded_view(tap)
}

/// The same, by whatever tariff it was decided.
pub(crate) fn recorded_view(tap: &Tap) -> Result<CardView, String> {
    let bytes = tap.record_read.ok_or("it lacks the record that was read")?;
    let record = Record::decode(&bytes).map_err(|error| format!("the record that was read: {error}"))?;
    let issuer = tap.issuer_read.map(|bytes| Issuer::decode(&bytes)).transpose();
    let issuer = issuer.map_err(|error| format!("the issuer file: {error}"))?;
    Ok(CardView { record, issuer, denied: false })
}

/// Whether the tap wrote `expected`. That it first had to resolve an unknown tap is its own to say.
fn wrote(tap: &Tap, expected: Record) -> bool {
    let written = tap.record_written.and_then(|bytes| Record::decode(&bytes).ok());
    written.is_some_and(|written| Record { recovered: false, ..written } == expected)
}

pub(crate) fn words(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Denied => "denied",
        Refusal::NotEnough { .. } => "not enough in the purse",
        Refusal::AlreadyPaid => "already paid here",
        Refusal::UseSameGate => "already paid at this place",
        Refusal::CannotDecide => "no such line, or counters used up",
    }
}
