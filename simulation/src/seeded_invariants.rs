//! What must hold of a city after its run, one function each.

use std::collections::{BTreeMap, BTreeSet};

use transit::action::{SealedAction, Step};
use transit::card::{RECORD_LEN, Record};
use transit::id::{CardToken, TapId};
use transit::sync::Verdict;
use transit::tap::{Outcome, SealedTap, Tap};

use crate::seeded_clearing_house::Books;
use crate::seeded_model::{Load, Name};
use crate::seeded_outcome::Finished;

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant.
    pub invariant: &'static str,
    /// How it is violated.
    pub how: String,
}

type Invariant = fn(&Finished) -> Result<(), String>;

/// Every invariant by its name.
pub const INVARIANTS: [(&str, Invariant); 9] = [
    ("cards change as a whole", cards_change_as_a_whole),
    ("money is conserved", money_is_conserved),
    ("each debit is in the ledger once", each_debit_is_in_the_ledger_once),
    ("no acknowledged tap is lost", no_acknowledged_tap_is_lost),
    ("fares are decided again alike", fares_are_decided_again_alike),
    ("nothing waits that a card has decided", nothing_waits_that_a_card_has_decided),
    ("late and shuffled settle as in order", late_and_shuffled_settle_as_in_order),
    ("rides never exceed debits", rides_never_exceed_debits),
    ("denied cards do not ride", denied_cards_do_not_ride),
];

