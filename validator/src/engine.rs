//! One tap, from a card in the field to an answer for the rider.
//!
//! ```text
//! purse    select, authenticate, read           nothing written yet
//! engine   own unknown tap of this card?        resolve it first, by the card's own record
//! transit  decide                               accept or refuse
//! log      intend                               durable ①, while the card takes debit and record
//! purse    commit                               verified, or unknown ②
//! log      conclude                             sealed tap in, intent out ③
//! ```

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use card_crypto::{Error, FrameSize, Lost, Transport};
use key_store::{KeyStore, KeyStoreError, Keys};
use transit::card::{Record, RecordKind};
use transit::fare::{Accept, Basis, Boarding, CardView, Decision, Gate, Refusal, decide};
use transit::id::{CardToken, LineNumber, OperatorId, StopNumber, TapId};
use transit::money::Amount;
use transit::screen::{AttentionReason, DeclineReason, OutOfServiceReason, PassShown, State, Way};
use transit::tap::{Outcome, Reason, Tap, TransactionMac};
use transit::tariff::Tariffs;
use transit::time::Moment;

use crate::card::{Committed, OpenCard, roll_keys};
use crate::config::{CoreConfig, DenyList};
use crate::log::{LogFailed, OpenTap, TapLog};
use crate::purse::{Purse, Unusable, read_older_records};

/// Where the validator stands, and what it decides with.
#[derive(Debug)]
pub struct Rules {
    /// Whose validator it is.
    pub operator: OperatorId,
    /// The line.
    pub line: LineNumber,
    /// The stop.
    pub stop: StopNumber,
    /// Whether it is a way in or out.
    pub gate: Gate,
    /// The prices, each version from its day on.
    pub tariffs: Tariffs,
    /// The cards that are not let in.
    pub deny_list: DenyList,
    /// The native frame size of the cards in use.
    pub frame_size: FrameSize,
    /// How long the intent may take to reach the disk.
    pub intent_deadline: Duration,
    /// Torn taps of one card within a day before it is declined.
    pub torn_taps_per_card: u32,
    /// Cards on EV1 chips are in use; without, a chip that says it is one is declined.
    pub ev1_cards: bool,
    /// Older records read as evidence after an accepted tap, 0 to 2.
    pub older_records: u8,
    /// Cards that may be rolled to newer keys within an hour; 0 rolls none.
    pub key_rolls_per_hour: u32,
}

impl Rules {
    /// As `config` says, at a gate of this kind, with these prices and cards that are not let in.
    pub fn new(config: &CoreConfig, gate: Gate, tariffs: Tariffs, deny_list: DenyList) -> Self {
        Self {
            operator: config.operator,
            line: config.line,
            stop: config.stop,
            gate,
            tariffs,
            deny_list,
            frame_size: match config.frame_size {
                64 => FrameSize::Bytes64,
                256 => FrameSize::Bytes256,
                _ => FrameSize::Bytes128,
            },
            intent_deadline: Duration::from_millis(config.limits.intent_deadline_ms),
            torn_taps_per_card: config.limits.torn_taps_per_card,
            ev1_cards: config.ev1_cards,
            older_records: config.limits.older_records,
            key_rolls_per_hour: config.limits.key_rolls_per_hour,
        }
    }
}

/// The tap engine.
#[derive(Debug)]
pub struct Engine {
    rules: Rules,
    keys: Keys,
    log: Option<TapLog>,
    rolls: KeyRolls,
}

/// How many cards were rolled, and in which hour. An irreversible change of cards is slow on purpose: a wrong set of keys
/// is noticed before it has reached many.
#[derive(Debug, Default)]
struct KeyRolls {
    hour: u32,
    tried: u32,
}

impl KeyRolls {
    /// Whether one more is due in this hour; it is counted then, whatever becomes of it.
    fn take(&mut self, at: Moment, per_hour: u32) -> bool {
        let hour = at.0 / 3600;
        if hour != self.hour {
            *self = Self { hour, tried: 0 };
        }
        let due = self.tried < per_hour;
        self.tried += u32::from(due);
        due
    }
}

/// What a tap came to.
#[derive(Debug)]
pub struct Answer<T> {
    /// What to show.
    pub state: State,
    /// The sealed tap that holds it; `None` where nothing happened that must be kept.
    pub tap: Option<TapId>,
    /// Exchanges with the card up to the decision.
    pub exchanges: u32,
    afterwards: Option<Afterwards<T>>,
}

