//! Operators who fill the gap that another operator's missing log leaves between two proven taps of a card.
//!
//! The card's counter and its purse leave room for three fares, and nobody has uploaded who took them. What is made up fills
//! the gap to the last đồng; only somebody else's look at the card can tell that it is not so.

use transit::card::Record;
use transit::id::{DeviceId, OperatorId, TapId};
use transit::money::Amount;
use transit::tap::{CHAIN_START, Outcome, SealedTap, Tap};
use transit::time::Moment;

use crate::Failed;
use crate::attack::Attack;
use crate::attack_operator::{LATE_S, RIDES, attack, gained, unknown};
use crate::torn_bench::{Bench, ELSEWHERE, SITES, State};
use crate::torn_fault::Fault;

/// The validator of the attacker, and of the operator whose log has not come.
const OWN: usize = 0;
const OTHER: usize = 1;

/// Every attack on a gap.
pub(crate) fn gap_fillers(bench: &mut Bench) -> Result<Vec<Attack>, Failed> {
    Ok(vec![fills(bench)?, forges_evidence(bench)?, hides_proofs(bench)?])
}

/// A card that rode at the validator elsewhere, which is the attacker's as well, and then three times at the other's.
fn ridden(bench: &mut Bench) -> Result<(State, Tap), Failed> {
    let mut state = bench.start()?;
    let before = opened(&state.logs[ELSEWHERE].taps)?;
    for _ in 0..RIDES {
        state = bench.present(&state, OTHER, LATE_S, Fault::None)?;
    }
    bench.books().empty()?;
    Ok((state, before))
}

/// As many made-up unknown taps as the gap has room for, each after the one before; and their claims.
fn made_up(bench: &Bench, before: &Tap, first: TapId) -> Result<Vec<Tap>, Failed> {
    let (mut taps, mut last, mut id) = (Vec::new(), before.clone(), first);
    for _ in 0..RIDES {
        let tap = unknown(bench.tariff(), &last, id, Moment(last.at.0 + LATE_S))?;
        let confirmed = Outcome::Confirmed { names: id, admitted: true };
        let claim = Tap { id: TapId { sequence: id.sequence + 1, ..id }, outcome: confirmed, ..tap.clone() };
        id.sequence += 2;
        last = tap.clone();
        taps.extend([tap, claim]);
    }
    Ok(taps)
}

/// Three made-up taps in the gap. The other's log is destroyed, and the card rides once more at each validator; then the
/// log is found after all.
fn fills(bench: &mut Bench) -> Result<Attack, Failed> {
    let (state, before) = ridden(bench)?;
    let own = sealed(made_up(bench, &before, first_of(OWN)?)?, CHAIN_START)?;
    let mut later = state;
    let mut most = 0;
    for gate in [ELSEWHERE, OTHER] {
        later = bench.present(&later, gate, LATE_S, Fault::None)?;
        let found = later.logs[OTHER].taps.get(RIDES as usize..).unwrap_or_default();
        bench.books().empty()?;
        bench.books().upload_all(&[&later.logs[ELSEWHERE].taps, &own, found], later.at)?;
        let rides = later.logs[ELSEWHERE].len() - 1 + u32::try_from(found.len()).unwrap_or(u32::MAX);
        most = most.max(gained(&bench.books().look()?, rides));
    }
    let waiting = bench.books().look()?.pending.len();
    let late = later.logs[OTHER].taps.get(..RIDES as usize).unwrap_or_default();
    bench.books().upload_all(&[late], later.at)?;
    let after = bench.books().look()?;
    let is_void = after.pending.is_empty() && waiting > 0;
    let problem = (!is_void).then(|| format!("{waiting} made-up taps wait, then {}", after.pending.len()));
    let gained = most.max(gained(&after, RIDES + 2));
    Ok(attack("an operator that fills the gap of another's destroyed or late log", own.len(), gained, problem))
}

