//! What an operator is told of a closed day.
//!
//! A statement is stored as the JSON text of a [`Statement`], in this order of keys; its digest is the SHA-256 of
//! those bytes. The digest of a day is the SHA-256 of its statements' digests in order of the operators' numbers.
//!
//! | key | what it is |
//! |---|---|
//! | `header` | system, operator and its name, service day, currency, tariff version, names of the lines |
//! | `lines` | one for each line, basis, unit fare and day of travel that occurred |
//! | `rides`, `amount_minor` | the sums over the lines; the amount is what the operator is owed for the day |
//! | `pending` | unknown taps to the end of the day of which the cards have not yet shown whether they paid: not paid |
//!
//! A line of `lines`:
//!
//! | key | what it is |
//! |---|---|
//! | `line` | the line's number |
//! | `basis` | `flat_fare`, `route_length`, `journey`, `time_band`, `{"discount": "student"}`, `transfer`, `cap`, `pass`, `{"free_profile": "sixty_plus"}`, `recovered_unknown`, or `as_charged` |
//! | `travel_day` | the day of travel: before the statement's day for what came late |
//! | `rides`, `unit_fare_minor`, `amount_minor` | how many, at how much, together how much; minor units |
//! | `taps` | the name of every tap in the line, in order: `device-epoch-sequence` |

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use transit::id::{LineNumber, OperatorId};
use transit::money::{Amount, Currency};
use transit::time::ServiceDay;

use crate::chain;
use crate::ledger::Basis;

/// What an operator is told of a closed day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// What the statement is of.
    pub header: Header,
    /// What the operator is owed, and for what.
    pub lines: Vec<StatementLine>,
    /// The rides of all lines.
    pub rides: u64,
    /// The amount of all lines.
    pub amount_minor: Amount,
    /// What may or may not be owed.
    pub pending: Pending,
}

/// What a statement is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The system.
    pub system: String,
    /// The operator.
    pub operator: OperatorId,
    /// Its name when the day was closed.
    pub operator_name: String,
    /// The closed day.
    pub service_day: ServiceDay,
    /// The currency of every amount.
    pub currency: Currency,
    /// The tariff in force when the day was closed.
    pub tariff_version: u32,
    /// The names of the lines when the day was closed.
    pub line_names: BTreeMap<LineNumber, String>,
}

/// Rides that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementLine {
    /// The line.
    pub line: LineNumber,
    /// What the fares rest on.
    pub basis: Basis,
    /// The day of travel.
    pub travel_day: ServiceDay,
    /// How many.
    pub rides: u64,
    /// The fare of each.
    pub unit_fare_minor: Amount,
    /// The fares together.
    pub amount_minor: Amount,
    /// The taps that these rides are.
    pub taps: Vec<String>,
}

/// Unknown taps that nobody is paid for yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// How many.
    pub rides: u64,
    /// Their fares together.
    pub amount_minor: Amount,
    /// The taps.
    pub taps: Vec<String>,
}

/// A closed day as it was settled: what `settle` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettledDay {
    /// The day.
    pub service_day: ServiceDay,
    /// The digest over the day's statements, in hexadecimal digits.
    pub digest: String,
    /// The statements, in order of the operators' numbers.
    pub statements: Vec<SettledStatement>,
}

/// A statement with the digest of its stored bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettledStatement {
    /// SHA-256 of the statement's bytes, in hexadecimal digits.
    pub digest: String,
    /// What it says.
    pub statement: Statement,
}

impl Statement {
    /// The bytes that are stored and digested.
    ///
    /// # Errors
    /// [`serde_json::Error`] where the text cannot be written; no statement is known for which that happens.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

/// The digest of a statement's bytes.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    chain::sha256(bytes)
}

/// The digest of a day, from its statements' digests in order of the operators' numbers.
pub fn day_digest(digests: &[[u8; 32]]) -> [u8; 32] {
    chain::sha256(digests.as_flattened())
}

const RULE_WIDTH: usize = 96;
const TAPS_PER_ROW: usize = 6;

impl fmt::Display for SettledDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for SettledStatement { digest, statement } in &self.statements {
            writeln!(f, "{statement}Digest         {digest}\n")?;
        }
        writeln!(f, "Service day {} settled: {} statement(s)", self.service_day, self.statements.len())?;
        writeln!(f, "Digest         {}", self.digest)
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = &self.header;
        let money = |amount: Amount| header.currency.display(amount.minor()).to_string();
        writeln!(f, "{} — settlement statement", header.system)?;
        writeln!(f, "Operator       {} {}", header.operator.0, header.operator_name)?;
        writeln!(f, "Service day    {}", header.service_day)?;
        writeln!(f, "Currency       {}, tariff version {}", header.currency.code, header.tariff_version)?;
        writeln!(f, "{}", "─".repeat(RULE_WIDTH))?;
        writeln!(
            f,
            "{:<18} {:<30} {:<10} {:>6} {:>12} {:>15}",
            "Line", "Basis", "Travelled", "Rides", "Fare", "Amount"
        )?;
        for line in &self.lines {
            let name = header.line_names.get(&line.line).map_or("", String::as_str);
            writeln!(
                f,
                "{:<18} {:<30} {:<10} {:>6} {:>12} {:>15}",
                format!("{} {name}", line.line.0),
                line.basis.to_string(),
                line.travel_day.to_string(),
                line.rides,
                money(line.unit_fare_minor),
                money(line.amount_minor)
            )?;
            write_taps(f, &line.taps)?;
        }
        writeln!(f, "{}", "─".repeat(RULE_WIDTH))?;
        writeln!(f, "{:<60} {:>6} {:>28}", "Total", self.rides, money(self.amount_minor))?;
        let pending = &self.pending;
        writeln!(f, "{:<60} {:>6} {:>28}", "Still pending, not paid", pending.rides, money(pending.amount_minor))?;
        write_taps(f, &pending.taps)
    }
}

fn write_taps(f: &mut fmt::Formatter<'_>, taps: &[String]) -> fmt::Result {
    for row in taps.chunks(TAPS_PER_ROW) {
        writeln!(f, "    {}", row.join("  "))?;
    }
    Ok(())
}
