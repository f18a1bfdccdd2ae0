//! What ends an action, what backs it, and which of its steps contradict each other: the pure rules.

use clearing_house::backing::{KnownStep, check, endings, first_of};
use clearing_house::finding::FindingKind::{self, EndedTwice, Unbacked};
use transit::action::ActionKind::{self, Exchange, Issue, Refund, Sale, TopUp, Transfer};
use transit::action::{Action, Step};
use transit::card::{Record, RecordKind};
use transit::id::{DeviceId, TapId};
use transit::money::Amount;

use crate::desk_support::Desk;
use crate::support::{Card, MORNING};

/// What each step of these tests says of itself.
const AMOUNT: u32 = 10_000;

fn id(sequence: u32) -> TapId {
    TapId { sequence, ..Desk::new().next }
}

/// A step of the action that step 1 begins, nothing of which is known by a card.
fn step(sequence: u32, kind: ActionKind, step: Step) -> KnownStep {
    let names = (sequence > 1).then_some(id(1));
    let blank = Desk::new().blank(kind, step, &Card::new(1, 0), MORNING, AMOUNT);
    KnownStep { action: Action { id: id(sequence), names, ..blank }, shown: None, is_booked: false }
}

/// The step made `amount` on its card.
fn made(mut known: KnownStep, amount: u32) -> KnownStep {
    let record = Record { kind: RecordKind::Load, ..Card::new(1, 0).record };
    known.action.credited = Some(Amount::from(amount));
    known.action.record_written = Some(record.encode().unwrap());
    known
}

/// The step took what it says off its card.
fn gave_up(mut known: KnownStep) -> KnownStep {
    let record = Record { kind: RecordKind::Refund, ..Card::new(1, 0).record };
    known.action.debited = Some(known.action.amount);
    known.action.record_written = Some(record.encode().unwrap());
    known
}

fn written(sequence: u32) -> KnownStep {
    made(step(sequence, TopUp, Step::Written), AMOUNT)
}

fn unknown(sequence: u32, shown: Option<bool>) -> KnownStep {
    KnownStep { shown, ..made(step(sequence, TopUp, Step::Unknown), AMOUNT) }
}

fn paid() -> KnownStep {
    step(1, TopUp, Step::Paid)
}

#[test]
fn an_action_begins_with_the_step_before_it_that_it_names() {
    let named = |names| first_of(&Action { id: id(5), names, ..paid().action });
    assert_eq!(named(Some(id(1))), id(1));
    let none_of_its_own =
        [id(6), TapId { device: DeviceId::new(901).unwrap(), ..id(1) }, TapId { epoch: 2, ..id(1) }].map(Some);
    for names in none_of_its_own.into_iter().chain([None]) {
        assert_eq!(named(names), id(5), "{names:?}");
    }
}

/// Of step 2, whether it uses up what was paid, and how much.
#[test]
fn a_step_uses_up_what_its_card_took_or_what_was_given_back() {
    let of = |kind, known| step(2, kind, known);
    let shown = |kind, shown| KnownStep { shown, ..made(of(kind, Step::Unknown), AMOUNT) };
    let table = [
        ("written, an issue", made(of(Issue, Step::Written), AMOUNT), Some(10_000)),
        ("written, a load", written(2), Some(10_000)),
        ("written, a smaller load than it says", made(of(TopUp, Step::Written), 9_000), Some(9_000)),
        ("written, a sale", of(Sale, Step::Written), Some(10_000)),
        ("written, a sale with a credit", made(of(Sale, Step::Written), 500), Some(10_500)),
        ("written, a new card", made(of(Exchange, Step::Written), AMOUNT), Some(10_000)),
        ("written, an old card", gave_up(of(Exchange, Step::Written)), None),
        ("written, a refund", gave_up(of(Refund, Step::Written)), None),
        ("written, a transfer", made(of(Transfer, Step::Written), AMOUNT), None),
        ("given back", of(TopUp, Step::Refunded), Some(10_000)),
        ("unknown, taken", shown(TopUp, Some(true)), Some(10_000)),
        ("unknown, not taken", shown(TopUp, Some(false)), None),
        ("unknown", shown(TopUp, None), None),
        ("unknown, a transfer that was taken", shown(Transfer, Some(true)), None),
        ("paid once more", of(TopUp, Step::Paid), None),
        ("void", made(of(TopUp, Step::Void), AMOUNT), None),
        ("a look back", of(TopUp, Step::Voided { resolves: id(2) }), None),
    ];
    for (what, known, expected) in table {
        let found = endings(id(1), &[known]);
        let amounts: Vec<_> = found.iter().map(|ending| ending.amount.minor()).collect();
        assert_eq!(amounts, Vec::from_iter(expected), "{what}");
        assert!(found.iter().all(|ending| ending.step == id(2) && ending.unbacked == ending.amount), "{what}");
    }
}

