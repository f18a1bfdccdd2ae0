//! Steps of desks' actions.

use rusqlite::{OptionalExtension, params};
use transit::action::{Action, SealedAction, Step};
use transit::id::{CardToken, DeviceId, Epoch, HolderReference, TapId};
use transit::money::Amount;

use super::{Books, StoreError, parsed};
use crate::backing::KnownStep;
use crate::evidence::{Resolution, Writing, resolve, wanted_slot};

/// A step as it lies in the books.
#[derive(Debug, Clone)]
pub(crate) struct StoredAction {
    /// The name that its row has.
    pub(crate) id: String,
    pub(crate) bytes: Vec<u8>,
    /// Whether its Transaction MAC was found right.
    pub(crate) proven: bool,
    /// The receipt that acknowledged it.
    pub(crate) receipt: i64,
    /// The columns that were read out of the bytes when it was stored.
    pub(crate) columns: ActionColumns,
}

/// What is read out of a step so that it can be found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ActionColumns {
    device: u32,
    epoch: u8,
    sequence: u32,
    at: u32,
    card: [u8; 16],
    kind: String,
    step: String,
    counter: Option<u32>,
    wanted_slot: Option<u32>,
    names: Option<String>,
    resolves: Option<String>,
    grant_number: Option<u32>,
    holder: Option<String>,
}

impl ActionColumns {
    /// What belongs in the row of `action`.
    pub(crate) fn of(action: &Action) -> Self {
        let resolves = match action.step {
            Step::Confirmed { resolves } | Step::Voided { resolves } => Some(resolves.to_string()),
            Step::Paid | Step::Written | Step::Unknown | Step::Void | Step::Refunded | Step::Done => None,
        };
        Self {
            device: action.id.device.number(),
            epoch: action.id.epoch,
            sequence: action.id.sequence,
            at: action.at.0,
            card: action.card.0,
            kind: action.kind.name().to_owned(),
            step: action.step.name().to_owned(),
            counter: action.transaction_mac.map(|mac| mac.counter),
            wanted_slot: wanted_slot(&Writing::of_action(action)),
            names: action.names.map(|id| id.to_string()),
            resolves,
            grant_number: action.grant,
            holder: action.holder.map(|holder| holder.0.to_string()),
        }
    }
}

