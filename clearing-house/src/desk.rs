//! Questions of desks. Every answer is signed, and what it promises is in the books before it is given.

use transit::action::Step;
use transit::card::{Issuer, Record};
use transit::desk::{
    Ask, CardState, DeskAnswer, DeskRequest, Grant, Lost, MessageError, REQUEST_AGE_MAX_S, Reply, StepState,
    request_digest,
};
use transit::id::{CardToken, DeviceId, Epoch, HolderReference, TapId};
use transit::money::Amount;
use transit::time::Moment;

use crate::allowance;
use crate::clearing_house::ClearingHouse;
use crate::config::Config;
use crate::deny_list;
use crate::store::{Books, StoreError, StoredAnswer};

/// The answer to a desk: the JSON text of a [`DeskAnswer`], and its Ed25519 signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAnswer {
    /// The text.
    pub text: String,
    /// The signature over [`transit::desk::answer_signed_bytes`] of the text.
    pub signature: [u8; 64],
}

/// Why a desk got no answer. Nothing is promised.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No request, or not signed by a registered desk.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The books refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The answer could not be written.
    #[error("the answer cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl ClearingHouse {
    /// Answers the request of this `text` and `signature` at the moment `at`. When this returns, what the answer promises
    /// is durable.
    ///
    /// # Errors
    /// [`AskError`]; nothing is promised then.
    pub fn answer(&mut self, text: &str, signature: &[u8], at: Moment) -> Result<SignedAnswer, AskError> {
        let Self { store, config } = self;
        let public_key_of = |desk| config.desks.get(&desk).map(|desk| desk.public_key);
        let request = DeskRequest::open(text, signature, public_key_of)?;
        let books = store.begin()?;
        let (reply, promise) = reply(&books, config, &request, at)?;
        let answer = DeskAnswer { at, request: request_digest(text), reply };
        let text = serde_json::to_string(&answer)?;
        let signature = config.signer.sign_answer(&text);
        if let Some(Promise { number, epoch, lost_card }) = promise {
            books.insert_answer(&StoredAnswer {
                number,
                at,
                desk: request.desk,
                epoch,
                lost_card,
                text: text.clone(),
                signature: signature.to_vec(),
            })?;
        }
        books.commit()?;
        Ok(SignedAnswer { text, signature })
    }
}

/// An answer that must be in the books.
struct Promise {
    number: u32,
    epoch: Option<Epoch>,
    lost_card: Option<CardToken>,
}

/// What a stored answer says.
pub(crate) fn reply_of(answer: &StoredAnswer) -> Result<Reply, StoreError> {
    let opened: DeskAnswer = serde_json::from_str(&answer.text)
        .map_err(|error| StoreError::Damaged(format!("answer {}: {error}", answer.number)))?;
    Ok(opened.reply)
}

fn reply(
    books: &Books<'_>,
    config: &Config,
    request: &DeskRequest,
    at: Moment,
) -> Result<(Reply, Option<Promise>), StoreError> {
    let Some(desk) = config.desks.get(&request.desk) else { return Ok(refused("this desk is not registered")) };
    if request.at.distance_s(at) > REQUEST_AGE_MAX_S {
        let why = format!("the clock of the desk says {} and this one {at}: set it right", request.at);
        return Ok(refused(&why));
    }
    match &request.ask {
        Ask::Allowance => {
            let log = (request.desk, request.epoch);
            let calendar = config.tariffs.calendar();
            let (allowance, is_new) = allowance::next(books, calendar, log, desk.daily_load_limit, at)?;
            let promise =
                is_new.then_some(Promise { number: allowance.number, epoch: Some(request.epoch), lost_card: None });
            Ok((Reply::Allowance(allowance), promise))
        }
        Ask::CardState { card } => Ok((Reply::CardState(card_state(books, config, *card)?), None)),
        Ask::Step { step } => Ok((step_state(books, request.desk, step)?, None)),
        Ask::Transfer { lost, card } => transfer(books, config, request.desk, *lost, *card),
    }
}

fn refused(why: &str) -> (Reply, Option<Promise>) {
    (Reply::Refused { why: why.to_owned() }, None)
}

