//! Exchange: value and passes leave an old card and go onto a new one. Between the two they are in the journal, under the
//! name of the exchange: the old card is emptied with a sealed step of its own before the new one is asked for, and
//! whatever happens to either, the exchange stays open until a new card has taken them.

use card_crypto::Transport;
use key_store::KeyStore;
use transit::action::{Action, ActionKind, Step};
use transit::card::{
    DeskWrite, Issuer, PRODUCTS, Product, ProductKind, Profile, record_of_surrender, record_of_transfer,
};
use transit::desk::{Grant, Lost};
use transit::id::{CardToken, TapId};
use transit::money::Amount;
use transit::time::{Moment, ServiceDay};

use crate::desk::{Desk, Serving, Writing};
use crate::open_action::{OpenAction, OpenState, open_actions};
use crate::refusal::{DeskError, Refusal, held};
use crate::report::{Moved, Report};
use crate::session::{Also, CardError, Opened, Opening, Random, Session, open};
use crate::settle::{Resumed, ResumedOutcome};

/// Value and passes on their way to a new card.
struct Load<'a> {
    kind: ActionKind,
    names: Option<TapId>,
    old: CardToken,
    grant: Option<u32>,
    amount: Amount,
    issuer: Option<&'a Issuer>,
}

impl<K: KeyStore> Desk<K> {
    /// The exchange of this name, which waits for its new card or for word of one that was torn.
    ///
    /// # Errors
    /// [`Refusal::NotOpen`].
    pub fn waiting_exchange(&self, named: TapId) -> Result<Action, DeskError> {
        let waiting = self.waiting_exchanges()?.into_iter().find(|first| first.id == named);
        Ok(waiting.ok_or(Refusal::NotOpen(named))?)
    }

    /// The waiting exchange whose old card is the one with this identifier.
    ///
    /// # Errors
    /// [`DeskError`].
    pub fn waiting_exchange_of(&mut self, uid: &[u8]) -> Result<Option<Action>, DeskError> {
        let (_, card) = self.token(uid)?;
        Ok(self.waiting_exchanges()?.into_iter().find(|first| first.card == card))
    }

    /// The exchanges that wait for their new cards, or for word of those that were torn.
    ///
    /// # Errors
    /// [`DeskError::Journal`].
    pub fn waiting_exchanges(&self) -> Result<Vec<Action>, DeskError> {
        let waits = |open: &OpenAction| match &open.state {
            OpenState::HalfMoved(_) => true,
            OpenState::Unknown(step) => open.first.kind == ActionKind::Exchange && step.card != open.first.card,
            OpenState::Paid => false,
        };
        let open = open_actions(&self.journal.of_open_actions()?);
        Ok(open.into_iter().filter(waits).map(|open| open.first).collect())
    }

    /// Whether an exchange is not at its end.
    ///
    /// # Errors
    /// [`DeskError::Journal`].
    pub fn is_open(&self, exchange: TapId) -> Result<bool, DeskError> {
        Ok(!open_actions(&self.journal.of_action(exchange)?).is_empty())
    }

    /// The step of this exchange that may or may not be on a new card, if that is what it waits for.
    ///
    /// # Errors
    /// [`DeskError::Journal`].
    pub fn torn_new_card(&self, exchange: &Action) -> Result<Option<Action>, DeskError> {
        let open = open_actions(&self.journal.of_action(exchange.id)?).into_iter().next();
        Ok(open.and_then(|open| match open.state {
            OpenState::Unknown(step) if step.card != exchange.card => Some(*step),
            OpenState::Unknown(_) | OpenState::HalfMoved(_) | OpenState::Paid => None,
        }))
    }

    /// Records what the clearing house knows of a new card that was torn and has not come back: it has everything, and
    /// the exchange is at its end, or it has nothing, and another new card may take it.
    ///
    /// # Errors
    /// [`Refusal::NewCardUnknown`] while nobody can tell.
    pub fn resolve_new_card(
        &mut self,
        exchange: &Action,
        torn: &Action,
        written: Option<bool>,
        serving: Serving,
    ) -> Result<Resumed, DeskError> {
        let is_written = written.ok_or(Refusal::NewCardUnknown(exchange.id))?;
        self.resolve(exchange, torn, is_written, None, serving)?;
        let outcome = self.half_moved(exchange.id)?.unwrap_or(ResumedOutcome::Found);
        Ok(Resumed { action: exchange.id, kind: exchange.kind, amount_minor: exchange.amount, outcome })
    }

