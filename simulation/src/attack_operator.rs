//! Operators who bill what no card paid, bill twice, and keep taps back.

use transit::card::Record;
use transit::fare::{Boarding, CardView, Decision, decide};
use transit::id::{DeviceId, OperatorId, TapId};
use transit::money::Amount;
use transit::sync::Verdict;
use transit::tap::{CHAIN_START, Outcome, SealedTap, Tap};
use transit::tariff::Tariff;
use transit::time::Moment;

use crate::Failed;
use crate::attack::Attack;
use crate::attack_gap::gap_fillers;
use crate::torn_bench::{Bench, ELSEWHERE, FARE, SITES, State};
use crate::torn_books::{Booked, outbox};
use crate::torn_fault::Fault;

pub(crate) const LATE_S: u32 = 1000;
/// The rides that the operator's validator really gave.
pub(crate) const RIDES: u32 = 3;
/// The rides that it makes up.
const MADE_UP: u32 = 10;

/// Every attack of an operator.
///
/// # Errors
/// Something fails that is none of the attacks.
pub fn operators(bench: &mut Bench) -> Result<Vec<Attack>, Failed> {
    let mut attacks =
        vec![sends_twice(bench)?, bills_anew(bench)?, bills_elsewhere(bench)?, bills_unknowns(bench)?, drops(bench)?];
    attacks.extend(gap_fillers(bench)?);
    Ok(attacks)
}

/// Some good rides at the operator's validator, the first of the card's rides having been elsewhere.
fn honest(bench: &mut Bench) -> Result<(State, Vec<SealedTap>), Failed> {
    let mut state = bench.start()?;
    for _ in 0..RIDES {
        state = bench.present(&state, 0, LATE_S, Fault::None)?;
    }
    bench.books().empty()?;
    bench.books().upload(SITES[ELSEWHERE], &state.logs[ELSEWHERE], &mut outbox(), state.at)?;
    let taps = state.logs[0].taps.as_ref().clone();
    Ok((state, taps))
}

/// What the operators were booked beyond what the card paid.
pub(crate) fn gained(booked: &Booked, rides_uploaded: u32) -> i64 {
    // The ride elsewhere is in the books as well.
    booked.payable_minor - i64::from(rides_uploaded + 1) * FARE
}

pub(crate) fn attack(attacker: &str, tries: usize, gained_vnd: i64, problem: Option<String>) -> Attack {
    Attack {
        attacker: attacker.to_owned(),
        tries: u32::try_from(tries).unwrap_or(u32::MAX),
        rides: RIDES + 1,
        debits: RIDES + 1,
        exposure_vnd: gained_vnd.max(0),
        needs_copied_card: false,
        problem,
    }
}

/// Every tap again and again: whole, one by one, backwards.
fn sends_twice(bench: &mut Bench) -> Result<Attack, Failed> {
    let (state, taps) = honest(bench)?;
    let books = bench.books();
    let mut verdicts = books.try_upload(&taps, state.at)?;
    for tap in taps.iter().chain(taps.iter().rev()) {
        verdicts.extend(books.try_upload(std::slice::from_ref(tap), state.at)?);
    }
    verdicts.extend(books.try_upload(&taps, state.at)?);
    let booked = books.look()?;
    Ok(attack("an operator that sends every tap four times", verdicts.len(), gained(&booked, RIDES), None))
}

/// The same rides once more, as the next taps of the log.
fn bills_anew(bench: &mut Bench) -> Result<Attack, Failed> {
    let (state, taps) = honest(bench)?;
    let anew = sealed_anew(&taps, next_id(&taps)?, SITES[0].operator, head(&taps))?;
    bill(bench, &state, [taps, anew].concat(), "an operator that bills every ride again under another name")
}

/// The rides of another operator, as one's own.
fn bills_elsewhere(bench: &mut Bench) -> Result<Attack, Failed> {
    let (state, taps) = honest(bench)?;
    let device = DeviceId::new(SITES[1].device).ok_or_else(|| Failed::Unexpected("no device".to_owned()))?;
    let first = TapId { device, epoch: 1, sequence: 1 };
    let own = sealed_anew(&taps, first, SITES[1].operator, CHAIN_START)?;
    bill(bench, &state, [taps, own].concat(), "an operator that bills another operator's rides")
}

fn bill(bench: &mut Bench, state: &State, taps: Vec<SealedTap>, attacker: &str) -> Result<Attack, Failed> {
    let verdicts = bench.books().try_upload(&taps, state.at)?;
    let refused = verdicts.iter().filter(|verdict| **verdict == Verdict::MacWrong).count();
    let problem = (refused != taps.len() - RIDES as usize).then(|| format!("the verdicts are {verdicts:?}"));
    let booked = bench.books().look()?;
    Ok(attack(attacker, verdicts.len(), gained(&booked, RIDES), problem))
}

