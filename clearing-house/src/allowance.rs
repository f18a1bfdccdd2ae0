//! How much a desk may make, and whether a transfer is backed.
//!
//! An allowance is a ceiling over everything that a desk writes in one epoch of its log. It only grows, and only by what
//! is left of two limits, both the desk's daily limit: the growth of all its epochs in a service day, and the distance
//! of all its ceilings from what the books have seen written. So a stolen desk that falls silent makes no more than the
//! limit, and one that goes on reporting no more than the limit a day. It owes the cash that it says it took for that;
//! what it writes without saying so is an alarm ([`crate::backing`]).

use transit::action::{Action, ActionKind};
use transit::desk::{Allowance, Grant, Reply};
use transit::id::{DeviceId, Epoch, TapId};
use transit::money::Amount;
use transit::time::{Moment, ServiceCalendar};

use crate::desk::reply_of;
use crate::ledger::{EntryKind, moved};
use crate::store::{Books, StoreError};

/// How long a desk may load before it must ask again: two days.
pub const ALLOWANCE_VALID_S: u32 = 2 * 86_400;

/// The next allowance of a desk in an epoch, and whether its ceiling is new.
pub(crate) fn next(
    books: &Books<'_>,
    calendar: &ServiceCalendar,
    (desk, epoch): (DeviceId, Epoch),
    limit: Amount,
    at: Moment,
) -> Result<(Allowance, bool), StoreError> {
    let today = calendar.service_day(at);
    let mut epochs: Vec<Ceilings> = Vec::new();
    for answer in books.allowances(desk)? {
        let Reply::Allowance(allowance) = reply_of(&answer)? else { continue };
        if epochs.iter().all(|known| known.epoch != allowance.epoch) {
            epochs.push(Ceilings { epoch: allowance.epoch, before_today: 0, now: 0, number: 0 });
        }
        let Some(known) = epochs.iter_mut().find(|known| known.epoch == allowance.epoch) else { continue };
        (known.now, known.number) = (allowance.loads_through_minor.minor(), allowance.number);
        if calendar.service_day(answer.at) < today {
            known.before_today = known.now;
        }
    }
    let (mut grown_today, mut ahead) = (0_i64, 0_i64);
    for known in &epochs {
        let written = books.written_by(desk, known.epoch)?.minor();
        grown_today = grown_today.saturating_add(known.now - known.before_today);
        ahead = ahead.saturating_add((known.now - written).max(0));
    }
    let growth = limit.minor().saturating_sub(grown_today.max(ahead)).max(0);
    let known = epochs.iter().find(|known| known.epoch == epoch);
    let (now, number) = known.map_or((0, 0), |known| (known.now, known.number));
    let ceiling = Amount::from_minor(now.saturating_add(growth)).unwrap_or(Amount::ZERO);
    let is_new = growth > 0;
    let allowance = Allowance {
        desk,
        epoch,
        number: if is_new { books.next_answer()? } else { number },
        loads_through_minor: ceiling,
        valid_until: Moment(at.0.saturating_add(ALLOWANCE_VALID_S)),
    };
    Ok((allowance, is_new))
}

struct Ceilings {
    epoch: Epoch,
    before_today: i64,
    now: i64,
    number: u32,
}

/// What the books have seen written in the epoch of the desk's step `id`, and the ceiling of that epoch.
pub(crate) fn state(books: &Books<'_>, id: TapId) -> Result<(Amount, Amount), StoreError> {
    let mut ceiling = Amount::ZERO;
    for answer in books.allowances(id.device)? {
        match reply_of(&answer)? {
            Reply::Allowance(allowance) if allowance.epoch == id.epoch => ceiling = allowance.loads_through_minor,
            Reply::Allowance(_) | Reply::CardState(_) | Reply::Step(_) | Reply::Transfer(_) | Reply::Refused { .. } => {
            }
        }
    }
    Ok((books.written_by(id.device, id.epoch)?, ceiling))
}

/// Whether a grant allows the transfer `action`: one of this desk, these cards and this amount, which no other step has
/// used. Where the transfer is booked already, `entry` is its entry, and only what was booked before it counts.
pub(crate) fn backs(books: &Books<'_>, action: &Action, entry: Option<i64>) -> Result<bool, StoreError> {
    let Some(number) = action.grant.filter(|_| action.kind == ActionKind::Transfer) else { return Ok(false) };
    let Some(answer) = books.answer(number)? else { return Ok(false) };
    let Reply::Transfer(grant) = reply_of(&answer)? else { return Ok(false) };
    if !is_of(&grant, action) {
        return Ok(false);
    }
    let others = books.actions_with_grant(number)?;
    for other in others.iter().filter(|other| other.id != action.id && is_of(&grant, other)) {
        let used = books
            .entries_of(other.id)?
            .into_iter()
            .any(|stored| stored.entry.kind == EntryKind::Transferred && entry.is_none_or(|entry| stored.id < entry));
        if used {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_of(grant: &Grant, action: &Action) -> bool {
    grant.desk == action.id.device
        && grant.card == action.card
        && Some(grant.lost) == action.other_card
        && grant.amount_minor == moved(action)
}