    /// Empties the old card: its value and its passes are the journal's until a new card takes them.
    ///
    /// # Errors
    /// [`DeskError`]. After `Unknown` the old card, presented again, says whether it was emptied.
    pub fn empty_old_card<T: Transport>(
        &mut self,
        transport: &mut T,
        uid: &[u8],
        serving: Serving,
        random: Random<'_>,
    ) -> Result<Action, DeskError> {
        let (uid, _) = self.token(uid)?;
        match open(transport, &uid, Also::Issuer, &mut self.keys, random)? {
            Opening::Ev1(opened) => self.empty(opened, &uid, serving, random),
            Opening::Ev2(opened) => self.empty(opened, &uid, serving, random),
        }
    }

    fn empty<T: Transport, S: Session>(
        &mut self,
        opened: Opened<T, S>,
        uid: &[u8; 7],
        serving: Serving,
        random: Random<'_>,
    ) -> Result<Action, DeskError> {
        let card = self.keys.token(uid)?;
        self.refuse_blocked(card)?;
        let amount = held(opened.record.balance_after)?;
        let issuer = opened.issuer_file()?;
        self.check_may_load(amount, Amount::ZERO, serving.at)?;
        let step = self.step(ActionKind::Exchange, Step::Unknown, card, amount, serving)?;
        let emptied = Issuer { products: [Product::NONE; PRODUCTS], ..issuer };
        let write = DeskWrite { action: step.id, at: serving.at, amount };
        let record = record_of_surrender(&opened.record, &emptied, write).map_err(Refusal::from)?;
        let writing = Writing { credit: Amount::ZERO, debit: amount, issuer: Some(emptied), record };
        self.write(opened, step, &writing, random)
    }

    /// Puts what an exchange took off its old card on a new one.
    ///
    /// # Errors
    /// [`DeskError`]; the exchange stays open, for this card or another one.
    pub fn load_new_card<T: Transport>(
        &mut self,
        transport: &mut T,
        uid: &[u8],
        exchange: &Action,
        serving: Serving,
        random: Random<'_>,
    ) -> Result<Report, DeskError> {
        let (uid, card) = self.token(uid)?;
        if card == exchange.card {
            return Err(Refusal::SameCard.into());
        }
        let open_action = open_actions(&self.journal.of_action(exchange.id)?).into_iter().next();
        let emptied = match open_action.map(|open| open.state) {
            Some(OpenState::HalfMoved(emptied)) => emptied,
            // Another new card may have taken it: that one has to be seen first.
            Some(OpenState::Unknown(_)) => return Err(Refusal::NewCardUnknown(exchange.id).into()),
            Some(OpenState::Paid) | None => return Err(Refusal::NotOpen(exchange.id).into()),
        };
        let issuer = emptied.issuer_read.map(|bytes| Issuer::decode(&bytes)).transpose().map_err(CardError::Content)?;
        let load = Load {
            kind: ActionKind::Exchange,
            names: Some(exchange.id),
            old: exchange.card,
            grant: None,
            amount: emptied.debited.unwrap_or(Amount::ZERO),
            issuer: issuer.as_ref(),
        };
        self.check_may_load(load.amount, Amount::ZERO, serving.at)?;
        self.load_moved(transport, &uid, &load, serving, random)
    }

    /// Puts a lost card's value on a new card, as a grant of the clearing house allows, once.
    ///
    /// # Errors
    /// [`DeskError`]; the grant stays good until a card has taken it.
    pub fn transfer<T: Transport>(
        &mut self,
        transport: &mut T,
        uid: &[u8],
        grant: &Grant,
        serving: Serving,
        random: Random<'_>,
    ) -> Result<Report, DeskError> {
        let (uid, card) = self.token(uid)?;
        if card != grant.card || grant.desk != self.journal.device() {
            return Err(Refusal::OtherCard.into());
        }
        if self.is_used(grant)? {
            return Err(Refusal::GrantUsed(grant.number).into());
        }
        let load = Load {
            kind: ActionKind::Transfer,
            names: None,
            old: grant.lost,
            grant: Some(grant.number),
            amount: grant.amount_minor,
            issuer: grant.issuer.as_ref(),
        };
        self.load_moved(transport, &uid, &load, serving, random)
    }

