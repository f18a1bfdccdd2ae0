//! The clearing house of the torn taps: what it books of the logs, against what the card was charged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use clearing_house::{ClearingHouse, Config};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use transit::id::TapId;
use transit::money::Amount;
use transit::sync::{Acknowledgement, Verdict};
use transit::tap::SealedTap;
use transit::time::{Moment, ServiceCalendar};
use validator::link::check_acknowledgement;
use validator::outbox::{Cursor, Next, Outbox};

use crate::Failed;
use crate::city::clearing_house_config;
use crate::torn_gate::{Log, Site};

/// A clearing house whose books can be emptied.
#[derive(Debug)]
pub struct Books {
    clearing_house: ClearingHouse,
    sql: Connection,
}

/// What the books say of taps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Booked {
    /// The taps that an operator is owed the fare of, each as often as it was booked.
    pub paid: BTreeMap<TapId, u32>,
    /// The unknown taps whose fares wait.
    pub pending: BTreeSet<TapId>,
    /// The taps that have not come and whose debits wait, because their card shows them.
    pub missing: BTreeSet<TapId>,
    /// What all operators are owed, in minor units.
    pub payable_minor: i64,
    /// What waits in suspense, in minor units.
    pub suspense_minor: i64,
    /// What waits of taps that have not come, in minor units.
    pub missing_minor: i64,
    /// What was taken from the cards, in minor units.
    pub from_cards_minor: i64,
    /// Findings and alarms by kind.
    pub findings: BTreeMap<String, u64>,
}

impl Books {
    /// Empty books in `folder`, of a clearing house that knows the validators of `sites`.
    ///
    /// # Errors
    /// The fixtures cannot be read, or the books cannot be made.
    pub fn open(folder: &Path, fixtures: &Path, sites: &[Site]) -> Result<Self, Failed> {
        let path = folder.join("clearing-house.toml");
        let making = Failed::system(format!("making {}", path.display()));
        fs::write(&path, config_of(fixtures, sites)).map_err(making)?;
        let config = Config::read(&path, None).map_err(Failed::unexpected)?;
        let database = config.database.clone();
        let clearing_house = ClearingHouse::open(config).map_err(Failed::unexpected)?;
        let sql = Connection::open(database).map_err(Failed::unexpected)?;
        // The books are only ever added to. This connection may empty them; that of the clearing house may not.
        for (rule, on) in
            [(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false), (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)]
        {
            sql.set_db_config(rule, on).map_err(Failed::unexpected)?;
        }
        Ok(Self { clearing_house, sql })
    }

