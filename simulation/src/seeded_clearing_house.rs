//! The clearing house of a city from a seed: the product's own, with books that are read with SQL and a process that dies.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use clearing_house::desk::SignedAnswer;
use clearing_house::ingest::SignedAcknowledgement;
use clearing_house::suspense::Suspense;
use clearing_house::{ClearingHouse, Config};
use rusqlite::Connection;
use serde::Deserialize;
use transit::action::SealedAction;
use transit::tap::SealedTap;
use transit::time::{Moment, ServiceDay};

use crate::Failed;
use crate::city::clearing_house_config;
use crate::desk::REGISTRATION;
use crate::seeded_event::{BooksTable, GatePlan};

/// The clearing house with its books in one folder.
#[derive(Debug)]
pub struct House {
    configuration: PathBuf,
    /// The books.
    pub database: PathBuf,
    running: Option<ClearingHouse>,
}

/// The books, as they lie in the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Books {
    /// The sealed taps.
    pub taps: Vec<SealedTap>,
    /// The sealed steps of the desk.
    pub actions: Vec<SealedAction>,
    /// The entries of the ledger, in order.
    pub entries: Vec<BookedEntry>,
    /// The balances of the accounts that are not even.
    pub balances: BTreeMap<String, i64>,
    /// Names and verdicts of what was kept aside.
    pub kept_aside: Vec<(String, String)>,
    /// Kinds, taps or steps, and details of what does not fit.
    pub findings: Vec<(String, String, String)>,
    /// What the statements of all days say together.
    pub settled: BTreeMap<SettledLine, BTreeSet<String>>,
    /// What the audit says is wrong, if anything.
    pub wrong: Option<String>,
    /// What waits in suspense, long after everything.
    pub suspense: Suspense,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookedEntry {
    /// Its kind.
    pub kind: String,
    /// The tap that it is about.
    pub tap: Option<String>,
    /// Whose ride it is.
    pub operator: u16,
    /// What it moves, in dong: the larger of its postings.
    pub amount: i64,
}

/// A line of statements, whatever the day in which it counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SettledLine {
    operator: u16,
    line: u16,
    basis: String,
    travel_day: String,
    unit_fare: i64,
}

#[derive(Deserialize)]
struct StoredStatement {
    lines: Vec<StoredLine>,
}

#[derive(Deserialize)]
struct StoredLine {
    line: u16,
    basis: serde_json::Value,
    travel_day: String,
    unit_fare_minor: i64,
    taps: Vec<String>,
}

impl House {
    /// A clearing house in `folder`, which is made.
    ///
    /// # Errors
    /// It does not open.
    pub fn new(folder: &Path, fixtures: &Path, gates: &[GatePlan]) -> Result<Self, Failed> {
        fs::create_dir_all(folder).map_err(Failed::system(format!("making {}", folder.display())))?;
        let configuration = folder.join("clearing-house.toml");
        fs::write(&configuration, configuration_of(fixtures, gates))
            .map_err(Failed::system(format!("writing {}", configuration.display())))?;
        let mut house = Self { configuration, database: folder.join("books.sqlite"), running: None };
        house.restart()?;
        Ok(house)
    }

    /// The process ends, whatever it was at, and another one takes its place.
    ///
    /// # Errors
    /// It does not open.
    pub fn restart(&mut self) -> Result<(), Failed> {
        self.running = None;
        let config = Config::read(&self.configuration, None).map_err(Failed::unexpected)?;
        self.running = Some(ClearingHouse::open(config).map_err(Failed::unexpected)?);
        Ok(())
    }

    /// It will die at the insert into `table` that comes after `after_rows` more rows.
    ///
    /// # Errors
    /// The books cannot be prepared for that.
    pub fn will_die(&mut self, table: BooksTable, after_rows: u32) -> Result<(), Failed> {
        let books = Connection::open(&self.database).map_err(Failed::unexpected)?;
        let table = table.name();
        let rows: u32 = books
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
            .map_err(Failed::unexpected)?;
        books
            .execute_batch(&format!(
                "DROP TRIGGER IF EXISTS dies;
                 CREATE TRIGGER dies BEFORE INSERT ON {table} WHEN (SELECT count(*) FROM {table}) >= {}
                 BEGIN SELECT RAISE(ABORT, 'the process dies here'); END",
                rows + after_rows
            ))
            .map_err(Failed::unexpected)
    }

    /// Nothing makes it die any more.
    ///
    /// # Errors
    /// The books cannot be written.
    pub fn mend(&mut self) -> Result<(), Failed> {
        let books = Connection::open(&self.database).map_err(Failed::unexpected)?;
        books.execute_batch("DROP TRIGGER IF EXISTS dies").map_err(Failed::unexpected)
    }

    /// Takes an upload; none comes back where it died at it.
    ///
    /// # Errors
    /// It does not open again.
    pub fn receive(&mut self, body: &[u8], at: u32) -> Result<Option<SignedAcknowledgement>, Failed> {
        match self.running()?.receive(body, Moment(at)) {
            Ok(answer) => Ok(Some(answer)),
            Err(_) => self.revive().map(|()| None),
        }
    }

    /// Takes an upload of a desk; none comes back where it died at it.
    ///
    /// # Errors
    /// It does not open again.
    pub fn receive_actions(&mut self, body: &[u8], at: u32) -> Result<Option<SignedAcknowledgement>, Failed> {
        match self.running()?.receive_actions(body, Moment(at)) {
            Ok(answer) => Ok(Some(answer)),
            Err(_) => self.revive().map(|()| None),
        }
    }