/// The card of an accepted tap, while it still lies there.
#[derive(Debug)]
struct Afterwards<T> {
    card: OpenCard<Counted<T>>,
    /// Records below the one that the tap read.
    older: u8,
    tap: Tap,
    has_older_key: bool,
}

impl Engine {
    /// An engine that decides by `rules`. It takes taps once it has a log.
    pub fn new(rules: Rules, keys: impl Into<Keys>) -> Self {
        Self { rules, keys: keys.into(), log: None, rolls: KeyRolls::default() }
    }

    /// Writes to `log` from now on.
    pub fn use_log(&mut self, log: TapLog) {
        self.log = Some(log);
    }

    /// Closes the log; no taps until there is another.
    pub fn close_log(&mut self) {
        self.log = None;
    }

    /// The log, for flushing and for acknowledgements.
    pub fn log(&mut self) -> Option<&mut TapLog> {
        self.log.as_mut()
    }

    /// One tap: `uid` as the reader gave it, `at` the time, `rnd_a` sixteen fresh random bytes.
    ///
    /// # Errors
    /// [`LogFailed`]: the log does not take it, so no money moves and nobody is admitted. Go out of service.
    pub fn tap<T: Transport>(
        &mut self,
        transport: T,
        uid: &[u8],
        at: Moment,
        rnd_a: [u8; 16],
    ) -> Result<Answer<T>, LogFailed> {
        let exchanges = Rc::new(Cell::new(0));
        let counted = Counted { transport, exchanges: Rc::clone(&exchanges) };
        let mut answer = self.tapping()?.present(counted, uid, at, rnd_a)?;
        answer.exchanges = exchanges.get();
        Ok(answer)
    }

    /// After the green, while the card still lies there: older records of other taps, kept as evidence, and, for a card
    /// with the older of two keys, its roll to the newer. Best effort: a card that left is no error.
    ///
    /// # Errors
    /// [`LogFailed`]: the log does not take the evidence.
    pub fn read_older<T: Transport>(&mut self, answer: Answer<T>) -> Result<(), LogFailed> {
        let Some(Afterwards { mut card, older, tap, has_older_key }) = answer.afterwards else { return Ok(()) };
        let (token, at) = (tap.card, tap.at);
        self.keep_older(&mut card, older, tap)?;
        if has_older_key
            && let OpenCard::Ev2(card) = card
            && self.rolls.take(at, self.rules.key_rolls_per_hour)
        {
            match roll_keys(card) {
                Ok(()) => tracing::info!(card = %token, "rolled to newer keys"),
                Err(error) => tracing::warn!(card = %token, error = &error as &dyn std::error::Error, "not rolled"),
            }
        }
        Ok(())
    }

    fn keep_older<T: Transport>(
        &mut self,
        card: &mut OpenCard<Counted<T>>,
        older: u8,
        tap: Tap,
    ) -> Result<(), LogFailed> {
        let count = older.min(self.rules.older_records);
        // The newest record is this tap's, and the one below it was read by this tap: skip both.
        let Ok(records) = read_older_records(card, 2, count) else { return Ok(()) };
        let Some(newest) = records.first() else { return Ok(()) };
        let log = self.tapping()?.log;
        let evidence = Tap {
            id: log.next_id(),
            outcome: Outcome::Evidence,
            fare: Amount::ZERO,
            debited: None,
            transaction_mac: None,
            record_read: Some(*newest),
            issuer_read: None,
            record_written: records.get(1).copied(),
            ..tap
        };
        log.conclude(&evidence).wait()
    }

    fn tapping(&mut self) -> Result<Tapping<'_>, LogFailed> {
        let log = self.log.as_mut().ok_or(LogFailed::Closed)?;
        Ok(Tapping { rules: &self.rules, keys: &mut self.keys, log })
    }
}

/// The engine with its log, for the time of one tap.
struct Tapping<'a> {
    rules: &'a Rules,
    keys: &'a mut Keys,
    log: &'a mut TapLog,
}