/// Looks at all of them.
pub fn violations(finished: &Finished) -> Vec<Violation> {
    let broken = INVARIANTS.iter().filter_map(|(invariant, holds)| {
        let how = holds(finished).err()?;
        Some(Violation { invariant, how })
    });
    broken.collect()
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// A presentation changes a card by one whole transaction or not at all, and the card names it as the validator does.
fn cards_change_as_a_whole(finished: &Finished) -> Result<(), String> {
    finished.model.wrong.first().map_or(Ok(()), |wrong| Err(wrong.clone()))
}

/// What was on the cards, less what the ledger took from them, is what is on the cards; and the accounts sum to 0.
///
/// The ledger takes the fare of an unknown tap at once; where the card did not commit it and nothing has shown that, it is
/// still on the card.
fn money_is_conserved(finished: &Finished) -> Result<(), String> {
    let books = &finished.books;
    let balance = |account: &str| books.balances.get(account).copied().unwrap_or(0);
    let sum: i64 = books.balances.values().sum();
    ensure(sum == 0, || format!("the accounts sum to {sum}"))?;
    let waiting = waiting(books);
    let held: i64 = waiting.values().sum();
    let suspense = balance("suspense:unknown");
    ensure(held == suspense, || format!("suspense:unknown holds {suspense}, and {held} waits there"))?;
    let missing = balance("suspense:missing");
    ensure(missing == 0, || format!("suspense:missing holds {missing}, and every tap has come"))?;
    let not_taken = |name: &Name| !finished.model.commits.contains_key(name);
    let on_cards: i64 = waiting.iter().filter(|(name, _)| not_taken(name)).map(|(_, amount)| amount).sum();
    let unbooked: i64 = unbooked_loads(finished).iter().map(|(_, load)| load.amount).sum();
    let expected = finished.model.issued + balance("cards:float") + on_cards + unbooked;
    ensure(expected == finished.on_cards, || format!("{} is on the cards instead of {expected}", finished.on_cards))?;
    let (cash, loads) = (balance("desk:900:cash"), balance("suspense:loads"));
    ensure(-cash == finished.model.cash, || format!("the desk owes {cash}, and took {}", finished.model.cash))?;
    ensure(loads == unbooked, || format!("suspense:loads holds {loads}, and cards got {unbooked} of it"))?;
    let mut paid: BTreeMap<u16, i64> = BTreeMap::new();
    for operator in 1..=4 {
        let payable = balance(&format!("operator:{operator}:payable"));
        ensure(payable == 0, || format!("operator {operator} is still to be settled {payable}"))?;
        paid.insert(operator, balance(&format!("operator:{operator}:settled")));
    }
    for (name, amount) in &waiting {
        if let Some(commit) = finished.model.commits.get(name) {
            *paid.entry(commit.operator).or_default() += amount;
        }
    }
    let owed = finished.model.owed();
    paid.retain(|operator, amount| *amount != 0 || owed.contains_key(operator));
    ensure(paid == owed, || format!("operators are paid {paid:?} where riders owed {owed:?}"))
}

/// Loads that are on their card, and of which the ledger does not know it yet.
fn unbooked_loads(finished: &Finished) -> Vec<(Name, &Load)> {
    let booked = booked(&finished.books, &["loaded"]);
    let unbooked = finished.model.loads.iter().filter(|(name, _)| !booked.contains_key(*name));
    unbooked.map(|(name, load)| (*name, load)).collect()
}

/// Every commit of a card is one ride in the ledger, for what the model says, and there is no other; no load is booked
/// that is not on its card.
fn each_debit_is_in_the_ledger_once(finished: &Finished) -> Result<(), String> {
    let mut booked = booked(&finished.books, &RIDES);
    for (name, commit) in &finished.model.commits {
        ensure(commit.debit == commit.fare, || {
            format!("tap {name:?} debited {} where the ride costs {}", commit.debit, commit.fare)
        })?;
        let entries = booked.remove(name).unwrap_or_default();
        let kinds: Vec<_> = entries.iter().map(|entry| entry.kind.as_str()).collect();
        let once = matches!(kinds[..], ["ride"] | ["unknown"] | ["unknown", "unknown_confirmed"]);
        ensure(once, || format!("the card committed tap {name:?}, and the ledger has {kinds:?}"))?;
        let as_owed = |entry: &Booked| entry.operator == commit.operator && entry.amount == commit.fare;
        ensure(entries.iter().all(as_owed), || format!("tap {name:?} is booked as {entries:?}, not {commit:?}"))?;
    }
    for (name, entries) in booked {
        let kinds: Vec<_> = entries.iter().map(|entry| entry.kind.as_str()).collect();
        let nothing = matches!(kinds[..], ["unknown"] | ["unknown", "unknown_voided"]);
        ensure(nothing, || format!("no card committed tap {name:?}, and the ledger has {kinds:?}"))?;
    }
    for (name, entries) in self::booked(&finished.books, &["loaded"]) {
        let load = finished.model.loads.get(&name);
        let once = matches!(&entries[..], [only] if load.is_some_and(|load| load.amount == only.amount));
        ensure(once, || format!("the ledger has {entries:?} for load {name:?}, and the card {load:?}"))?;
    }
    Ok(())
}

/// What the clearing house has acknowledged is in its books and in the log, with the same bytes; and all that is in the
/// logs came.
fn no_acknowledged_tap_is_lost(finished: &Finished) -> Result<(), String> {
    finished.lost.first().map_or(Ok(()), |lost| Err(lost.clone()))?;
    let hashes = |taps: &[SealedTap], actions: &[SealedAction]| -> BTreeMap<Option<TapId>, [u8; 32]> {
        let taps = taps.iter().map(|tap| (tap.claimed_id(), tap.hash()));
        taps.chain(actions.iter().map(|action| (action.claimed_id(), action.hash()))).collect()
    };
    let books = hashes(&finished.books.taps, &finished.books.actions);
    let logs = hashes(&finished.logs, &finished.journal);
    for said in finished.acknowledged.values() {
        let booked = matches!(said.verdict, Verdict::Accepted | Verdict::Known);
        ensure(booked, || format!("tap {} was not booked but {}", said.tap, said.verdict.name()))?;
        for (place, taps) in [("books", &books), ("log", &logs)] {
            let kept = taps.get(&Some(said.tap)) == Some(&said.hash);
            ensure(kept, || format!("tap {} was acknowledged and is not in the {place}", said.tap))?;
        }
    }
    for (name, hash) in &logs {
        let came = books.get(name) == Some(hash);
        ensure(came, || format!("tap {name:?} is in its log and not in the books"))?;
    }
    ensure(books.len() == logs.len(), || format!("{} taps in the books, {} in logs", books.len(), logs.len()))?;
    let aside = &finished.books.kept_aside;
    ensure(aside.is_empty(), || format!("kept aside: {aside:?}"))?;
    let wrong = [&finished.books, &finished.in_order].into_iter().find_map(|books| books.wrong.as_ref());
    wrong.map_or(Ok(()), |wrong| Err(format!("the audit says: {wrong}")))
}

/// The clearing house decides every fare again and finds nothing; and each is the one that the model works out.
fn fares_are_decided_again_alike(finished: &Finished) -> Result<(), String> {
    // A clock that runs ahead is a finding that must be there. So is a load that the desk alone speaks for because no tap
    // of its card has come yet; but the card has it.
    let is_loaded = |step: &str| step.parse().is_ok_and(|step| finished.model.loads.contains_key(&name(step)));
    let is_expected = |kind: &str, tap: &str| kind == "clock_ahead" || (kind == "unproven" && is_loaded(tap));
    let found = finished.books.findings.iter().find(|(kind, tap, _)| !is_expected(kind, tap));
    found.map_or(Ok(()), |(kind, _, detail)| Err(format!("{kind}: {detail}")))?;
    for tap in taps(&finished.books) {
        let Some(commit) = finished.model.commits.get(&name(tap.id)) else { continue };
        let fare = tap.fare.minor();
        ensure(fare == commit.fare, || format!("tap {} says {fare} where the ride costs {}", tap.id, commit.fare))?;
    }
    Ok(())
}

/// An unknown tap is decided as soon as a proven tap of its card reads, writes or names the record that it was to write,
/// or its own validator saw the card as it was before it, and a load in the same way. Whatever waits else is unresolved at its
/// deadline, and pays nobody.
fn nothing_waits_that_a_card_has_decided(finished: &Finished) -> Result<(), String> {
    let suspense = &finished.books.suspense;
    ensure(suspense.pending.taps == 0, || format!("{} taps are pending past their deadline", suspense.pending.taps))?;
    let waiting = waiting(&finished.books);
    let unresolved = (suspense.unresolved.taps, suspense.unresolved.amount_minor.minor());
    let expected = (waiting.len() as u64, waiting.values().sum::<i64>());
    ensure(unresolved == expected, || format!("unresolved {unresolved:?} where {expected:?} waits"))?;

    let taps = taps(&finished.books);
    let mut proven = BTreeSet::new();
    let mut voided = BTreeSet::new();
    for tap in &taps {
        match tap.outcome {
            Outcome::Done => {
                let written = wanted(tap);
                proven.extend([written, written.saturating_sub(1), written.saturating_sub(2)].map(|at| (tap.card, at)));
            }
            Outcome::Voided { names } => {
                voided.insert((names, wanted(tap)));
            }
            Outcome::Unknown | Outcome::Void | Outcome::Declined(_) | Outcome::Confirmed { .. } | Outcome::Evidence => {
            }
        }
    }
    for step in finished.books.actions.iter().filter_map(|sealed| sealed.open().ok()) {
        if let (Step::Written, Some(read)) = (step.step, step.record_read) {
            let written = after(&read);
            proven.extend([written, written.saturating_sub(1), written.saturating_sub(2)].map(|at| (step.card, at)));
        }
    }
    let tokens: BTreeMap<Name, CardToken> = finished
        .books
        .actions
        .iter()
        .filter_map(|sealed| sealed.open().ok())
        .map(|step| (name(step.id), step.card))
        .collect();
    for (name, load) in unbooked_loads(finished) {
        let decided = tokens.get(&name).is_some_and(|card| proven.contains(&(*card, load.record)));
        ensure(!decided, || format!("load {name:?} is not booked, and its card has decided it"))?;
    }
    for tap in taps.iter().filter(|tap| waiting.contains_key(&name(tap.id))) {
        let decided = proven.contains(&(tap.card, wanted(tap)));
        ensure(!decided, || format!("tap {} waits, and its card has decided it", tap.id))?;
        ensure(!voided.contains(&(tap.id, wanted(tap))), || {
            format!("tap {} waits, and its validator has voided it", tap.id)
        })?;
    }
    Ok(())
}

/// Another clearing house that gets every tap at once and in order pays the same for the same taps, and holds the same
/// back.
fn late_and_shuffled_settle_as_in_order(finished: &Finished) -> Result<(), String> {
    let (here, there) = (&finished.books, &finished.in_order);
    let differs = here.settled.iter().find(|(line, taps)| there.settled.get(line) != Some(taps));
    differs.map_or(Ok(()), |(line, taps)| {
        Err(format!("{line:?} settles {taps:?}, and in order {:?}", there.settled.get(line)))
    })?;
    ensure(here.settled.len() == there.settled.len(), || "in order there are more lines".to_owned())?;
    ensure(here.balances == there.balances, || {
        format!("the balances are {:?}, and in order {:?}", here.balances, there.balances)
    })?;
    ensure(waiting(here) == waiting(there), || "other taps wait than in order".to_owned())
}

/// Nobody is let in without a debit, or a free ride, of his card.
fn rides_never_exceed_debits(finished: &Finished) -> Result<(), String> {
    finished.model.beyond_debits().first_key_value().map_or(Ok(()), |(card, rides)| {
        Err(format!("the rider of card {card} was let in {rides} times more often than the card committed"))
    })
}

/// A validator that has a card on its list of denied ones takes nothing from it, and so lets nobody in but on a debit of
/// before.
fn denied_cards_do_not_ride(finished: &Finished) -> Result<(), String> {
    finished.model.denied_rides.first().map_or(Ok(()), |ride| Err(ride.clone()))
}

fn name(tap: TapId) -> Name {
    (tap.device.number(), tap.epoch, tap.sequence)
}

#[derive(Debug)]
struct Booked {
    kind: String,
    operator: u16,
    amount: i64,
}

/// What the ledger calls rides and unknown taps.
const RIDES: [&str; 4] = ["ride", "unknown", "unknown_confirmed", "unknown_voided"];

/// The entries of these kinds, by the tap or the step of the desk.
fn booked(books: &Books, kinds: &[&str]) -> BTreeMap<Name, Vec<Booked>> {
    let mut booked: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for entry in books.entries.iter().filter(|entry| kinds.contains(&entry.kind.as_str())) {
        let Some(tap) = entry.tap.as_ref().and_then(|tap| tap.parse().ok()) else { continue };
        let of_tap = Booked { kind: entry.kind.clone(), operator: entry.operator, amount: entry.amount };
        booked.entry(name(tap)).or_default().push(of_tap);
    }
    booked
}

/// The unknown taps of which the ledger has no end, each with its fare.
fn waiting(books: &Books) -> BTreeMap<Name, i64> {
    let waits = booked(books, &RIDES).into_iter().filter_map(|(name, entries)| match &entries[..] {
        [only] if only.kind == "unknown" => Some((name, only.amount)),
        _ => None,
    });
    waits.collect()
}

fn taps(books: &Books) -> Vec<Tap> {
    books.taps.iter().filter_map(|sealed| sealed.open().ok()).collect()
}

/// The number of the record that a tap wrote or was to write.
fn wanted(tap: &Tap) -> u32 {
    tap.record_read.map_or(0, |read| after(&read))
}

/// The number of the record after this one.
fn after(read: &[u8; RECORD_LEN]) -> u32 {
    Record::decode(read).map_or(0, |record| record.card_sequence + 1)
}
