//! What a tap costs: the parts that the benches, the figures and the tests share.
//!
//! | module | what it is |
//! |---|---|
//! | [`bus`] | a validator and the cards of `fixtures/cards` in one process |
//! | [`replay`] | a tap whose card is a recording, so that only the host's work is left to measure |
//! | [`rf_model`], [`rf_constants`] | how long a tap takes on a real reader and a real card, modelled |
//! | [`desk`] | a desk that issues and loads a card |
//! | [`fare`] | one fare decision |
//! | [`gtfs_feed`] | a GTFS feed from a seed, imported |
//! | [`transcript`] | counts over the exchanges of a tap |
//!
//! `README.md` beside this crate says what each figure means.

#![forbid(unsafe_code)]

pub mod bus;
pub mod desk;
pub mod fare;
pub mod gtfs_feed;
pub mod replay;
pub mod rf_constants;
pub mod rf_model;
pub mod transcript;

/// Why something could not be measured: for people, nobody branches on it.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