#[test]
fn a_desk_s_own_word_ends_the_unknown_step_that_it_names() {
    for (resolves, expected) in [(2, 1), (3, 0)] {
        let word = step(4, TopUp, Step::Confirmed { resolves: id(resolves) });
        let found = endings(id(1), &[paid(), unknown(2, None), word]);
        assert_eq!(found.len(), expected, "step {resolves} is confirmed");
    }
}

/// Of a first step, how much of the 10,000 of the next one it backs.
#[test]
fn a_payment_backs_and_so_does_an_old_card_that_is_known_to_have_given_up() {
    let old = |step_of_it| gave_up(step(1, Exchange, step_of_it));
    let torn = |shown, is_booked| KnownStep { shown, is_booked, ..old(Step::Unknown) };
    let smaller = |mut known: KnownStep| {
        known.action.amount = Amount::from(4_000);
        known
    };
    let names_another = |mut known: KnownStep| {
        known.action.names = Some(id(7));
        known
    };
    let table = [
        ("paid", paid(), 10_000),
        ("paid less", smaller(paid()), 4_000),
        ("paid, and of another action by its own word", names_another(paid()), 0),
        ("not paid", step(1, TopUp, Step::Void), 0),
        ("an old card", old(Step::Written), 10_000),
        ("an old card that had less", gave_up(smaller(step(1, Exchange, Step::Written))), 4_000),
        ("an old card, void", old(Step::Void), 0),
        ("an old card, torn", torn(None, false), 0),
        ("an old card, torn, and taken by its desk's word", torn(None, true), 10_000),
        ("an old card, torn, and taken", torn(Some(true), false), 10_000),
        ("an old card, torn, and not taken though its desk says so", torn(Some(false), true), 0),
        ("what a refund took off", gave_up(step(1, Refund, Step::Written)), 0),
    ];
    for (what, first, expected) in table {
        let kind = first.action.kind;
        let next =
            if kind == Refund { step(2, kind, Step::Refunded) } else { made(step(2, kind, Step::Written), AMOUNT) };
        let [ending] = &endings(id(1), &[first, next])[..] else { panic!("{what}") };
        assert_eq!(10_000 - ending.unbacked.minor(), expected, "{what}");
    }
    let other_kind = made(step(2, Issue, Step::Written), AMOUNT);
    assert_eq!(endings(id(1), &[paid(), other_kind])[0].unbacked, Amount::from(AMOUNT), "paid for something else");
}

/// A finding: its kind, the step that it is about, and how its detail ends.
type Said = (FindingKind, u32, &'static str);

#[test]
fn what_is_backed_by_nothing_or_ends_twice_is_found_and_the_reason_is_told() {
    let too_much = made(step(2, TopUp, Step::Written), 12_000);
    let voided = |sequence, resolves| step(sequence, TopUp, Step::Voided { resolves: id(resolves) });
    let confirmed = |sequence, resolves| step(sequence, TopUp, Step::Confirmed { resolves: id(resolves) });
    let without_first = "wrote or gave back 10000 without its first step 900-1-1, which is not in the books";
    let too_much_said =
        "wrote or gave back 12000, more than is left of the 10000 that step 900-1-1 is known to bring in";
    let nothing_left =
        "wrote or gave back 10000, more than is left of the 10000 that step 900-1-1 is known to bring in";
    let at_its_end = "the action of step 900-1-1 was at its end before";
    let opposite = "says of an unknown step the opposite of what was said before";
    let table: [(&str, &[KnownStep], &[Said]); 8] = [
        ("as it should be", &[paid(), written(2)], &[]),
        ("nobody paid", &[written(2)], &[(Unbacked, 2, without_first)]),
        ("more than was paid", &[paid(), too_much], &[(Unbacked, 2, too_much_said)]),
        (
            "written twice",
            &[paid(), written(2), written(3)],
            &[(Unbacked, 3, nothing_left), (EndedTwice, 3, at_its_end)],
        ),
        ("said twice", &[paid(), unknown(2, None), voided(3, 2), voided(4, 2)], &[]),
        (
            "said the one and then the other",
            &[paid(), unknown(2, None), voided(3, 2), confirmed(4, 2)],
            &[(EndedTwice, 4, opposite)],
        ),
        (
            "said the other and then the one",
            &[paid(), unknown(2, None), confirmed(3, 2), voided(4, 2)],
            &[(EndedTwice, 4, opposite)],
        ),
        ("said of two steps", &[paid(), unknown(2, Some(false)), voided(4, 2), confirmed(5, 3)], &[]),
    ];
    for (what, steps, expected) in table {
        let found = check(id(1), steps);
        let said: Vec<_> = found.iter().map(|finding| (finding.kind, finding.tap.sequence, &*finding.detail)).collect();
        let same = said.len() == expected.len()
            && said.iter().zip(expected).all(|((kind, step, detail), (expected, of, text))| {
                (kind, step) == (expected, of) && detail.ends_with(text)
            });
        assert!(same, "{what}: {said:#?}");
    }
}
