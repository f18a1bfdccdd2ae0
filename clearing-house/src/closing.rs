//! Closing a service day: its statements are made, stored and settled once, and never change.

use std::collections::{BTreeMap, BTreeSet};

use transit::id::OperatorId;
use transit::money::Amount;
use transit::time::{Moment, ServiceDay};

use crate::clearing_house::ClearingHouse;
use crate::config::Config;
use crate::ledger;
use crate::missing;
use crate::settle::{self, Overflow};
use crate::statement::{Header, SettledDay, SettledStatement, Statement, day_digest, digest};
use crate::store::{Books, ClosedDay, StoreError};

/// The name of the system, as statements have it.
const SYSTEM: &str = "Chạm";

/// Why a day was not closed.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The day has not begun.
    #[error("service day {day} has not begun: it is {today}; a day is settled on that day or later")]
    NotBegun {
        /// The day asked for.
        day: ServiceDay,
        /// The service day now.
        today: ServiceDay,
    },
    /// The day was closed before, and what was stored then is not as it was.
    #[error("the stored statements of {0} were changed; `verify` says more")]
    Damaged(ServiceDay),
    /// The sums do not fit.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// The books refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The statement could not be written.
    #[error("the statement cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl ClearingHouse {
    /// Closes `day` at the moment `at`. A day that is closed already stays as it is, and gives the same answer.
    ///
    /// # Errors
    /// [`SettleError`]; nothing has happened then.
    pub fn settle(&mut self, day: ServiceDay, at: Moment) -> Result<SettledDay, SettleError> {
        let Self { store, config } = self;
        let today = config.tariffs.calendar().service_day(at);
        if day > today {
            return Err(SettleError::NotBegun { day, today });
        }
        let books = store.begin()?;
        if !books.is_closed(day)? {
            close(&books, config, day, at)?;
        }
        let settled = stored(&books, day)?;
        books.commit()?;
        Ok(settled)
    }
}

fn close(books: &Books<'_>, config: &Config, day: ServiceDay, at: Moment) -> Result<(), SettleError> {
    missing::close(books, config, day, at)?;
    let last_entry = books.last_entry()?;
    let operators: BTreeSet<OperatorId> = config.operators.keys().copied().chain(books.operators_to(day)?).collect();
    let mut digests = Vec::new();
    for operator in operators {
        let statement = derive(books, header(config, operator, day), last_entry)?;
        let bytes = statement.to_bytes()?;
        let digest = digest(&bytes);
        books.insert_statement(day, operator, &bytes, &digest)?;
        if statement.amount_minor > Amount::ZERO {
            let currency = &config.tariffs.currency().code;
            books.post(&ledger::settlement(operator, day, statement.amount_minor, at, currency))?;
        }
        digests.push(digest);
    }
    let closed = ClosedDay { service_day: day, closed_at: at, last_entry, digest: day_digest(&digests) };
    Ok(books.insert_closed_day(&closed)?)
}

/// The statement that the ledger gives, as far as the entries to `last_entry` know.
pub(crate) fn derive(books: &Books<'_>, header: Header, last_entry: i64) -> Result<Statement, SettleError> {
    let (operator, day) = (header.operator, header.service_day);
    let settled = books.settled_taps(operator, day)?;
    let pending = books.pending_taps(operator, day, last_entry)?;
    Ok(settle::statement(header, &settled, &pending)?)
}

fn header(config: &Config, operator: OperatorId, day: ServiceDay) -> Header {
    let tariff = config.tariffs.on(day);
    // A ride on a line that is gone may come late.
    let lines = config.tariffs.iter().flat_map(|version| &version.lines).chain(&tariff.lines);
    let line_names: BTreeMap<_, _> = lines.map(|line| (line.number, line.name.clone())).collect();
    Header {
        system: SYSTEM.to_owned(),
        operator,
        operator_name: config.operators.get(&operator).cloned().unwrap_or_default(),
        service_day: day,
        currency: tariff.currency.clone(),
        tariff_version: tariff.version,
        line_names,
    }
}

fn stored(books: &Books<'_>, day: ServiceDay) -> Result<SettledDay, SettleError> {
    let mut statements = Vec::new();
    let mut digests = Vec::new();
    for stored in books.statements(day)? {
        if digest(&stored.bytes) != stored.digest {
            return Err(SettleError::Damaged(day));
        }
        digests.push(stored.digest);
        let statement = serde_json::from_slice(&stored.bytes)?;
        statements.push(SettledStatement { digest: hex::encode(stored.digest), statement });
    }
    let digest = day_digest(&digests);
    let as_closed = books
        .closed_days()?
        .iter()
        .any(|(closed, intact)| *intact && closed.service_day == day && closed.digest == digest);
    if !as_closed {
        return Err(SettleError::Damaged(day));
    }
    Ok(SettledDay { service_day: day, digest: hex::encode(digest), statements })
}
