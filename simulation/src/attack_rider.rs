//! Riders who pull, relay, hand back and copy their cards.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use card_crypto::{Lost, Transport};
use transit::tap::{Outcome, Reason};
use transit::time::Moment;
use virtual_card::CardInField;

use crate::Failed;
use crate::attack::Attack;
use crate::torn_bench::{Bench, ELSEWHERE, FARE, SITES, State};
use crate::torn_books::outbox;
use crate::torn_fault::{Exchange, Fault};

/// Presented again at once, and past the pass-back window.
const SOON_S: u32 = 20;
const LATE_S: u32 = 1000;
/// How often validators upload, and how long after a finding every validator has the deny list.
const UPLOAD_EVERY_S: u32 = 15 * 60;
const DENY_LIST_WITHIN_S: u32 = 60 * 60;
/// How often the rider with the copied card rides: as often as one gate lets one card in.
const RIDE_EVERY_S: u32 = 360;

/// Every attack of a rider.
///
/// # Errors
/// Something fails that is none of the attacks.
pub fn riders(bench: &mut Bench) -> Result<Vec<Attack>, Failed> {
    let mut attacks = vec![puller(bench)?, stubborn_puller(bench)?];
    for trick in Trick::ALL {
        attacks.push(relay(bench, trick)?);
    }
    for (gate, what) in [(0, "at the same gate"), (1, "at the next gate"), (ELSEWHERE, "on another bus")] {
        attacks.push(pass_back(bench, gate, what)?);
    }
    attacks.push(copied_card(bench)?);
    Ok(attacks)
}

/// What `attacker` came to on several cards, each of which has come to one of `states`.
fn attack(bench: &Bench, attacker: &str, states: &[State]) -> Result<Attack, Failed> {
    let mut sum = Attack {
        attacker: attacker.to_owned(),
        tries: 0,
        rides: 0,
        debits: 0,
        exposure_vnd: 0,
        needs_copied_card: false,
        problem: None,
    };
    for state in states {
        sum.tries += u32::from(state.presentations());
        sum.rides += state.greens;
        sum.debits += bench.debits(state)?;
        sum.exposure_vnd += i64::from(state.free_rides) * FARE;
    }
    Ok(sum)
}

/// Pulls a card at one exchange, before it acts or after, and presents it twice more; another card for each.
fn puller(bench: &mut Bench) -> Result<Attack, Failed> {
    const EXCHANGES: [Exchange; 5] =
        [Exchange::Authenticate, Exchange::ReadRecords, Exchange::Debit, Exchange::WriteRecord, Exchange::Commit];
    let mut states = Vec::new();
    for exchange in EXCHANGES {
        for fault in [Fault::LostBefore(exchange), Fault::LostAfter(exchange)] {
            let mut state = bench.start()?;
            state = bench.present(&state, 0, LATE_S, fault)?;
            state = bench.present(&state, 0, SOON_S, Fault::None)?;
            states.push(bench.present(&state, 0, SOON_S, Fault::None)?);
        }
    }
    attack(bench, "pulls the card at every exchange in turn", &states)
}

/// Pulls one card before the commit of every tap, until it is declined for that.
fn stubborn_puller(bench: &mut Bench) -> Result<Attack, Failed> {
    const TORN_TAPS_PER_CARD: usize = 8;
    let mut state = bench.start()?;
    for _ in 0..TORN_TAPS_PER_CARD {
        state = bench.present(&state, 0, SOON_S, Fault::LostBefore(Exchange::Commit))?;
    }
    let taps = state.logs[0].len();
    state = bench.present(&state, 0, SOON_S, Fault::None)?;
    let last = state.logs[0].taps.last().and_then(|tap| tap.open().ok()).map(|tap| tap.outcome);
    let is_declined = state.logs[0].len() > taps && last == Some(Outcome::Declined(Reason::TooManyTorn));
    let problem = (!is_declined).then(|| format!("after {TORN_TAPS_PER_CARD} torn taps the next came to {last:?}"));
    let found = attack(bench, "pulls the card before every commit, until it is declined", &[state])?;
    Ok(Attack { problem, ..found })
}

/// What a relay between validator and card does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trick {
    /// The commit never reaches the card.
    HoldsCommit,
    /// The commit reaches the card when the validator has given up.
    DelaysCommit,
    /// The commit's answer never reaches the validator.
    HoldsAnswer,
    /// The card commits twice on one command.
    RepeatsCommit,
    /// The commit never reaches the card; the validator gets the answer of an earlier one.
    ReplaysCommitAnswer,
    /// The validator gets the record of before the last ride.
    ReplaysRecord,
    /// There is no card: the validator gets every answer of an earlier tap.
    ReplaysTap,
}

impl Trick {
    const ALL: [Self; 7] = [
        Self::HoldsCommit,
        Self::DelaysCommit,
        Self::HoldsAnswer,
        Self::RepeatsCommit,
        Self::ReplaysCommitAnswer,
        Self::ReplaysRecord,
        Self::ReplaysTap,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::HoldsCommit => "a relay that holds back the commit",
            Self::DelaysCommit => "a relay that delivers the commit when the validator has given up",
            Self::HoldsAnswer => "a relay that holds back the commit's answer",
            Self::RepeatsCommit => "a relay that sends the commit twice",
            Self::ReplaysCommitAnswer => "a relay that replays the answer of an earlier commit",
            Self::ReplaysRecord => "a relay that replays the record of before the last ride",
            Self::ReplaysTap => "a relay that replays a whole earlier tap, without a card",
        }
    }
}