    /// The unused grant that this desk received for a lost card, named as it was then or by its token, and the new `card`.
    ///
    /// # Errors
    /// [`DeskError::Journal`].
    pub fn kept_grant(&self, lost: Lost, card: CardToken) -> Result<Option<Grant>, DeskError> {
        for (named, grant) in self.journal.grants(&self.rules.clearing_house_public_key)? {
            let is_of_lost = named == Some(lost) || lost == Lost::Card(grant.lost);
            if grant.card == card && is_of_lost && !self.is_used(&grant)? {
                return Ok(Some(grant));
            }
        }
        Ok(None)
    }

    /// Whether a card has taken what a grant allows, or may have.
    ///
    /// # Errors
    /// [`DeskError::Journal`].
    pub fn is_used(&self, grant: &Grant) -> Result<bool, DeskError> {
        let steps = self.journal.of_card(grant.card)?;
        let of_grant = || steps.iter().filter(|step| step.grant == Some(grant.number));
        let is_voided = |unknown: &Action| {
            of_grant().any(|step| matches!(step.step, Step::Voided { resolves } if resolves == unknown.id))
        };
        Ok(of_grant().any(|step| match step.step {
            Step::Written | Step::Confirmed { .. } => true,
            Step::Unknown => !is_voided(step),
            Step::Paid | Step::Void | Step::Voided { .. } | Step::Refunded | Step::Done => false,
        }))
    }

    fn load_moved<T: Transport>(
        &mut self,
        transport: &mut T,
        uid: &[u8; 7],
        load: &Load<'_>,
        serving: Serving,
        random: Random<'_>,
    ) -> Result<Report, DeskError> {
        match open(transport, uid, Also::Issuer, &mut self.keys, random)? {
            Opening::Ev1(opened) => self.load_moved_on(opened, uid, load, serving, random),
            Opening::Ev2(opened) => self.load_moved_on(opened, uid, load, serving, random),
        }
    }

    fn load_moved_on<T: Transport, S: Session>(
        &mut self,
        opened: Opened<T, S>,
        uid: &[u8; 7],
        load: &Load<'_>,
        serving: Serving,
        random: Random<'_>,
    ) -> Result<Report, DeskError> {
        let card = self.keys.token(uid)?;
        self.refuse_blocked(card)?;
        let own = opened.issuer_file()?;
        let issuer = match load.issuer {
            Some(old) => taken_over(&own, old, self.today(serving.at)).ok_or(Refusal::NoRoomForPasses)?,
            None => own,
        };
        let template = Action {
            names: load.names,
            other_card: Some(load.old),
            grant: load.grant,
            ..self.step(load.kind, Step::Unknown, card, load.amount, serving)?
        };
        let write = DeskWrite { action: template.id, at: serving.at, amount: load.amount };
        let record = record_of_transfer(&opened.record, &issuer, write).map_err(Refusal::from)?;
        let balance_minor = record.balance_after;
        let writing = Writing { credit: load.amount, debit: Amount::ZERO, issuer: Some(issuer), record };
        let written = self.write(opened, template, &writing, random)?;
        Ok(Report::Moved(Moved {
            action: load.names.unwrap_or(written.id),
            kind: load.kind,
            from: load.old,
            card,
            amount_minor: load.amount,
            balance_minor,
        }))
    }

    fn today(&self, at: Moment) -> ServiceDay {
        self.rules.tariffs.calendar().service_day(at)
    }
}

/// The new card's issuer file with the passes of the old one that are not over, and the old one's profile where the new
/// card has none of its own. `None` where there is no room.
pub fn taken_over(own: &Issuer, old: &Issuer, today: ServiceDay) -> Option<Issuer> {
    let mut issuer = *own;
    if issuer.profile == Profile::Ordinary {
        (issuer.profile, issuer.profile_valid_until) = (old.profile, old.profile_valid_until);
    }
    let is_over = |product: &Product| product.kind == ProductKind::None || product.valid_until < today;
    for product in old.products.iter().filter(|product| !is_over(product)) {
        let place = issuer.products.iter_mut().find(|place| is_over(place))?;
        *place = *product;
    }
    Some(issuer)
}
