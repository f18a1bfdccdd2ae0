//! The tap engine of a bus or a gate.
//!
//! Two processes of one binary share one log. `validator core` has the card keys and the reader, never a network, and
//! alone writes the log; `validator sync` has the network, never a card key, and reads the log.
//!
//! | module | what it does |
//! |---|---|
//! | [`engine`] | one tap, from a card in the field to an answer |
//! | [`purse`] | our application on a card |
//! | [`card`] | a card in the session that its chip speaks |
//! | [`log`] | the tap log: one intent, taps that can only be added |
//! | [`core`] | the core process: reader, engine, panel and link |
//! | [`panel`] | the screens' socket |
//! | [`liveness`] | whether a card could be taken |
//! | [`link`] | the socket between the two processes |
//! | [`outbox`] | which upload is next (pure) |
//! | [`uplink`] | the sync process: HTTP |
//! | [`status`] | what the log holds, for people |
//! | [`salvage`] | the taps in a log that is damaged |
//! | [`config`], [`keys`] | what both processes are told at start |
#![forbid(unsafe_code)]

pub mod card;
pub mod config;
pub mod core;
pub mod engine;
pub mod keys;
pub mod link;
pub mod liveness;
pub mod log;
pub mod outbox;
pub mod panel;
pub mod purse;
pub mod salvage;
pub mod status;
pub mod uplink;