impl Tapping<'_> {
    fn present<T: Transport>(
        &mut self,
        transport: Counted<T>,
        uid: &[u8],
        at: Moment,
        rnd_a: [u8; 16],
    ) -> Result<Answer<T>, LogFailed> {
        // A random or short identifier belongs to no card of ours: ours are issued with a fixed one of seven bytes.
        let Ok(uid) = <[u8; 7]>::try_from(uid) else {
            let mut padded = [0; 7];
            padded.iter_mut().zip(uid).for_each(|(to, from)| *to = *from);
            return match self.keys.token(&padded) {
                Ok(token) => self.decline(self.blank(token, at), Reason::NotOurs, None),
                Err(error) => Ok(keys_failed(&error)),
            };
        };
        let mut tap = match self.keys.token(&uid) {
            Ok(token) => self.blank(token, at),
            Err(error) => return Ok(keys_failed(&error)),
        };
        let purse = match Purse::open(transport, self.rules.frame_size, self.rules.ev1_cards, self.keys, &uid, rnd_a) {
            Ok(purse) => purse,
            Err(unusable) => return self.unusable(tap, &unusable),
        };
        tap.record_read = Some(purse.record_bytes);
        tap.issuer_read = purse.issuer.map(|(bytes, _)| bytes);

        let view = CardView {
            record: purse.record,
            issuer: purse.issuer.map(|(_, issuer)| issuer),
            denied: self.rules.deny_list.contains(tap.card),
        };
        if let Some(answer) = self.resolve_unknown(&tap, &view)? {
            return Ok(answer);
        }
        tap.id = self.log.next_id();
        let is_torn = self.log.torn_taps(tap.card, at) >= self.rules.torn_taps_per_card;
        match self.decide(&view, &tap) {
            // An exit never traps.
            Decision::Accept(accept) if accept.record.kind == RecordKind::TapOut => self.charge(purse, tap, &accept),
            _ if is_torn => self.decline(tap, Reason::TooManyTorn, None),
            Decision::Refuse(refusal) => self.refuse(tap, refusal, view.record.last_tap()),
            Decision::Accept(accept) => self.charge(purse, tap, &accept),
        }
    }

    fn decide(&self, view: &CardView, tap: &Tap) -> Decision {
        let boarding = Boarding { tap: tap.id, line: tap.line, stop: tap.stop, at: tap.at, gate: tap.gate };
        decide(view, self.rules.tariffs.of_version(tap.tariff_version), &boarding)
    }

    /// This validator's own taps of the card that are unknown: the card's record decides, and a rider who was charged
    /// and never let in is let in now, once. Who may have been let in before the power went is not: the tap goes on as
    /// any other of a card that has paid. Who is inside all the same, and taps to leave, is let out by this tap.
    fn resolve_unknown<T>(&mut self, tap: &Tap, view: &CardView) -> Result<Option<Answer<T>>, LogFailed> {
        let record = &view.record;
        for open in self.log.open_taps(tap.card) {
            // A desk that has written since does not take the ride away.
            let newest_is_it = record.last_tap() == Some(open.id) && !self.leaves_now(view, tap);
            let Some(committed) = evidence(&open, record) else { continue };
            let admits = newest_is_it && !open.perhaps_admitted;
            let outcome = if committed {
                Outcome::Confirmed { names: open.id, admitted: admits }
            } else {
                Outcome::Voided { names: open.id }
            };
            let fare = if committed { open.fare } else { Amount::ZERO };
            let resolution = Tap { id: self.log.next_id(), outcome, fare, issuer_read: None, ..tap.clone() };
            self.log.conclude(&resolution).wait()?;
            if admits {
                let state = State::Accepted {
                    fare,
                    balance: record.balance_after,
                    pass: None,
                    concession: None,
                    expired_pass: None,
                    recovered: true,
                    way: way(record.kind),
                };
                return Ok(Some(Answer::sealed(state, &resolution)));
            }
        }
        Ok(None)
    }

    /// Whether this tap ends a journey that the card has open.
    fn leaves_now(&self, view: &CardView, tap: &Tap) -> bool {
        view.record.carried.journey.0 != 0
            && match self.decide(view, tap) {
                Decision::Accept(accept) => accept.record.kind == RecordKind::TapOut,
                Decision::Refuse(_) => false,
            }
    }

    /// Debits and writes while the intent goes to the disk, commits when it is there.
    fn charge<T: Transport>(
        &mut self,
        purse: Purse<Counted<T>>,
        mut tap: Tap,
        accept: &Accept,
    ) -> Result<Answer<T>, LogFailed> {
        let encoded = accept.record.encode().ok().zip(accept.fare.card_minor());
        let Some((record, fare_minor)) = encoded else {
            return self.decline(tap, Reason::CardUnusable, None);
        };
        tap.fare = accept.fare;
        tap.debited = (fare_minor > 0).then_some(accept.fare);
        tap.record_written = Some(record);
        let older = u8::try_from(purse.record.card_sequence.saturating_sub(1)).unwrap_or(u8::MAX);
        let has_older_key = purse.has_older_key;

        let intent = self.log.intend(&tap);
        let staged = purse.stage(fare_minor, &record);
        let durable = intent.wait_for(self.rules.intent_deadline);
        let staged = match (staged, durable) {
            (Ok(staged), Some(Ok(()))) => staged,
            (Ok(staged), None) => {
                // The disk stalls. No money moves without a durable intent; the void follows when the disk is back.
                staged.give_up();
                let _ = self.void(tap);
                return Ok(Answer::unsealed(State::PresentAgain));
            }
            (Ok(staged), Some(Err(failed))) => {
                staged.give_up();
                return Err(failed);
            }
            (Err(_), Some(Err(failed))) => return Err(failed),
            (Err(error), None) => {
                let _ = self.void(tap);
                return Ok(Answer::unsealed(not_staged(error)));
            }
            (Err(error), Some(Ok(()))) => {
                let answer = Answer::sealed(not_staged(error), &tap);
                self.void(tap).wait()?;
                return Ok(answer);
            }
        };
        match staged.commit() {
            Committed::Done { card, transaction_mac } => {
                tap.outcome = Outcome::Done;
                tap.transaction_mac =
                    transaction_mac.map(|mac| TransactionMac { counter: mac.counter, value: mac.value });
                self.log.conclude(&tap).wait()?;
                let answer = Answer::sealed(accepted(accept), &tap);
                Ok(Answer { afterwards: Some(Afterwards { card, older, tap, has_older_key }), ..answer })
            }
            Committed::Unknown => {
                tap.outcome = Outcome::Unknown;
                self.log.conclude(&tap).wait()?;
                Ok(Answer::sealed(State::PresentAgain, &tap))
            }
        }
    }

    fn void(&mut self, tap: Tap) -> crate::log::Pending {
        self.log.conclude(&Tap { outcome: Outcome::Void, ..tap })
    }

    fn unusable<T>(&mut self, tap: Tap, unusable: &Unusable) -> Result<Answer<T>, LogFailed> {
        tracing::info!(card = %tap.card, error = unusable as &dyn std::error::Error, "card not usable");
        match unusable {
            Unusable::Keys(error) => Ok(keys_failed(error)),
            Unusable::Lost(_) => Ok(Answer::unsealed(State::PresentAgain)),
            Unusable::NotOurs(_) => self.decline(tap, Reason::NotOurs, None),
            Unusable::NotGenuine(_) => self.decline(tap, Reason::NotGenuine, None),
            Unusable::Refused(_) | Unusable::Content(_) => self.decline(tap, Reason::CardUnusable, None),
        }
    }

    /// `paid` is the ride that the card's record tells of.
    fn refuse<T>(&mut self, tap: Tap, refusal: Refusal, paid: Option<TapId>) -> Result<Answer<T>, LogFailed> {
        match refusal {
            Refusal::Denied => self.decline(tap, Reason::Denied, None),
            Refusal::NotEnough { balance, fare } => {
                self.decline(Tap { fare, ..tap }, Reason::NotEnough, Some((balance, fare)))
            }
            Refusal::AlreadyPaid => self.already_paid(tap, paid),
            Refusal::UseSameGate => self.decline(tap, Reason::UseSameGate, None),
            Refusal::CannotDecide => self.decline(tap, Reason::CardUnusable, None),
        }
    }

    fn already_paid<T>(&mut self, tap: Tap, paid: Option<TapId>) -> Result<Answer<T>, LogFailed> {
        let without_a_ride = paid.is_some() && self.log.confirmed_without_a_ride(tap.card) == paid;
        let answer = self.decline(tap, Reason::AlreadyPaid, None)?;
        let reason = if without_a_ride { AttentionReason::PaidBeforePowerLoss } else { AttentionReason::AlreadyPaid };
        Ok(Answer { state: State::Attention { reason }, ..answer })
    }

    fn decline<T>(
        &mut self,
        tap: Tap,
        reason: Reason,
        money: Option<(transit::money::Balance, Amount)>,
    ) -> Result<Answer<T>, LogFailed> {
        let tap = Tap { outcome: Outcome::Declined(reason), ..tap };
        self.log.conclude(&tap).wait()?;
        let (balance, fare) = money.unzip();
        let declined = |reason| State::Declined { reason, balance, fare };
        let state = match reason {
            Reason::NotEnough => declined(DeclineReason::NotEnough),
            Reason::Denied => declined(DeclineReason::Denied),
            Reason::NotGenuine => declined(DeclineReason::NotGenuine),
            Reason::NotOurs => declined(DeclineReason::NotOurs),
            Reason::CardUnusable => declined(DeclineReason::CardUnusable),
            Reason::TooManyTorn => declined(DeclineReason::TooManyTorn),
            Reason::AlreadyPaid => State::Attention { reason: AttentionReason::AlreadyPaid },
            Reason::UseSameGate => State::Attention { reason: AttentionReason::UseSameGate },
        };
        Ok(Answer::sealed(state, &tap))
    }

    fn blank(&self, card: CardToken, at: Moment) -> Tap {
        Tap {
            id: self.log.next_id(),
            at,
            operator: self.rules.operator,
            line: self.rules.line,
            stop: self.rules.stop,
            gate: self.rules.gate,
            tariff_version: self.rules.tariffs.at(at).version,
            deny_list_version: self.rules.deny_list.version(),
            card,
            outcome: Outcome::Unknown,
            fare: Amount::ZERO,
            debited: None,
            transaction_mac: None,
            record_read: None,
            issuer_read: None,
            record_written: None,
        }
    }
}