/// A relay.
struct Relay {
    field: CardInField,
    trick: Option<Trick>,
    /// The answers of an earlier tap, in order.
    recorded: Arc<Mutex<Vec<Vec<u8>>>>,
    exchanges: usize,
    held: Option<Vec<u8>>,
}

impl Relay {
    fn recorded(&self) -> Result<Vec<u8>, Lost> {
        lock(&self.recorded).get(self.exchanges - 1).cloned().ok_or(Lost::Card)
    }
}

impl Transport for Relay {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        self.exchanges += 1;
        let is_commit = self.exchanges == Exchange::Commit as usize;
        let is_read = self.exchanges == Exchange::ReadRecords as usize;
        match self.trick {
            None => {
                let answer = self.field.exchange(command)?;
                lock(&self.recorded).push(answer.clone());
                Ok(answer)
            }
            Some(Trick::HoldsCommit | Trick::DelaysCommit) if is_commit => {
                self.held = Some(command.to_vec());
                Err(Lost::Silent)
            }
            Some(Trick::HoldsAnswer) if is_commit => self.field.exchange(command).and(Err(Lost::Silent)),
            Some(Trick::RepeatsCommit) if is_commit => {
                let answer = self.field.exchange(command);
                // The card's answer to the second is no help to anybody.
                let _ = self.field.exchange(command);
                answer
            }
            Some(Trick::ReplaysCommitAnswer) if is_commit => self.recorded(),
            Some(Trick::ReplaysRecord) if is_read => self.field.exchange(command).and_then(|_| self.recorded()),
            Some(Trick::ReplaysTap) => self.recorded(),
            Some(_) => self.field.exchange(command),
        }
    }
}

/// A good ride that is recorded; then twice the trick and once none, with another card at each validator.
fn relay(bench: &mut Bench, trick: Trick) -> Result<Attack, Failed> {
    let recorded = Arc::new(Mutex::new(Vec::new()));
    let relay = |trick| {
        let recorded = Arc::clone(&recorded);
        move |field| Relay { field, trick, recorded, exchanges: 0, held: None }
    };
    let release = |mut relay: Relay| {
        if relay.trick == Some(Trick::DelaysCommit)
            && let Some(commit) = relay.held.take()
        {
            // Whatever the card says, nobody hears it.
            let _ = relay.field.exchange(&commit);
        }
        relay.field
    };
    let mut states = Vec::new();
    for gate in 0..SITES.len() {
        let mut state = bench.start()?;
        lock(&recorded).clear();
        state = bench.present_through(&state, (0, LATE_S), relay(None), release)?;
        for later_s in [LATE_S, SOON_S] {
            state = bench.present_through(&state, (gate, later_s), relay(Some(trick)), release)?;
        }
        states.push(bench.present(&state, gate, SOON_S, Fault::None)?);
    }
    attack(bench, trick.name(), &states)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Rides, and hands the card back to one who comes after, again and again.
fn pass_back(bench: &mut Bench, gate: usize, what: &str) -> Result<Attack, Failed> {
    let mut state = bench.start()?;
    state = bench.present(&state, 0, LATE_S, Fault::None)?;
    for _ in 0..3 {
        state = bench.present(&state, gate, SOON_S, Fault::None)?;
    }
    attack(bench, &format!("hands the card back {what}"), &[state])
}

/// A card that is put back to what it was before each ride. Real chips do not let that happen; a copy with the card's keys
/// could. The clearing house sees one transaction counter twice.
fn copied_card(bench: &mut Bench) -> Result<Attack, Failed> {
    let image = bench.start()?;
    let mut state = image.clone();
    let (mut found_at, mut is_denied) = (None, false);
    let mut uploaded_at = state.at;
    let mut outboxes = SITES.map(|_| outbox());
    bench.books().empty()?;
    while !is_denied {
        state = bench.present(&state.with_card(image.card.clone()), 0, RIDE_EVERY_S, Fault::None)?;
        if state.at.0 - uploaded_at.0 >= UPLOAD_EVERY_S {
            uploaded_at = state.at;
            for (site, (log, outbox)) in SITES.iter().zip(state.logs.iter().zip(&mut outboxes)) {
                bench.books().upload(*site, log, outbox, uploaded_at)?;
            }
            if found_at.is_none() && bench.books().look()?.findings.contains_key("counter_twice") {
                found_at = Some(uploaded_at);
            }
        }
        is_denied = found_at.is_some_and(|at: Moment| state.at.0 - at.0 >= DENY_LIST_WITHIN_S);
    }
    let token = state.logs[0].taps.last().and_then(|tap| tap.open().ok()).map(|tap| tap.card);
    for gate in bench.gates() {
        gate.deny(token.into_iter().collect())?;
    }
    let denied = bench.present(&state.with_card(image.card), 0, RIDE_EVERY_S, Fault::None)?;
    for gate in bench.gates() {
        gate.deny(Vec::new())?;
    }
    let problem = (denied.greens > state.greens).then(|| "a card on the deny list was let in".to_owned());
    let found = attack(bench, "puts the card back to what it was before each ride", &[state])?;
    Ok(Attack { needs_copied_card: true, problem, ..found })
}