fn transfer(
    books: &Books<'_>,
    config: &Config,
    desk: DeviceId,
    lost: Lost,
    card: CardToken,
) -> Result<(Reply, Option<Promise>), StoreError> {
    let lost = match lost {
        // Whose value it is must be known: a token alone is on every answer of a desk.
        Lost::Card(lost) if books.is_registered(lost)? => lost,
        Lost::Card(_) => return Ok(refused("this card is registered to nobody: its value cannot be moved")),
        Lost::Holder(holder) => match cards_in_use(books, holder, card)?[..] {
            [] => return Ok(refused("no card was issued to this holder, or each was replaced before")),
            [only] => only,
            [..] => return Ok(refused("several cards were issued to this holder: name the lost one by its token")),
        },
    };
    if let Some(answer) = books.transfer_of(lost)? {
        // A desk that lost the answer asks again; nobody else gets it, and no other card.
        return Ok(match reply_of(&answer)? {
            Reply::Transfer(grant) if grant.desk == desk && grant.card == card => (Reply::Transfer(grant), None),
            Reply::Transfer(_) | Reply::Allowance(_) | Reply::CardState(_) | Reply::Step(_) | Reply::Refused { .. } => {
                refused(&format!("the value of this card was granted before, by grant {}", answer.number))
            }
        });
    }
    if lost == card {
        return Ok(refused("the lost card and the new one are the same"));
    }
    if deny_list::is_denied(books, config, card)? {
        return Ok(refused("the new card is on the deny list"));
    }
    if books.newest_record(lost)?.is_none() {
        // Without proofs the books would not see its last rides, and give their money a second time.
        return Ok(refused("no proof of the lost card tells what it holds: cards on EV1 chips give none"));
    }
    let state = card_state(books, config, lost)?;
    let Some(balance) = state.balance_minor else {
        return Ok(refused("the books know no record of the lost card"));
    };
    let grant = Grant {
        number: books.next_answer()?,
        desk,
        lost,
        card,
        amount_minor: Amount::from_minor(balance.minor()).unwrap_or(Amount::ZERO),
        issuer: state.issuer,
    };
    let promise = Promise { number: grant.number, epoch: None, lost_card: Some(lost) };
    Ok((Reply::Transfer(grant), Some(promise)))
}

/// The cards of a holder that may be the lost one: not the new card, and none whose value was moved before, unless it
/// was moved to this new card.
fn cards_in_use(books: &Books<'_>, holder: HolderReference, new: CardToken) -> Result<Vec<CardToken>, StoreError> {
    let mut cards = Vec::new();
    for card in books.cards_of_holder(holder)? {
        let moved_elsewhere = match books.transfer_of(card)? {
            Some(answer) => !matches!(reply_of(&answer)?, Reply::Transfer(grant) if grant.card == new),
            None => false,
        };
        if card != new && !moved_elsewhere {
            cards.push(card);
        }
    }
    Ok(cards)
}

/// Whether the card took a step, by its own proofs. What a desk says without one counts for nothing here.
fn step_state(books: &Books<'_>, desk: DeviceId, name: &str) -> Result<Reply, StoreError> {
    let id = name.parse::<TapId>().ok().filter(|id| id.device == desk);
    let action = id.map(|id| books.action(id)).transpose()?.flatten();
    let Some(action) = action else { return Ok(refused("the books have no such step of this desk: send it first").0) };
    let written = match action.step {
        Step::Written => Some(true),
        Step::Unknown if !books.entries_of(action.id)?.is_empty() => Some(true),
        Step::Unknown => books.is_disproved(&action)?.then_some(false),
        Step::Paid | Step::Void | Step::Confirmed { .. } | Step::Voided { .. } | Step::Refunded | Step::Done => {
            Some(false)
        }
    };
    Ok(Reply::Step(StepState { step: name.to_owned(), written }))
}

/// What the books know of a card. Its newest proven record counts, and of a card that proves nothing the newest that a
/// desk wrote. A newer record that lowers the balance counts too, though no card proves it: whoever rode and lost the card
/// is not given the fare a second time. One that raises it does not.
fn card_state(books: &Books<'_>, config: &Config, card: CardToken) -> Result<CardState, StoreError> {
    let mut pending = 0;
    for unknown in books.unknowns_of_card(card)? {
        pending += u32::from(books.entries_of(unknown.id)?.len() == 1);
    }
    // The issuer file changes at desks only, so that the newest step that the card took has it.
    let (mut newest, mut issuer) = (None::<Record>, None);
    let mut written = books.unproven_records(card)?;
    for action in books.actions_of_card(card)? {
        if action.step == Step::Unknown && books.entries_of(action.id)?.is_empty() {
            pending += u32::from(books.is_pending(&action)?);
            continue;
        }
        let Some(record) = action.record_written.and_then(|bytes| Record::decode(&bytes).ok()) else { continue };
        written.push(record);
        if newest.is_none_or(|newest| newest.card_sequence < record.card_sequence) {
            newest = Some(record);
            let file = action.issuer_written.or(action.issuer_read);
            issuer = file.and_then(|bytes| Issuer::decode(&bytes).ok()).or(issuer);
        }
    }
    let proven = books.newest_record(card)?.and_then(|bytes| Record::decode(&bytes).ok());
    let record = proven.or(newest).map(|known| {
        let newer = written.into_iter().filter(|record| record.card_sequence > known.card_sequence);
        newer.fold(known, |lowest, record| if record.balance_after < lowest.balance_after { record } else { lowest })
    });
    Ok(CardState {
        card,
        balance_minor: record.map(|record| record.balance_after),
        seen: record.map(|record| record.time),
        issuer,
        blocked: deny_list::is_denied(books, config, card)?,
        pending,
    })
}