/// Whether the card took an unknown tap, by its newest record and the one that this names before it; `None` when too
/// many taps have come since.
fn evidence(open: &OpenTap, record: &Record) -> Option<bool> {
    if record.tap == Some(open.id) || record.previous == Some(open.id) {
        return Some(true);
    }
    let since = record.card_sequence.checked_sub(open.card_sequence_before)?;
    // Its record would be the one after `card_sequence_before`: unchanged, or another's, or the one before another's.
    (since <= 2).then_some(false)
}

/// The SAM did not do its part. No card is to blame, nothing is written; the next tap asks it again.
fn keys_failed<T>(error: &KeyStoreError) -> Answer<T> {
    tracing::error!(error = error as &dyn std::error::Error, "the keys cannot be used");
    Answer::unsealed(State::OutOfService { reason: OutOfServiceReason::Reader })
}

fn accepted(accept: &Accept) -> State {
    let (pass, concession) = match accept.basis {
        Basis::FlatFare | Basis::RouteLength | Basis::Journey | Basis::TimeBand | Basis::Transfer | Basis::Cap => {
            (None, None)
        }
        // The screen says "free" of a concession: one that only pays less shows its fare.
        Basis::Discount(_) => (None, None),
        Basis::Pass { valid_until, days_left } => (Some(PassShown { valid_until, days_left }), None),
        Basis::FreeProfile(profile) => (None, Some(profile)),
    };
    State::Accepted {
        fare: accept.fare,
        balance: accept.record.balance_after,
        pass,
        concession,
        expired_pass: accept.expired_pass,
        recovered: false,
        way: way(accept.record.kind),
    }
}

