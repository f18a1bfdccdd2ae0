//! The deny list: the cards that desks have blocked, the lost cards whose value went to another, and those that the
//! configuration names.
//!
//! It is handed out as the TOML file that validators read. Its version grows when the cards change and only then, so
//! that one version is never two lists.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use transit::id::CardToken;
use transit::time::Moment;

use crate::clearing_house::ClearingHouse;
use crate::config::Config;
use crate::store::{Books, StoreError, StoredDenyList};

/// A version of the deny list. Displayed as the TOML file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenyList {
    /// Grows with every change.
    pub version: u32,
    /// The cards, in order.
    pub cards: Vec<CardToken>,
}

impl ClearingHouse {
    /// The deny list at the moment `at`. Where it is not the one that was handed out before, it is the next version.
    ///
    /// # Errors
    /// [`StoreError`] where the books cannot be read or written.
    pub fn deny_list(&mut self, at: Moment) -> Result<DenyList, StoreError> {
        let Self { store, config } = self;
        let books = store.begin()?;
        let cards: Vec<_> = denied(&books, config)?.into_iter().collect();
        let newest = books.newest_deny_list()?;
        // A list that the configuration brings may have been handed out by other means.
        let brought = config.deny_list.version;
        let list = match newest {
            Some(newest) if newest.cards == cards && newest.version >= brought => newest,
            newest => {
                let version = newest.map_or(brought, |newest| newest.version.max(brought)).saturating_add(1);
                let list = StoredDenyList { version, at, cards };
                books.insert_deny_list(&list)?;
                list
            }
        };
        books.commit()?;
        Ok(DenyList { version: list.version, cards: list.cards })
    }
}

/// Whether a card is denied.
pub(crate) fn is_denied(books: &Books<'_>, config: &Config, card: CardToken) -> Result<bool, StoreError> {
    Ok(denied(books, config)?.contains(&card))
}

fn denied(books: &Books<'_>, config: &Config) -> Result<BTreeSet<CardToken>, StoreError> {
    let mut cards: BTreeSet<_> = config.deny_list.cards.iter().copied().collect();
    cards.extend(books.blocked_cards()?);
    cards.extend(books.transferred_cards()?);
    Ok(cards)
}

impl fmt::Display for DenyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Cards that are not let in, by token. Made by `clearing-house deny-list`.")?;
        writeln!(f, "version = {}", self.version)?;
        writeln!(f, "cards = [")?;
        for card in &self.cards {
            writeln!(f, "    \"{card}\",")?;
        }
        writeln!(f, "]")
    }
}
