//! From taps to money owed.
//!
//! Validators upload sealed taps, desks their sealed actions; the clearing house says of each what became of it, books it in a double-entry
//! ledger, and closes service days with a statement for every operator, each line of which names its taps. The books
//! are one SQLite file that is only ever added to.
//!
//! ```text
//! http      bytes in                                         → ingest
//! ingest    seal, device, order, name, chain                 → a verdict for every tap; bad ones are kept aside
//! vault     card token → UID, Transaction MAC                → did this card make this transaction?
//! at_desk   what a desk wrote, made again                    → a difference is a finding
//! backing   what a desk wrote, against what was paid         → an alarm where nothing was
//! unproven  what a desk is believed of cards that prove nothing → a limit a day, and an alarm past it
//! allowance what a desk may make, and who may take over      → an alarm where it made more
//! journey   the fare decided again                           → basis of the fare; a difference is a finding
//! evidence  who wrote which record of a card                 → unknown taps: pending, confirmed, voided
//! history   older records, as validators read them          → unknown taps that no Transaction MAC reaches
//! ledger    entries that sum to 0                            → store
//! missing   debits that cards show and whose taps lack      → in suspense when a day is closed
//! closing   a day's entries → settle → statement             → stored with its digest, settled once
//! desk      questions of desks                               → allowances, card states, grants, signed
//! deny_list blocked and lost cards                           → the file that validators read
//! desk_day  what each desk took and gave                     → to compare with the till
//! suspense  unknown taps by age                            → pending and unresolved, with what would end them
//! gaps      what logs lack and cards counted             → what has not come, with the money at risk
//! silence   each validator against its own weeks before     → those that take no taps where they should
//! explain   one tap, decided again                       → why it charged what it did, in words
//! rehearse      a stored day, another tariff             → what it would have brought in
//! tariff_report a tariff file before it is in force       → what to look at, what it changes
//! gtfs      a GTFS feed as a tariff file                → what no tariff can say, by name
//! od_table  a table of origins and destinations         → its prices in a tariff file
//! boards    suspense, gaps and silence in numbers             → what people look at first
//! verify    everything again from the taps' bytes            → the first thing that is wrong
//! ```
//!
//! `vault`, `journey`, `explain`, `at_desk`, `backing`, `evidence`, `history`, `ledger` and `settle` are pure. Only `http` knows HTTP, only `store` knows SQL, and
//! nothing here reads a clock: every verb is told the moment.
#![forbid(unsafe_code)]

pub mod allowance;
pub mod at_desk;
pub mod backing;
pub mod boards;
mod chain;
pub mod clearing_house;
pub mod closing;
pub mod config;
pub mod deny_list;
pub mod desk;
pub mod desk_day;
pub mod evidence;
pub mod explain;
pub mod finding;
pub mod gaps;
pub mod gtfs;
pub mod history;
pub mod http;
pub mod ingest;
pub mod journey;
pub mod ledger;
pub mod missing;
pub mod od_table;
pub mod rehearse;
pub mod settle;
pub mod signer;
pub mod silence;
pub mod statement;
pub mod status;
pub mod store;
pub mod suspense;
pub mod tariff_report;
mod unproven;
pub mod vault;
pub mod verify;

pub use clearing_house::ClearingHouse;
pub use config::Config;