    /// Empties every table.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn empty(&mut self) -> Result<(), Failed> {
        let empty = |sql: &mut Connection| {
            let transaction = sql.transaction()?;
            let tables: Vec<String> = transaction
                .prepare_cached(
                    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' \
                     AND name NOT LIKE 'refinery%'",
                )?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for table in tables {
                transaction.prepare_cached(&format!("DELETE FROM {table}"))?.execute([])?;
            }
            transaction.commit()
        };
        empty(&mut self.sql).map_err(Failed::unexpected)
    }

    /// Uploads what `outbox` has not yet had acknowledged of `log`, as a validator's sync process does.
    ///
    /// # Errors
    /// The clearing house does not take it, or its answer does not verify.
    pub fn upload(&mut self, site: Site, log: &Log, outbox: &mut Outbox, at: Moment) -> Result<(), Failed> {
        let device = transit::id::DeviceId::new(site.device);
        let device = device.ok_or_else(|| Failed::Unexpected(format!("{} is no device", site.device)))?;
        while let Next::Send { first, last } = outbox.next(0, log.epoch, log.len()) {
            let from = first as usize - 1;
            let taps = &log.taps[from..last as usize];
            let body: Vec<u8> = taps.iter().flat_map(|tap| *tap.as_bytes()).collect();
            let signed = self.clearing_house.receive(&body, at).map_err(Failed::unexpected)?;
            let signature = hex::encode(signed.signature);
            let key = self.clearing_house.public_key();
            let acknowledged =
                check_acknowledgement(&signed.text, &signature, &key, device, log.epoch).map_err(Failed::unexpected)?;
            let all_booked = acknowledged.iter().all(|tap| tap.verdict.is_booked());
            if acknowledged.len() != taps.len() || !all_booked {
                return Err(Failed::Unexpected(format!("not all of an upload was booked: {}", signed.text)));
            }
            let answer: Acknowledgement = serde_json::from_str(&signed.text).map_err(Failed::unexpected)?;
            outbox.answered(0, first, &answer.taps, 0);
        }
        Ok(())
    }

    /// Uploads `taps` whatever is said of them: a verdict for each.
    ///
    /// # Errors
    /// The clearing house does not answer.
    pub fn try_upload(&mut self, taps: &[SealedTap], at: Moment) -> Result<Vec<Verdict>, Failed> {
        let body: Vec<u8> = taps.iter().flat_map(|tap| *tap.as_bytes()).collect();
        let signed = self.clearing_house.receive(&body, at).map_err(Failed::unexpected)?;
        let answer: Acknowledgement = serde_json::from_str(&signed.text).map_err(Failed::unexpected)?;
        Ok(answer.taps.into_iter().map(|tap| tap.verdict).collect())
    }

    /// Uploads each of `logs` whatever is said of it, and checks the books.
    ///
    /// # Errors
    /// The clearing house does not answer, or the books are not sound.
    pub fn upload_all(&mut self, logs: &[&[SealedTap]], at: Moment) -> Result<(), Failed> {
        for taps in logs {
            self.try_upload(taps, at)?;
        }
        self.verify()
    }

    /// What the books say now.
    ///
    /// # Errors
    /// SQLite refuses, or a name of a tap is none.
    pub fn look(&self) -> Result<Booked, Failed> {
        let mut booked = Booked::default();
        let entries: Vec<(String, String)> =
            self.rows("SELECT kind, tap FROM entry WHERE tap IS NOT NULL ORDER BY id")?;
        for (kind, tap) in entries {
            let tap: TapId = tap.parse().map_err(|_| Failed::Unexpected(format!("`{tap}` names no tap")))?;
            match kind.as_str() {
                "ride" => *booked.paid.entry(tap).or_default() += 1,
                "unknown" => {
                    booked.pending.insert(tap);
                }
                "unknown_confirmed" => {
                    booked.pending.remove(&tap);
                    *booked.paid.entry(tap).or_default() += 1;
                }
                "unknown_voided" => {
                    booked.pending.remove(&tap);
                }
                "missing" => {
                    booked.missing.insert(tap);
                }
                "missing_ended" => {
                    booked.missing.remove(&tap);
                }
                _ => return Err(Failed::Unexpected(format!("an entry of kind {kind}"))),
            }
        }
        let balances: Vec<(String, i64)> = self.rows("SELECT account, sum(amount) FROM posting GROUP BY account")?;
        for (account, balance) in balances {
            match account.as_str() {
                "suspense:unknown" => booked.suspense_minor += balance,
                "suspense:missing" => booked.missing_minor += balance,
                "cards:float" => booked.from_cards_minor -= balance,
                _ => booked.payable_minor += balance,
            }
        }
        let findings: Vec<(String, i64)> = self.rows("SELECT kind, count(*) FROM finding GROUP BY kind")?;
        booked.findings = findings.into_iter().map(|(kind, count)| (kind, count.unsigned_abs())).collect();
        Ok(booked)
    }

    /// How many transactions the board of gaps counts that cards have made and nobody uploaded.
    ///
    /// # Errors
    /// The books cannot be read.
    pub fn missing_of_cards(&mut self) -> Result<u32, Failed> {
        let missing = self.clearing_house.gaps().map_err(Failed::unexpected)?.of_cards.missing;
        Ok(u32::try_from(missing).unwrap_or(u32::MAX))
    }

    /// Closes the service day of `at`.
    ///
    /// # Errors
    /// The books refuse.
    pub fn close_day(&mut self, at: Moment, calendar: &ServiceCalendar) -> Result<(), Failed> {
        self.clearing_house.settle(calendar.service_day(at), at).map_err(Failed::unexpected)?;
        Ok(())
    }

    /// Checks the books as `clearing-house verify` does.
    ///
    /// # Errors
    /// They are not sound.
    pub fn verify(&mut self) -> Result<(), Failed> {
        match self.clearing_house.verify().wrong {
            None => Ok(()),
            Some(wrong) => Err(Failed::Unexpected(format!("the books are not sound: {wrong}"))),
        }
    }

    fn rows<A: rusqlite::types::FromSql, B: rusqlite::types::FromSql>(&self, sql: &str) -> Result<Vec<(A, B)>, Failed> {
        let read = || {
            let mut statement = self.sql.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<_>>()
        };
        read().map_err(Failed::unexpected)
    }
}

impl Booked {
    /// Whether the money adds up: what was taken from cards is owed or waits, and it is `fare` a tap.
    pub fn adds_up(&self, fare: Amount) -> bool {
        let of = |taps: u32| i64::from(taps) * fare.minor();
        let paid = self.paid.values().sum();
        let number = |taps: &BTreeSet<TapId>| u32::try_from(taps.len()).unwrap_or(u32::MAX);
        self.payable_minor == of(paid)
            && self.suspense_minor == of(number(&self.pending))
            && self.missing_minor == of(number(&self.missing))
            && self.from_cards_minor == self.payable_minor + self.suspense_minor + self.missing_minor
    }
}

/// The start of a log's outbox.
pub fn outbox() -> Outbox {
    Outbox::new(Cursor { epoch: 0, through: 0 }, (250, 60_000))
}

fn config_of(fixtures: &Path, sites: &[Site]) -> String {
    let operators: BTreeSet<u16> = sites.iter().map(|site| site.operator).collect();
    let operators = operators.into_iter().map(|operator| (operator, format!("Operator {operator}")));
    let validators = sites.iter().map(|Site { device, operator, .. }| (*device, *operator));
    clearing_house_config(("127.0.0.1:0", "clearing-house.sqlite"), fixtures, operators, validators)
}