impl Books<'_> {
    pub(crate) fn insert_action(
        &self,
        action: &Action,
        sealed: &SealedAction,
        proven: bool,
        receipt: i64,
    ) -> Result<(), StoreError> {
        let columns = ActionColumns::of(action);
        self.0
            .prepare_cached(
                "INSERT INTO action (id, device, epoch, sequence, bytes, at, card, kind, step, proven, counter, \
                 wanted_slot, names, resolves, grant_number, holder, receipt) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
            )?
            .execute(params![
                action.id.to_string(),
                columns.device,
                columns.epoch,
                columns.sequence,
                sealed.as_bytes(),
                columns.at,
                columns.card,
                columns.kind,
                columns.step,
                proven,
                columns.counter,
                columns.wanted_slot,
                columns.names,
                columns.resolves,
                columns.grant_number,
                columns.holder,
                receipt
            ])?;
        Ok(())
    }

    /// The sealed step of this name.
    pub(crate) fn sealed_action(&self, id: TapId) -> Result<Option<SealedAction>, StoreError> {
        let mut statement =
            self.0.prepare_cached("SELECT bytes FROM action WHERE device = ?1 AND epoch = ?2 AND sequence = ?3")?;
        let bytes: Option<Vec<u8>> =
            statement.query_row(params![id.device.number(), id.epoch, id.sequence], |row| row.get(0)).optional()?;
        bytes
            .map(|bytes| SealedAction::from_bytes(&bytes))
            .transpose()
            .map_err(|source| StoreError::Action { id: id.to_string(), source })
    }

    /// The opened step of this name.
    pub(crate) fn action(&self, id: TapId) -> Result<Option<Action>, StoreError> {
        let opened = self.sealed_action(id)?.map(|sealed| sealed.open());
        opened.transpose().map_err(|source| StoreError::Action { id: id.to_string(), source })
    }

    /// The steps of the action whose first step this is, without it ([`crate::backing::first_of`]).
    pub(crate) fn later_steps(&self, first: TapId) -> Result<Vec<Action>, StoreError> {
        let TapId { device, epoch, sequence } = first;
        let log = params![first.to_string(), device.number(), epoch, sequence];
        self.actions("WHERE names = ?1 AND device = ?2 AND epoch = ?3 AND sequence > ?4", log)
    }

    /// How many steps the action has whose first step this is; that one counts though it has not come.
    pub(crate) fn steps_of(&self, first: TapId) -> Result<u32, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT 1 + count(*) FROM action WHERE names = ?1 AND device = ?2 AND epoch = ?3 AND sequence > ?4",
        )?;
        let TapId { device, epoch, sequence } = first;
        Ok(statement.query_row(params![first.to_string(), device.number(), epoch, sequence], |row| row.get(0))?)
    }

    /// The known steps of the action whose first step is `first`, in the order of the log.
    pub(crate) fn known_steps(&self, first: TapId) -> Result<Vec<KnownStep>, StoreError> {
        let steps = self.action(first)?.into_iter().chain(self.later_steps(first)?);
        let known = |action: Action| {
            let is_booked = action.step == Step::Unknown && self.has_entry(action.id)?;
            Ok(KnownStep { shown: self.shown(&action)?, is_booked, action })
        };
        steps.map(known).collect()
    }

    /// Whether the card has shown that it took the unknown step `action`.
    fn shown(&self, action: &Action) -> Result<Option<bool>, StoreError> {
        let writing = Writing::of_action(action);
        let Some(slot) = wanted_slot(&writing) else { return Ok(None) };
        Ok(match resolve(&writing, &self.evidence_of_slot(action.card, slot)?, false) {
            Resolution::Confirmed => Some(true),
            Resolution::Voided => Some(false),
            Resolution::Pending | Resolution::Disputed => None,
        })
    }

    /// Whether its desk says of the unknown step `id`, after a later look at the card, that it was not committed.
    pub(crate) fn is_said_void(&self, id: TapId) -> Result<bool, StoreError> {
        let mut statement =
            self.0.prepare_cached("SELECT 1 FROM action WHERE resolves = ?1 AND device = ?2 AND step = 'voided'")?;
        Ok(statement.exists(params![id.to_string(), id.device.number()])?)
    }

    /// The unknown steps that were to write this record of this card.
    pub(crate) fn unknown_actions_wanting(&self, card: CardToken, slot: u32) -> Result<Vec<Action>, StoreError> {
        self.actions("WHERE card = ?1 AND wanted_slot = ?2", params![card.0, slot])
    }

    /// The unknown steps, whatever became of them.
    pub(crate) fn unknown_actions(&self) -> Result<Vec<Action>, StoreError> {
        self.actions("WHERE wanted_slot IS NOT NULL", [])
    }

    /// The steps that name this grant.
    pub(crate) fn actions_with_grant(&self, number: u32) -> Result<Vec<Action>, StoreError> {
        self.actions("WHERE grant_number = ?1", [number])
    }

    /// The steps that a card was written in, or may have been.
    pub(crate) fn actions_of_card(&self, card: CardToken) -> Result<Vec<Action>, StoreError> {
        self.actions("WHERE card = ?1 AND step IN ('written', 'unknown')", [card.0])
    }

    /// The cards that were issued to a holder.
    pub(crate) fn cards_of_holder(&self, holder: HolderReference) -> Result<Vec<CardToken>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT DISTINCT card FROM action WHERE holder = ?1 AND kind = 'issue' AND step IN ('written', 'unknown')",
        )?;
        let rows = statement.query_map([holder.0.to_string()], |row| Ok(CardToken(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether a card was issued to a holder.
    pub(crate) fn is_registered(&self, card: CardToken) -> Result<bool, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT 1 FROM action WHERE card = ?1 AND kind = 'issue' AND holder IS NOT NULL AND step IN ('written', 'unknown')",
        )?;
        Ok(statement.exists([card.0.as_slice()])?)
    }

    /// The cards that desks have blocked.
    pub(crate) fn blocked_cards(&self) -> Result<Vec<CardToken>, StoreError> {
        let mut statement = self.0.prepare_cached("SELECT DISTINCT card FROM action WHERE kind = 'block'")?;
        let rows = statement.query_map([], |row| Ok(CardToken(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The steps made in a span of seconds, in order.
    pub(crate) fn actions_between(&self, first: u32, last: u32) -> Result<Vec<Action>, StoreError> {
        self.actions("WHERE at BETWEEN ?1 AND ?2", [first, last])
    }

    fn actions(&self, which: &str, parameters: impl rusqlite::Params) -> Result<Vec<Action>, StoreError> {
        let sql = format!("SELECT id, bytes FROM action {which} ORDER BY device, epoch, sequence");
        let mut statement = self.0.prepare_cached(&sql)?;
        let rows = statement.query_map(parameters, |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        rows.map(|row| {
            let (id, bytes) = row?;
            let opened = SealedAction::from_bytes(&bytes).and_then(|sealed| sealed.open());
            opened.map_err(|source| StoreError::Action { id, source })
        })
        .collect()
    }

    /// Whether no card has shown yet whether it took the unknown step `action`.
    pub(crate) fn is_pending(&self, action: &Action) -> Result<bool, StoreError> {
        let writing = Writing::of_action(action);
        let Some(slot) = wanted_slot(&writing) else { return Ok(false) };
        let proofs = self.evidence_of_slot(action.card, slot)?;
        Ok(matches!(resolve(&writing, &proofs, false), Resolution::Pending | Resolution::Disputed))
    }

    /// Whether the card has shown that it did not take the unknown step `action`.
    pub(crate) fn is_disproved(&self, action: &Action) -> Result<bool, StoreError> {
        Ok(self.shown(action)? == Some(false))
    }

    pub(crate) fn for_each_action(
        &self,
        mut visit: impl FnMut(StoredAction) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.0.prepare(
            "SELECT id, bytes, proven, receipt, device, epoch, sequence, at, card, kind, step, counter, wanted_slot, \
             names, resolves, grant_number, holder FROM action ORDER BY device, epoch, sequence",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            visit(StoredAction {
                id: row.get(0)?,
                bytes: row.get(1)?,
                proven: row.get(2)?,
                receipt: row.get(3)?,
                columns: ActionColumns {
                    device: row.get(4)?,
                    epoch: row.get(5)?,
                    sequence: row.get(6)?,
                    at: row.get(7)?,
                    card: row.get(8)?,
                    kind: row.get(9)?,
                    step: row.get(10)?,
                    counter: row.get(11)?,
                    wanted_slot: row.get(12)?,
                    names: row.get(13)?,
                    resolves: row.get(14)?,
                    grant_number: row.get(15)?,
                    holder: row.get(16)?,
                },
            })?;
        }
        Ok(())
    }

    /// What cards are known to have from a desk in one epoch of its log: value and passes.
    pub(crate) fn written_by(&self, desk: DeviceId, epoch: Epoch) -> Result<Amount, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT coalesce(sum(posting.amount), 0) FROM action \
             JOIN entry ON entry.tap = action.id AND entry.kind IN ('loaded', 'sold') \
             JOIN posting ON posting.entry = entry.id AND posting.amount > 0 \
             WHERE action.device = ?1 AND action.epoch = ?2",
        )?;
        let minor = statement.query_row(params![desk.number(), epoch], |row| row.get(0))?;
        Amount::from_minor(minor).ok_or_else(|| StoreError::Damaged("an amount is negative".to_owned()))
    }

    /// The taps and actions of a card that carry this transaction counter.
    pub(crate) fn with_counter(&self, card: CardToken, counter: u32) -> Result<Vec<TapId>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT id FROM tap WHERE card = ?1 AND counter = ?2 \
             UNION ALL SELECT id FROM action WHERE card = ?1 AND counter = ?2 ORDER BY id",
        )?;
        let rows = statement.query_map(params![card.0, counter], |row| row.get::<_, String>(0))?;
        rows.map(|id| parsed(&id?)).collect()
    }
}