/// The card rides at the attacker's validator, which seals older records after its green: what it says that it read names
/// its made-up tap.
fn forges_evidence(bench: &mut Bench) -> Result<Attack, Failed> {
    let (state, before) = ridden(bench)?;
    let later = bench.present(&state, OWN, LATE_S, Fault::None)?;
    let ride = opened(&later.logs[OWN].taps)?;
    let made_up = made_up(bench, &before, TapId { sequence: 3, ..ride.id })?;
    let filler = made_up.first().ok_or_else(|| Failed::Unexpected("nothing was made up".to_owned()))?;
    let second = state.logs[OTHER].taps.get(1).map(SealedTap::open).transpose().map_err(Failed::unexpected)?;
    let second = record(second.and_then(|tap| tap.record_written))?;
    let forged = Record { previous: Some(filler.id), ..second }.encode().map_err(Failed::unexpected)?;
    let evidence = Tap {
        id: TapId { sequence: 2, ..ride.id },
        outcome: Outcome::Evidence,
        fare: Amount::ZERO,
        debited: None,
        transaction_mac: None,
        record_read: Some(forged),
        record_written: filler.record_written,
        ..ride
    };
    let own = sealed([vec![ride, evidence], made_up].concat(), CHAIN_START)?;
    bench.books().upload_all(&[&later.logs[ELSEWHERE].taps, &own], later.at)?;
    let booked = bench.books().look()?;
    let waits = booked.pending.len() == 1;
    let problem = (!waits).then(|| format!("{} made-up taps wait, not one", booked.pending.len()));
    Ok(attack("an operator that forges older records", own.len(), gained(&booked, 1), problem))
}

/// The card rides at the attacker's validators twice, which keep the Transaction MACs back and say that the answers were
/// lost: the first says that it read a made-up tap's record, the second proves the first.
fn hides_proofs(bench: &mut Bench) -> Result<Attack, Failed> {
    let start = bench.start()?;
    let before = opened(&start.logs[ELSEWHERE].taps)?;
    let mut state = bench.present(&start, OTHER, LATE_S, Fault::None)?;
    for gate in [OWN, ELSEWHERE] {
        state = bench.present(&state, gate, LATE_S, Fault::None)?;
    }
    let last = bench.present(&state, OTHER, LATE_S, Fault::None)?;
    let [first, second] = [OWN, ELSEWHERE].map(|gate| opened(&state.logs[gate].taps));
    let (first, second) = (first?, second?);
    let filler = unknown(bench.tariff(), &before, TapId { sequence: 2, ..first.id }, Moment(before.at.0 + LATE_S))?;
    let forged = Record { previous: Some(filler.id), ..record(first.record_written)? };
    let forged = forged.encode().map_err(Failed::unexpected)?;
    let torn = |tap: Tap| Tap { outcome: Outcome::Unknown, transaction_mac: None, ..tap };
    let first = Tap { record_read: filler.record_written, record_written: Some(forged), ..torn(first) };
    let own = sealed(vec![first, filler], CHAIN_START)?;
    let head = start.logs[ELSEWHERE].head();
    let second = sealed(vec![Tap { record_read: Some(forged), ..torn(second) }], head)?;
    let found = last.logs[OTHER].taps.get(1..).unwrap_or_default();
    bench.books().empty()?;
    bench.books().upload_all(&[&start.logs[ELSEWHERE].taps, &own, &second, found], last.at)?;
    let booked = bench.books().look()?;
    let waits = booked.pending.len() == 1 && booked.paid.len() == 4;
    let problem = (!waits).then(|| format!("{} taps wait, {} are paid", booked.pending.len(), booked.paid.len()));
    let tries = own.len() + second.len();
    Ok(attack("an operator that keeps proofs back to speak for a made-up tap", tries, gained(&booked, 3), problem))
}

fn sealed(taps: Vec<Tap>, mut hash: [u8; 32]) -> Result<Vec<SealedTap>, Failed> {
    let mut sealed = Vec::new();
    for tap in taps {
        let tap = Tap { operator: OperatorId(SITES[OWN].operator), ..tap }.seal(&hash).map_err(Failed::unexpected)?;
        hash = tap.hash();
        sealed.push(tap);
    }
    Ok(sealed)
}

fn first_of(gate: usize) -> Result<TapId, Failed> {
    let device = DeviceId::new(SITES[gate].device).ok_or_else(|| Failed::Unexpected("no device".to_owned()))?;
    Ok(TapId { device, epoch: 1, sequence: 1 })
}

fn opened(taps: &[SealedTap]) -> Result<Tap, Failed> {
    let last = taps.last().ok_or_else(|| Failed::Unexpected("a validator has no taps".to_owned()))?;
    last.open().map_err(Failed::unexpected)
}

fn record(bytes: Option<[u8; transit::card::RECORD_LEN]>) -> Result<Record, Failed> {
    let bytes = bytes.ok_or_else(|| Failed::Unexpected("a ride without a record".to_owned()))?;
    Record::decode(&bytes).map_err(Failed::unexpected)
}
