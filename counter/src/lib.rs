//! The desk: makes cards, loads them, sells passes, looks at cards, pays out, blocks, replaces, and keeps the keys.
//!
//! | module | what it does |
//! |---|---|
//! | [`desk`], [`refusal`] | what every action that writes on a card has in common, and why one is not done |
//! | [`settle`] | open actions are settled when their card is seen again |
//! | [`personalise`], [`lint`] | a blank card becomes one of ours, and is read back |
//! | [`load`], [`sale`], [`refund`], [`block`] | one action each |
//! | [`exchange`] | value and passes from one card to another: an old one, or a lost one |
//! | [`inspect`] | what a card holds |
//! | [`key_set`] | the next key version, laid in a card's spare key set |
//! | [`session`] | a card of any generation, opened, and one transaction |
//! | [`open_action`] | which actions are not at their end (pure) |
//! | [`journal`] | sealed, signed steps that can only be added |
//! | [`uplink`] | HTTP: steps up, allowance and grants down |
//! | [`ceremony`], [`prompt`], [`keys`], [`signer`] | keys, passphrases, signatures |
//! | [`arguments`], [`config`] | what the program is told |
//! | [`report`], [`words`] | what it answers, for machines and for people |
//!
//! Card work takes its transport, its time and its randomness as arguments, so that it runs on a card in memory as it does
//! on a reader.
#![forbid(unsafe_code)]

pub mod arguments;
pub mod block;
pub mod ceremony;
pub mod config;
pub mod desk;
pub mod exchange;
pub mod inspect;
pub mod journal;
pub mod key_set;
pub mod keys;
pub mod lint;
pub mod load;
pub mod open_action;
pub mod personalise;
pub mod prompt;
pub mod refund;
pub mod refusal;
pub mod report;
pub mod sale;
pub mod session;
pub mod settle;
pub mod signer;
pub mod uplink;
pub mod words;
