//! Which actions are not at their end, by their steps (pure).

use std::collections::BTreeMap;

use transit::action::{Action, ActionKind, Step};

/// An action that is not at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAction {
    /// Its first step.
    pub first: Action,
    /// How far it is.
    pub state: OpenState,
}

/// How far an open action is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenState {
    /// The cash is in the drawer, and the card certainly does not have it: it is written, or the cash is given back.
    Paid,
    /// This step may or may not be on the card: only the card, or the clearing house, can tell.
    Unknown(Box<Action>),
    /// This step took value and passes off the old card, and no new card has them yet.
    HalfMoved(Box<Action>),
}

impl OpenState {
    /// Its name, as in the JSON text.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Unknown(_) => "unknown",
            Self::HalfMoved(_) => "half_moved",
        }
    }
}

/// The open ones among the actions that these steps, in the order of the journal, are of.
pub fn open_actions(steps: &[Action]) -> Vec<OpenAction> {
    let mut actions: BTreeMap<u32, Vec<&Action>> = BTreeMap::new();
    for step in steps {
        actions.entry(step.names.unwrap_or(step.id).sequence).or_default().push(step);
    }
    actions.values().filter_map(|steps| open_action(steps)).collect()
}

fn open_action(steps: &[&Action]) -> Option<OpenAction> {
    let first = *steps.first()?;
    let is_paid = first.step == Step::Paid;
    let mut state = None;
    let mut surrendered: Option<&Action> = None;
    for step in steps {
        let is_of_old_card = step.kind == ActionKind::Exchange && step.card == first.card;
        state = match step.step {
            Step::Paid => Some(OpenState::Paid),
            Step::Unknown => Some(OpenState::Unknown(Box::new((*step).clone()))),
            Step::Written if is_of_old_card => {
                surrendered = Some(step);
                surrendered.map(half_moved)
            }
            Step::Confirmed { resolves } if is_of_old_card => {
                surrendered = steps.iter().copied().find(|step| step.id == resolves);
                surrendered.map(half_moved)
            }
            // Not on the card: back to where it was before.
            Step::Void | Step::Voided { .. } if is_paid => Some(OpenState::Paid),
            Step::Void | Step::Voided { .. } => surrendered.map(half_moved),
            Step::Written | Step::Confirmed { .. } | Step::Refunded | Step::Done => None,
        };
    }
    state.map(|state| OpenAction { first: first.clone(), state })
}

fn half_moved(step: &Action) -> OpenState {
    OpenState::HalfMoved(Box::new(step.clone()))
}
