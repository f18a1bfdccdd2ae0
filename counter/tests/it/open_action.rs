//! Which actions are not at their end, by their steps.

use counter::open_action::{OpenState, open_actions};
use transit::action::ActionKind::{self, Block, Exchange, Refund, Sale, TopUp, Transfer};
use transit::action::{Action, Step};
use transit::id::CardToken;

use crate::journal::paid;
use crate::world::id;

const OLD: u8 = 1;
const NEW: u8 = 2;

/// A step, and the card that it is about.
type About = (Step, u8);

/// The steps of one action, from step `first` of the journal on.
fn action(first: u32, kind: ActionKind, steps: &[About]) -> Vec<Action> {
    let step = |(sequence, (step, card)): (u32, &About)| Action {
        kind,
        step: *step,
        card: CardToken([*card; 16]),
        names: (sequence != first).then_some(id(first)),
        ..paid(id(sequence), 1_000)
    };
    (first..).zip(steps).map(step).collect()
}

/// How far an action is, and the step that says so.
type Said = (&'static str, Option<u32>);

/// The first step of each open action and how far it is, with the step that says so.
fn open(steps: &[Action]) -> Vec<(u32, &'static str, Option<u32>)> {
    let said = |state: &OpenState| match state {
        OpenState::Paid => None,
        OpenState::Unknown(step) | OpenState::HalfMoved(step) => Some(step.id.sequence),
    };
    let open = open_actions(steps);
    open.iter().map(|open| (open.first.id.sequence, open.state.name(), said(&open.state))).collect()
}

#[test]
fn the_last_step_says_how_far_an_action_is() {
    use Step::{Done, Paid, Refunded, Unknown, Void, Written};
    let found = |sequence| Step::Confirmed { resolves: id(sequence) };
    let not_found = |sequence| Step::Voided { resolves: id(sequence) };
    const NO: Option<Said> = None;
    let table: [(ActionKind, &[About], Option<Said>); 24] = [
        (TopUp, &[(Paid, OLD)], Some(("paid", None))),
        (TopUp, &[(Paid, OLD), (Written, OLD)], NO),
        (Sale, &[(Paid, OLD), (Unknown, OLD)], Some(("unknown", Some(2)))),
        (Sale, &[(Paid, OLD), (Unknown, OLD), (found(2), OLD)], NO),
        (Sale, &[(Paid, OLD), (Unknown, OLD), (not_found(2), OLD)], Some(("paid", None))),
        (TopUp, &[(Paid, OLD), (Void, OLD)], Some(("paid", None))),
        (TopUp, &[(Paid, OLD), (Void, OLD), (Refunded, OLD)], NO),
        (Refund, &[(Written, OLD)], NO),
        (Refund, &[(Void, OLD)], NO),
        (Refund, &[(Unknown, OLD)], Some(("unknown", Some(1)))),
        (Refund, &[(Unknown, OLD), (found(1), OLD)], NO),
        (Refund, &[(Unknown, OLD), (not_found(1), OLD)], NO),
        (Block, &[(Done, OLD)], NO),
        (Transfer, &[(Written, OLD)], NO),
        (Exchange, &[(Void, OLD)], NO),
        (Exchange, &[(Written, OLD)], Some(("half_moved", Some(1)))),
        (Exchange, &[(Unknown, OLD)], Some(("unknown", Some(1)))),
        (Exchange, &[(Unknown, OLD), (found(1), OLD)], Some(("half_moved", Some(1)))),
        (Exchange, &[(Unknown, OLD), (not_found(1), OLD)], NO),
        (Exchange, &[(Written, OLD), (Written, NEW)], NO),
        (Exchange, &[(Written, OLD), (Void, NEW)], Some(("half_moved", Some(1)))),
        (Exchange, &[(Written, OLD), (Unknown, NEW)], Some(("unknown", Some(2)))),
        (Exchange, &[(Written, OLD), (Unknown, NEW), (found(2), NEW)], NO),
        (Exchange, &[(Written, OLD), (Unknown, NEW), (not_found(2), NEW)], Some(("half_moved", Some(1)))),
    ];
    for (kind, steps, expected) in table {
        let expected = Vec::from_iter(expected.map(|(name, step)| (1, name, step)));
        assert_eq!(open(&action(1, kind, steps)), expected, "{kind:?} {steps:?}");
    }
}

#[test]
fn each_action_of_a_journal_is_open_by_itself() {
    let mut steps = action(1, TopUp, &[(Step::Paid, OLD), (Step::Written, OLD)]);
    steps.extend(action(3, TopUp, &[(Step::Paid, OLD)]));
    steps.extend(action(4, Refund, &[(Step::Unknown, NEW)]));
    // A try more for what was paid first.
    steps.push(Action { id: id(5), ..action(1, TopUp, &[(Step::Paid, OLD), (Step::Unknown, OLD)]).remove(1) });
    assert_eq!(open(&steps), [(1, "unknown", Some(5)), (3, "paid", None), (4, "unknown", Some(4))]);
    assert_eq!(open(&[]), []);
}
