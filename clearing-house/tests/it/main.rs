//! The clearing house from its edges: bytes in, verdicts, money, statements and the audit out.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod actions;
mod at_desk;
mod backing;
mod boards;
mod command_line;
mod configuration;
mod contradictions;
mod damage;
mod desk_money;
mod desk_support;
mod desks;
mod evidence;
mod explain;
mod gaps;
mod gtfs;
mod history;
mod http;
mod ingest;
mod journey;
mod ledger;
mod migration;
mod missing;
mod od_table;
mod properties;
mod rehearse;
mod settle;
mod silence;
mod step_bound;
mod support;
mod suspense;
mod unproven_desks;
mod verify;
