//! What a desk is believed of cards that prove nothing.
//!
//! A card on an EV1 chip has no Transaction MAC: what it took or gave up is its desk's word. That word is a written step,
//! or an unknown one that the desk says later its card took; the card is then one that nothing in the books has ever
//! proven, as another decides by itself. Of value that a card gave up, by a refund or as the old card of an exchange, the
//! word is good up to a limit a day where Transaction MACs are enforced, counted in the order in which the ledger has it.
//! What decided is in the books: the limit, with the upload from which it was in force.

use transit::action::{Action, ActionKind, Step};
use transit::money::Amount;

use crate::store::{Books, StoreError};

/// Whether `action` takes value off a card, which the rider or a new card gets for it.
pub(crate) fn takes_off(action: &Action) -> bool {
    action.kind == ActionKind::Refund || (action.kind == ActionKind::Exchange && action.gives_up())
}

/// Whether `look` is the later word of the desk of `unknown` that its card took that step.
pub(crate) fn confirms(look: &Action, unknown: &Action) -> bool {
    look.step == Step::Confirmed { resolves: unknown.id }
        && (look.id.device, look.id.epoch) == (unknown.id.device, unknown.id.epoch)
        && look.id.sequence > unknown.id.sequence
        && (look.card, look.kind) == (unknown.card, unknown.kind)
}

/// Whether the ledger has nothing of the unknown step `unknown` and will have it on no proof: its card has never proven
/// anything.
pub(crate) fn waits_for_a_word(books: &Books<'_>, unknown: &Action) -> Result<bool, StoreError> {
    Ok(unknown.step == Step::Unknown && !books.has_entry(unknown.id)? && !books.proves_anything(unknown.card)?)
}

/// Whether the card of the unknown step `unknown` has not shown whether it took that step, and its desk has not said so
/// of a card that can prove nothing.
pub(crate) fn is_undecided(books: &Books<'_>, unknown: &Action) -> Result<bool, StoreError> {
    if books.has_entry(unknown.id)? || !books.is_pending(unknown)? {
        return Ok(false);
    }
    Ok(books.proves_anything(unknown.card)? || !books.is_said_void(unknown.id)?)
}

/// Whether a desk of which `given_up` was believed on one day is believed `more`, under a limit of `limit`; `None` is
/// without one, and 0 believes nothing.
pub(crate) fn is_believed(limit: Option<Amount>, given_up: Amount, more: Amount) -> bool {
    limit.is_none_or(|limit| {
        limit > Amount::ZERO && given_up.checked_add(more).is_some_and(|given_up| given_up <= limit)
    })
}
