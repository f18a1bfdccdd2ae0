//! What was answered to desks, and the deny lists that were handed out.

use rusqlite::{OptionalExtension, params};
use transit::id::{CardToken, DeviceId, Epoch};
use transit::time::Moment;

use super::{Books, StoreError};
use crate::chain;

/// An answer as it lies in the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredAnswer {
    /// The number of the allowance or of the grant.
    pub(crate) number: u32,
    pub(crate) at: Moment,
    pub(crate) desk: DeviceId,
    /// Of an allowance.
    pub(crate) epoch: Option<Epoch>,
    /// Of a transfer.
    pub(crate) lost_card: Option<CardToken>,
    /// The text that was signed.
    pub(crate) text: String,
    pub(crate) signature: Vec<u8>,
}

/// A deny list as it lies in the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredDenyList {
    pub(crate) version: u32,
    pub(crate) at: Moment,
    pub(crate) cards: Vec<CardToken>,
}

const ANSWER: &str = "SELECT id, at, desk, epoch, lost_card, answer, signature FROM desk_answer";

impl Books<'_> {
    pub(crate) fn next_answer(&self) -> Result<u32, StoreError> {
        Ok(self.0.query_row("SELECT coalesce(max(id), 0) + 1 FROM desk_answer", [], |row| row.get(0))?)
    }

    pub(crate) fn insert_answer(&self, answer: &StoredAnswer) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO desk_answer (id, at, desk, epoch, lost_card, answer, signature) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                answer.number,
                answer.at.0,
                answer.desk.number(),
                answer.epoch,
                answer.lost_card.map(|card| card.0),
                answer.text,
                answer.signature
            ])?;
        Ok(())
    }

    /// Every answer, in order.
    pub(crate) fn answers(&self) -> Result<Vec<StoredAnswer>, StoreError> {
        self.some_answers("ORDER BY id", [])
    }

    /// The allowances of a desk, in order.
    pub(crate) fn allowances(&self, desk: DeviceId) -> Result<Vec<StoredAnswer>, StoreError> {
        self.some_answers("WHERE desk = ?1 AND epoch IS NOT NULL ORDER BY id", [desk.number()])
    }

    /// The transfer of a lost card.
    pub(crate) fn transfer_of(&self, lost: CardToken) -> Result<Option<StoredAnswer>, StoreError> {
        Ok(self.some_answers("WHERE lost_card = ?1", [lost.0])?.pop())
    }

    /// The answer of this number.
    pub(crate) fn answer(&self, number: u32) -> Result<Option<StoredAnswer>, StoreError> {
        Ok(self.some_answers("WHERE id = ?1", [number])?.pop())
    }

    fn some_answers(&self, which: &str, parameters: impl rusqlite::Params) -> Result<Vec<StoredAnswer>, StoreError> {
        let mut statement = self.0.prepare_cached(&format!("{ANSWER} {which}"))?;
        let mut rows = statement.query(parameters)?;
        let mut answers = Vec::new();
        while let Some(row) = rows.next()? {
            answers.push(StoredAnswer {
                number: row.get(0)?,
                at: Moment(row.get(1)?),
                desk: DeviceId::new(row.get(2)?)
                    .ok_or_else(|| StoreError::Damaged("an answer is to no desk".to_owned()))?,
                epoch: row.get(3)?,
                lost_card: row.get::<_, Option<[u8; 16]>>(4)?.map(CardToken),
                text: row.get(5)?,
                signature: row.get(6)?,
            });
        }
        Ok(answers)
    }

    /// The cards whose value was granted to another.
    pub(crate) fn transferred_cards(&self) -> Result<Vec<CardToken>, StoreError> {
        let mut statement = self.0.prepare_cached("SELECT lost_card FROM desk_answer WHERE lost_card IS NOT NULL")?;
        let rows = statement.query_map([], |row| Ok(CardToken(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn insert_deny_list(&self, list: &StoredDenyList) -> Result<(), StoreError> {
        let previous = self.last_link("SELECT chain FROM deny_list ORDER BY version DESC LIMIT 1")?;
        let cards: Vec<u8> = list.cards.iter().flat_map(|card| card.0).collect();
        self.0
            .prepare_cached("INSERT INTO deny_list (version, at, cards, chain) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![list.version, list.at.0, cards, deny_list_link(&previous, list, &cards)])?;
        Ok(())
    }

    /// The newest deny list that was handed out.
    pub(crate) fn newest_deny_list(&self) -> Result<Option<StoredDenyList>, StoreError> {
        let mut statement =
            self.0.prepare_cached("SELECT version, at, cards FROM deny_list ORDER BY version DESC LIMIT 1")?;
        let list = statement.query_row([], |row| {
            let cards: Vec<u8> = row.get(2)?;
            let cards = cards.as_chunks().0.iter().map(|card| CardToken(*card)).collect();
            Ok(StoredDenyList { version: row.get(0)?, at: Moment(row.get(1)?), cards })
        });
        Ok(list.optional()?)
    }

    /// The first deny list whose row does not continue the chain.
    pub(crate) fn broken_deny_list(&self) -> Result<Option<u32>, StoreError> {
        let mut statement = self.0.prepare("SELECT version, at, cards, chain FROM deny_list ORDER BY version")?;
        let mut rows = statement.query([])?;
        let mut previous = chain::START;
        while let Some(row) = rows.next()? {
            let list = StoredDenyList { version: row.get(0)?, at: Moment(row.get(1)?), cards: Vec::new() };
            let link = deny_list_link(&previous, &list, &row.get::<_, Vec<u8>>(2)?);
            if row.get::<_, [u8; 32]>(3)? != link {
                return Ok(Some(list.version));
            }
            previous = link;
        }
        Ok(None)
    }
}

fn deny_list_link(previous: &[u8; 32], list: &StoredDenyList, cards: &[u8]) -> [u8; 32] {
    chain::link(previous, &[&list.version.to_be_bytes(), &list.at.0.to_be_bytes(), cards])
}