    /// Answers a desk; none comes back where it died at it.
    ///
    /// # Errors
    /// It does not open again.
    pub fn answer(&mut self, text: &str, signature: &[u8], at: u32) -> Result<Option<SignedAnswer>, Failed> {
        match self.running()?.answer(text, signature, Moment(at)) {
            Ok(answer) => Ok(Some(answer)),
            Err(_) => self.revive().map(|()| None),
        }
    }

    /// Closes a day, if need be at the second try; gives the digest of its statements.
    ///
    /// # Errors
    /// The day cannot be settled even by a clearing house that lives.
    pub fn settle(&mut self, day: u16, at: u32) -> Result<String, Failed> {
        let settled = match self.running()?.settle(ServiceDay(day), Moment(at)) {
            Ok(settled) => settled,
            Err(_) => {
                self.revive()?;
                self.running()?.settle(ServiceDay(day), Moment(at)).map_err(Failed::unexpected)?
            }
        };
        Ok(settled.digest)
    }

    /// Closes every day in which something counts.
    ///
    /// # Errors
    /// One cannot be settled.
    pub fn settle_all(&mut self, at: u32) -> Result<(), Failed> {
        let books = Connection::open(&self.database).map_err(Failed::unexpected)?;
        let days = strings(&books, "SELECT DISTINCT settlement_day FROM entry ORDER BY 1")?;
        for day in days {
            let day: ServiceDay = day.parse().map_err(Failed::unexpected)?;
            self.settle(day.0, at)?;
        }
        Ok(())
    }

    /// The hashes of every tap and every step in the books.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn hashes(&self) -> Result<BTreeSet<Vec<u8>>, Failed> {
        let books = Connection::open(&self.database).map_err(Failed::unexpected)?;
        let sql = "SELECT substr(bytes, -32) FROM tap UNION ALL SELECT substr(bytes, 417, 32) FROM action";
        Ok(rows(&books, sql, |row| row.get(0))?.into_iter().collect())
    }

    /// Everything that is in the books, and what waits in suspense at the moment `at`.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn books(&mut self, at: u32) -> Result<Books, Failed> {
        let suspense = self.running()?.suspense(Moment(at)).map_err(Failed::unexpected)?;
        let wrong = self.running()?.verify().wrong;
        let books = Connection::open(&self.database).map_err(Failed::unexpected)?;
        Ok(Books {
            taps: rows(&books, "SELECT bytes FROM tap ORDER BY device, epoch, sequence", |row| row.get(0))?
                .iter()
                .map(|bytes: &Vec<u8>| SealedTap::from_bytes(bytes).map_err(Failed::unexpected))
                .collect::<Result<_, _>>()?,
            actions: rows(&books, "SELECT bytes FROM action ORDER BY device, epoch, sequence", |row| row.get(0))?
                .iter()
                .map(|bytes: &Vec<u8>| SealedAction::from_bytes(bytes).map_err(Failed::unexpected))
                .collect::<Result<_, _>>()?,
            entries: rows(
                &books,
                "SELECT kind, tap, operator, coalesce((SELECT max(amount) FROM posting WHERE entry = id), 0)
                 FROM entry ORDER BY id",
                |row| {
                    Ok(BookedEntry { kind: row.get(0)?, tap: row.get(1)?, operator: row.get(2)?, amount: row.get(3)? })
                },
            )?,
            balances: rows(
                &books,
                "SELECT account, sum(amount) FROM posting GROUP BY account HAVING sum(amount) <> 0",
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?
            .into_iter()
            .collect(),
            kept_aside: rows(&books, "SELECT coalesce(tap, ''), verdict FROM kept_aside", |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?,
            findings: rows(&books, "SELECT kind, tap, detail FROM finding ORDER BY id", |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?,
            settled: settled(&books)?,
            wrong,
            suspense,
        })
    }

    fn revive(&mut self) -> Result<(), Failed> {
        self.mend()?;
        self.restart()
    }

    fn running(&mut self) -> Result<&mut ClearingHouse, Failed> {
        self.running.as_mut().ok_or_else(|| Failed::Unexpected("the clearing house is not there".to_owned()))
    }
}

fn settled(books: &Connection) -> Result<BTreeMap<SettledLine, BTreeSet<String>>, Failed> {
    let statements: Vec<(u16, Vec<u8>)> =
        rows(books, "SELECT operator, bytes FROM statement", |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut settled: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for (operator, bytes) in statements {
        let statement: StoredStatement = serde_json::from_slice(&bytes).map_err(Failed::unexpected)?;
        for line in statement.lines {
            let key = SettledLine {
                operator,
                line: line.line,
                basis: line.basis.to_string(),
                travel_day: line.travel_day,
                unit_fare: line.unit_fare_minor,
            };
            settled.entry(key).or_default().extend(line.taps);
        }
    }
    Ok(settled)
}

fn strings(books: &Connection, sql: &str) -> Result<Vec<String>, Failed> {
    rows(books, sql, |row| row.get(0))
}

fn rows<T>(
    books: &Connection,
    sql: &str,
    row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, Failed> {
    let mut statement = books.prepare(sql).map_err(Failed::unexpected)?;
    let rows = statement.query_map([], row).map_err(Failed::unexpected)?;
    rows.collect::<Result<_, _>>().map_err(Failed::unexpected)
}

fn configuration_of(fixtures: &Path, gates: &[GatePlan]) -> String {
    let operators = (1..=4).map(|operator| (operator, format!("Operator {operator}")));
    let validators = gates.iter().map(|GatePlan { device, operator, .. }| (*device, *operator));
    clearing_house_config(("127.0.0.1:1", "books.sqlite"), fixtures, operators, validators) + REGISTRATION
}
