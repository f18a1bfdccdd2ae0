//! Inspect: what a card holds, and whether it would be let in. Nothing is written here; the program settles the card's
//! open actions before it.

use card_crypto::Transport;
use key_store::KeyStore;
use serde::Serialize;
use transit::card::{Issuer, Product, ProductKind, Profile, Record, RecordKind};
use transit::fare::{Boarding, CardView, Decision, Gate, Refusal as FareRefusal, decide};
use transit::id::{CardToken, LineNumber, StopNumber, TapId};
use transit::money::{Amount, Balance};
use transit::time::{Moment, ServiceDay};

use crate::desk::Desk;
use crate::refusal::{DeskError, Refusal};
use crate::report::Report;
use crate::session::{Also, CardError, Opened, Opening, Random, Session, open};

/// What a card holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// What taps and actions call it.
    pub card: CardToken,
    /// What the purse holds, by the purse itself.
    pub balance_minor: Balance,
    /// Who rides.
    pub profile: Profile,
    /// The last service day on which the profile counts.
    pub profile_valid_until: Option<ServiceDay>,
    /// Its passes, those that are over included.
    pub passes: Vec<PassOnCard>,
    /// Its records, the newest first.
    pub records: Vec<RecordOnCard>,
    /// Whether it would be let in, line by line.
    pub verdicts: Vec<Verdict>,
}

/// A pass on a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PassOnCard {
    /// What it is.
    pub kind: ProductKind,
    /// The line of a one-route pass.
    pub line: LineNumber,
    /// The first service day.
    pub valid_from: ServiceDay,
    /// The last service day.
    pub valid_until: ServiceDay,
    /// It counts today.
    pub is_valid: bool,
}

/// A record of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RecordOnCard {
    /// What made it.
    #[serde(serialize_with = "crate::report::record_kind")]
    pub kind: RecordKind,
    /// The tap or action that made it.
    #[serde(serialize_with = "crate::report::some_id")]
    pub id: Option<TapId>,
    /// When.
    pub at: Moment,
    /// The line.
    pub line: LineNumber,
    /// The stop.
    pub stop: StopNumber,
    /// What was debited, loaded, paid out or paid.
    pub amount_minor: Amount,
    /// The purse after it.
    pub balance_after_minor: Balance,
}

/// Whether a card would be let in on a line now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The line.
    pub line: LineNumber,
    /// It would be let in, for this much; `None`: it would not.
    pub fare_minor: Option<Amount>,
    /// Why it would not.
    pub refusal: Option<&'static str>,
}

impl<K: KeyStore> Desk<K> {
    /// Reads everything of a card under key 2.
    ///
    /// # Errors
    /// [`DeskError`]; a purse that differs from the newest record is refused.
    pub fn inspect<T: Transport>(
        &mut self,
        transport: &mut T,
        uid: &[u8],
        at: Moment,
        random: Random<'_>,
    ) -> Result<Report, DeskError> {
        let (uid, card) = self.token(uid)?;
        let (record, issuer, older, purse_minor) = match open(transport, &uid, Also::Issuer, &mut self.keys, random)? {
            Opening::Ev1(opened) => read_whole(opened)?,
            Opening::Ev2(opened) => read_whole(opened)?,
        };
        if i64::from(purse_minor) != record.balance_after.minor() {
            let purse_minor = i64::from(purse_minor);
            return Err(Refusal::PurseDiffers { purse_minor, record: record.balance_after }.into());
        }
        let today = self.rules.tariffs.calendar().service_day(at);
        let passes = issuer.iter().flat_map(|issuer| issuer.products).filter(|pass| pass.kind != ProductKind::None);
        let profile = issuer.map_or(record.profile, |issuer| issuer.profile);
        Ok(Report::Inspected(Box::new(Inspection {
            card,
            balance_minor: record.balance_after,
            profile,
            profile_valid_until: issuer
                .filter(|_| profile != Profile::Ordinary)
                .map(|issuer| issuer.profile_valid_until),
            passes: passes.map(|pass| pass_on_card(&pass, today)).collect(),
            verdicts: self.verdicts(card, &record, issuer, at)?,
            records: std::iter::once(&record).chain(&older).map(record_on_card).collect(),
        })))
    }

    /// The decision of a validator of each line, at no stop in particular.
    fn verdicts(
        &self,
        card: CardToken,
        record: &Record,
        issuer: Option<Issuer>,
        at: Moment,
    ) -> Result<Vec<Verdict>, DeskError> {
        let tap = self.journal.next_id()?;
        let view = CardView {
            record: *record,
            issuer: issuer.filter(|_| record.has_pass || record.has_profile),
            denied: self.is_blocked(card)?,
        };
        let tariff = self.rules.tariffs.at(at);
        let verdict = |line: LineNumber| {
            let boarding = Boarding { tap, line, stop: StopNumber(0), at, gate: Gate::ENTRY };
            match decide(&view, tariff, &boarding) {
                Decision::Accept(accept) => Verdict { line, fare_minor: Some(accept.fare), refusal: None },
                Decision::Refuse(refusal) => Verdict { line, fare_minor: None, refusal: Some(refusal_name(refusal)) },
            }
        };
        Ok(tariff.lines.iter().map(|line| verdict(line.number)).collect())
    }
}

type Whole = (Record, Option<Issuer>, Vec<Record>, i32);

fn read_whole<T: Transport, S: Session>(mut opened: Opened<T, S>) -> Result<Whole, CardError> {
    let purse_minor = opened.purse_minor()?;
    let older = opened.older_records()?;
    Ok((opened.record, opened.issuer.map(|(_, issuer)| issuer), older, purse_minor))
}

fn pass_on_card(pass: &Product, today: ServiceDay) -> PassOnCard {
    PassOnCard {
        kind: pass.kind,
        line: pass.line,
        valid_from: pass.valid_from,
        valid_until: pass.valid_until,
        is_valid: (pass.valid_from..=pass.valid_until).contains(&today),
    }
}

fn record_on_card(record: &Record) -> RecordOnCard {
    RecordOnCard {
        kind: record.kind,
        id: record.tap,
        at: record.time,
        line: record.line,
        stop: record.stop,
        amount_minor: record.amount,
        balance_after_minor: record.balance_after,
    }
}

/// Its name, as in the JSON text.
fn refusal_name(refusal: FareRefusal) -> &'static str {
    match refusal {
        FareRefusal::Denied => "denied",
        FareRefusal::NotEnough { .. } => "not_enough",
        FareRefusal::AlreadyPaid => "already_paid",
        FareRefusal::UseSameGate => "use_same_gate",
        FareRefusal::CannotDecide => "cannot_decide",
    }
}