/// Unknown taps of a card that never came, each claimed to be confirmed, and then the card rides elsewhere.
fn bills_unknowns(bench: &mut Bench) -> Result<Attack, Failed> {
    let (state, taps) = honest(bench)?;
    let last = taps.last().ok_or_else(|| Failed::Unexpected("the validator has no taps".to_owned()))?;
    let (last, mut hash) = (last.open().map_err(Failed::unexpected)?, last.hash());
    let mut id = next_id(&taps)?;
    let mut made_up = Vec::new();
    for number in 0..MADE_UP {
        let at = Moment(last.at.0 + LATE_S * (number + 1));
        let unknown = unknown(bench.tariff(), &last, id, at)?;
        let claim = Tap {
            id: TapId { sequence: id.sequence + 1, ..id },
            outcome: Outcome::Confirmed { names: id, admitted: true },
            ..unknown.clone()
        };
        for tap in [unknown, claim] {
            let sealed = tap.seal(&hash).map_err(Failed::unexpected)?;
            hash = sealed.hash();
            made_up.push(sealed);
        }
        id.sequence += 2;
    }
    bench.books().try_upload(&taps, state.at)?;
    let verdicts = bench.books().try_upload(&made_up, state.at)?;
    let before = bench.books().look()?;
    let later = bench.present(&state, ELSEWHERE, LATE_S, Fault::None)?;
    bench.books().empty()?;
    bench.books().try_upload(&later.logs[ELSEWHERE].taps, later.at)?;
    bench.books().try_upload(&taps, later.at)?;
    bench.books().try_upload(&made_up, later.at)?;
    let after = bench.books().look()?;
    let gained = gained(&before, RIDES).max(gained(&after, RIDES + 1));
    let waits = before.pending.len() == MADE_UP as usize && after.pending.is_empty();
    let problem = (!waits).then(|| format!("{} made-up taps wait, then {}", before.pending.len(), after.pending.len()));
    Ok(attack("an operator that makes up unknown taps and confirms them", verdicts.len(), gained, problem))
}

/// A ride is kept back: the operator is the one who loses, and the card's next ride elsewhere tells.
fn drops(bench: &mut Bench) -> Result<Attack, Failed> {
    let (state, taps) = honest(bench)?;
    let later = bench.present(&state, ELSEWHERE, LATE_S, Fault::None)?;
    let kept: Vec<_> = taps.iter().take(1).chain(taps.iter().skip(2)).cloned().collect();
    let verdicts = bench.books().try_upload(&kept, later.at)?;
    bench.books().upload(SITES[ELSEWHERE], &later.logs[ELSEWHERE], &mut outbox(), later.at)?;
    let booked = bench.books().look()?;
    let missing = bench.books().missing_of_cards()?;
    let problem = (missing != 1).then(|| format!("the board of gaps counts {missing} missing transactions, not 1"));
    Ok(attack("an operator that keeps a tap back", verdicts.len(), gained(&booked, RIDES), problem))
}

pub(crate) fn sealed_anew(
    taps: &[SealedTap],
    mut id: TapId,
    operator: u16,
    mut hash: [u8; 32],
) -> Result<Vec<SealedTap>, Failed> {
    let mut anew = Vec::new();
    for tap in taps {
        let tap = Tap { id, operator: OperatorId(operator), ..tap.open().map_err(Failed::unexpected)? };
        let sealed = tap.seal(&hash).map_err(Failed::unexpected)?;
        (hash, id.sequence) = (sealed.hash(), id.sequence + 1);
        anew.push(sealed);
    }
    Ok(anew)
}

/// A tap of `last`'s card as its validator would have intended it.
pub(crate) fn unknown(tariff: &Tariff, last: &Tap, id: TapId, at: Moment) -> Result<Tap, Failed> {
    let read = last.record_written.ok_or_else(|| Failed::Unexpected("a ride without a record".to_owned()))?;
    let record = Record::decode(&read).map_err(Failed::unexpected)?;
    let boarding = Boarding { tap: id, line: last.line, stop: last.stop, at, gate: last.gate };
    let view = CardView { record, issuer: None, denied: false };
    let Decision::Accept(accept) = decide(&view, tariff, &boarding) else {
        return Err(Failed::Unexpected("the made-up ride is refused".to_owned()));
    };
    let written = accept.record.encode().map_err(Failed::unexpected)?;
    Ok(Tap {
        id,
        at,
        outcome: Outcome::Unknown,
        fare: accept.fare,
        debited: Some(Amount::from_minor(FARE).unwrap_or(Amount::ZERO)),
        transaction_mac: None,
        record_read: Some(read),
        record_written: Some(written),
        ..last.clone()
    })
}

pub(crate) fn next_id(taps: &[SealedTap]) -> Result<TapId, Failed> {
    let last = taps.last().and_then(SealedTap::claimed_id);
    let last = last.ok_or_else(|| Failed::Unexpected("the validator has no taps".to_owned()))?;
    Ok(TapId { sequence: last.sequence + 1, ..last })
}

pub(crate) fn head(taps: &[SealedTap]) -> [u8; 32] {
    taps.last().map_or(CHAIN_START, SealedTap::hash)
}