fn way(kind: RecordKind) -> Option<Way> {
    match kind {
        RecordKind::TapIn => Some(Way::In),
        RecordKind::TapOut => Some(Way::Out),
        RecordKind::Boarding | RecordKind::Issued | RecordKind::Load | RecordKind::Refund | RecordKind::Sale => None,
    }
}

/// The card did not take the debit or the record: it is unchanged.
fn not_staged(error: Error) -> State {
    let reason = match error {
        Error::Lost(_) => return State::PresentAgain,
        Error::Misbehaved(_) => DeclineReason::NotGenuine,
        Error::Refused { .. } | Error::Misused(_) => DeclineReason::CardUnusable,
    };
    State::Declined { reason, balance: None, fare: None }
}

impl<T> Answer<T> {
    fn sealed(state: State, tap: &Tap) -> Self {
        Self { state, tap: Some(tap.id), exchanges: 0, afterwards: None }
    }

    fn unsealed(state: State) -> Self {
        Self { state, tap: None, exchanges: 0, afterwards: None }
    }
}

/// Counts the exchanges of one presentation.
#[derive(Debug)]
struct Counted<T> {
    transport: T,
    exchanges: Rc<Cell<u32>>,
}

impl<T: Transport> Transport for Counted<T> {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        self.exchanges.set(self.exchanges.get() + 1);
        self.transport.exchange(command)
    }
}
