//! The fare decision, run again: what a tap says that its validator decided is what the tariff says, or it is found.

use clearing_house::finding::FindingKind::{self, ChargeDiffers, DecisionDiffers, Undecidable};
use clearing_house::journey::decide_again;
use clearing_house::ledger::Basis::{self, AsCharged, FlatFare};
use transit::card::Record;
use transit::id::LineNumber;
use transit::money::{Amount, Balance};
use transit::tap::{Outcome, Reason, Tap};

use crate::support::{Card, MORNING, Validator, tariff};

/// A ride as its validator decided it.
fn ride() -> Tap {
    let tap = Validator::new(1, 1).intend(&Card::new(1, 50_000), MORNING).0;
    Tap { outcome: Outcome::Done, ..tap }
}

/// The same ride with something else in the record that was read.
fn on(change: impl FnOnce(&mut Record)) -> Tap {
    let mut read = Record::decode(&ride().record_read.unwrap()).unwrap();
    change(&mut read);
    Tap { record_read: Some(read.encode().unwrap()), ..ride() }
}

/// The same ride with something else in the record that was written.
fn writing(change: impl FnOnce(&mut Record)) -> Tap {
    let mut written = Record::decode(&ride().record_written.unwrap()).unwrap();
    change(&mut written);
    Tap { record_written: Some(written.encode().unwrap()), ..ride() }
}

/// The same ride on a card that `device` has let in at that stop just now.
fn boarded(device: u32) -> Tap {
    let mut card = Card::new(1, 50_000);
    Validator::new(device, 1).done(&mut card, MORNING);
    on(|read| *read = card.record)
}

/// What the tap is, the tap, what its fare rests on then, and what is found.
type Row = (&'static str, Tap, Basis, Option<(FindingKind, &'static str)>);

fn check(table: &[Row]) {
    for (what, tap, basis, finding) in table {
        let redecided = decide_again(tap, &tariff());
        let found: Vec<_> = redecided.findings.iter().map(|finding| (finding.kind, finding.detail.as_str())).collect();
        assert_eq!(redecided.basis, *basis, "{what}: {found:?}");
        match (finding, found.as_slice()) {
            (None, []) => {}
            (Some((kind, text)), [(found, detail)]) if kind == found && detail.contains(text) => {}
            _ => panic!("{what}: {found:?} is not {finding:?}"),
        }
    }
}

#[test]
fn what_a_tap_charged_and_wrote_is_what_the_tariff_makes_of_it() {
    let (fare, debited) = (Amount::from(7_000), Some(Amount::from(7_000)));
    let other_record = Some((DecisionDiffers, "the record written is not the one that the fare decision makes"));
    check(&[
        ("as it was decided", ride(), FlatFare, None),
        ("an unknown one", Tap { outcome: Outcome::Unknown, debited: None, ..ride() }, FlatFare, None),
        ("one that first resolved another", writing(|record| record.recovered = true), FlatFare, None),
        (
            "another fare",
            Tap { fare, debited, ..ride() },
            AsCharged,
            Some((DecisionDiffers, "decided 7000 where the tariff says 8000")),
        ),
        (
            "another debit",
            Tap { debited, ..ride() },
            FlatFare,
            Some((ChargeDiffers, "the fare is 8000 and the debit 7000")),
        ),
        ("another record", writing(|record| record.card_sequence += 1), FlatFare, other_record),
        ("no record", Tap { record_written: None, ..ride() }, FlatFare, other_record),
        (
            "another tariff",
            Tap { tariff_version: 2, ..ride() },
            AsCharged,
            Some((Undecidable, "decided by tariff version 2, at hand is 1")),
        ),
        (
            "nothing read",
            Tap { record_read: None, ..ride() },
            AsCharged,
            Some((Undecidable, "it lacks the record that was read")),
        ),
        ("no ride", Tap { outcome: Outcome::Void, record_read: None, ..ride() }, AsCharged, None),
    ]);
}

#[test]
fn who_was_admitted_and_should_not_have_been_is_found_and_the_reverse() {
    let poor = || on(|read| read.balance_after = Balance::from_minor(7_999));
    let declined = |tap| Tap { outcome: Outcome::Declined(Reason::NotEnough), debited: None, ..tap };
    let refused = |why| Some((DecisionDiffers, why));
    check(&[
        ("admitted without money", poor(), AsCharged, refused("refuses this tap: not enough in the purse")),
        ("declined without money", declined(poor()), AsCharged, None),
        (
            "declined for another fare",
            Tap { fare: Amount::from(9_000), ..declined(poor()) },
            AsCharged,
            refused("refuses this tap: not enough in the purse"),
        ),
        ("declined with money", declined(ride()), AsCharged, refused("decided 8000 where the tariff says 8000")),
        ("admitted twice", boarded(1), AsCharged, refused("refuses this tap: already paid here")),
        ("admitted next door too", boarded(2), AsCharged, refused("refuses this tap: already paid at this place")),
        (
            "on a line that there is not",
            Tap { line: LineNumber(99), ..ride() },
            AsCharged,
            refused("refuses this tap: no such line, or counters used up"),
        ),
    ]);
}
