//! Whether what a desk wrote or gave back is backed by what was paid for it (pure).
//!
//! A step by itself can be right and its action wrong: value written that nobody paid, cash given back of what a card
//! has, two new cards of one old one. So all known steps of an action are looked at together, whenever one comes or a
//! card shows whether it took one, and in the order of the desk's log: what is found does not depend on the order in
//! which the steps come. Two exceptions, which a thief would otherwise only have to arrange: a step whose first step is
//! not in the books is backed by nothing, because a desk sends its log in order; and the old card of an exchange that was
//! torn backs nothing before it has shown that it gave its value up, or is booked by its desk's word (`unproven.rs`).

use transit::action::{Action, ActionKind, Step};
use transit::id::TapId;
use transit::money::Amount;

use crate::finding::{Finding, FindingKind};
use crate::ledger::moved;

/// The most steps that one action may have; what comes after them is kept aside.
///
/// Steps are looked at together, so that each costs as much as its action has steps. A desk makes the first one, and no
/// more than two each time that a card is laid down: what became of a torn step, and the next attempt. A person does
/// that each time, and gives the cash back long before the hundredth.
pub const STEPS_PER_ACTION_MAX: u32 = 256;

/// A step of an action, and what is known of its card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownStep {
    /// The step.
    pub action: Action,
    /// Whether the card has shown that it took it; `None`: no proof says.
    pub shown: Option<bool>,
    /// It is unknown, and the ledger has it: by such a proof, or by its desk's later word where the card can prove nothing.
    pub is_booked: bool,
}

/// A step that uses up what was paid: written on a card, or given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// The step.
    pub step: TapId,
    /// What it wrote or gave back.
    pub amount: Amount,
    /// How much of that neither a payment nor, in an exchange, the old card backs.
    pub unbacked: Amount,
    /// The action was at its end before.
    pub repeated: bool,
}

/// The first step of the action that `action` is of. One that names what cannot be its first step stands alone.
pub fn first_of(action: &Action) -> TapId {
    let is_before = |first: &TapId| {
        (first.device, first.epoch) == (action.id.device, action.id.epoch) && first.sequence < action.id.sequence
    };
    action.names.filter(is_before).unwrap_or(action.id)
}

/// What ends the action whose first step is `first`, of its known `steps` in the order of the log.
pub fn endings(first: TapId, steps: &[KnownStep]) -> Vec<Ending> {
    let opening = steps.iter().find(|step| step.action.id == first);
    let mut left = opening.map_or(0, |opening| backs(opening).minor());
    let mut endings: Vec<Ending> = Vec::new();
    for KnownStep { action, .. } in steps.iter().filter(|step| ends(step, steps)) {
        let amount = if action.step == Step::Refunded { action.amount } else { made(action) };
        let same_kind = opening.is_some_and(|opening| opening.action.kind == action.kind);
        let covered = if same_kind { left.min(amount.minor()) } else { 0 };
        left -= covered;
        let unbacked = Amount::from_minor(amount.minor() - covered).unwrap_or(amount);
        endings.push(Ending { step: action.id, amount, unbacked, repeated: !endings.is_empty() });
    }
    endings
}

/// What contradicts itself in the action whose first step is `first`.
pub fn check(first: TapId, steps: &[KnownStep]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let opening = steps.iter().find(|step| step.action.id == first);
    for Ending { step, amount, unbacked, repeated } in endings(first, steps) {
        if unbacked > Amount::ZERO {
            let amount = amount.minor();
            let why = match opening {
                None => format!("{amount} without its first step {first}, which is not in the books"),
                Some(opening) => {
                    let backed = backs(opening).minor();
                    format!("{amount}, more than is left of the {backed} that step {first} is known to bring in")
                }
            };
            findings.push(Finding::new(FindingKind::Unbacked, step, format!("wrote or gave back {why}")));
        }
        if repeated {
            let detail = format!("the action of step {first} was at its end before");
            findings.push(Finding::new(FindingKind::EndedTwice, step, detail));
        }
    }
    for (index, look) in steps.iter().enumerate() {
        if steps[..index].iter().any(|before| contradict(before.action.step, look.action.step)) {
            let detail = "says of an unknown step the opposite of what was said before";
            findings.push(Finding::new(FindingKind::EndedTwice, look.action.id, detail));
        }
    }
    findings
}

/// What a written step put on its card: of a sale the pass, and a credit that a sale should not have.
fn made(action: &Action) -> Amount {
    let beside = action.credited.filter(|_| action.kind == ActionKind::Sale).unwrap_or(Amount::ZERO);
    moved(action).checked_add(beside).unwrap_or(beside)
}

/// What the first step of an action brings in: what was paid, or, of an exchange, what the old card is known to have
/// given up.
fn backs(first: &KnownStep) -> Amount {
    let action = &first.action;
    let gave_up = match action.step {
        Step::Written => true,
        Step::Unknown => first.shown.unwrap_or(first.is_booked),
        Step::Paid | Step::Void | Step::Confirmed { .. } | Step::Voided { .. } | Step::Refunded | Step::Done => false,
    };
    if action.step == Step::Paid && action.names.is_none() {
        return action.amount;
    }
    if action.kind == ActionKind::Exchange && action.gives_up() && gave_up { moved(action) } else { Amount::ZERO }
}

fn ends(step: &KnownStep, steps: &[KnownStep]) -> bool {
    let action = &step.action;
    let uses_up = action.kind.takes_cash() || (action.kind == ActionKind::Exchange && !action.gives_up());
    match action.step {
        Step::Refunded => true,
        Step::Written => uses_up,
        // The card's word, or the desk's: it may not take it back.
        Step::Unknown => {
            let confirmed = Step::Confirmed { resolves: action.id };
            uses_up && (step.shown == Some(true) || steps.iter().any(|look| look.action.step == confirmed))
        }
        Step::Paid | Step::Void | Step::Confirmed { .. } | Step::Voided { .. } | Step::Done => false,
    }
}

fn contradict(one: Step, other: Step) -> bool {
    match (one, other) {
        (Step::Confirmed { resolves }, Step::Voided { resolves: other })
        | (Step::Voided { resolves }, Step::Confirmed { resolves: other }) => resolves == other,
        _ => false,
    }
}
