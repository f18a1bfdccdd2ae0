//! What the programs of Chạm must agree on.
//!
//! A type enters this crate only when two programs must agree on it. Nothing here does input or output, reads a clock
//! or draws a random number: decisions take everything they need as arguments and return a value.
//!
//! | module | what is agreed |
//! |---|---|
//! | [`money`] | amounts and balances in integer minor units |
//! | [`id`] | devices, taps, operators, lines, stops, card tokens |
//! | [`time`] | moments and service days |
//! | [`card`] | the layout of our application on a card |
//! | [`tariff`] | the prices, as data |
//! | [`fare`] | the fare decision, run on the bus and again at the clearing house |
//! | [`pass`] | which pass may be sold when, and where it goes on the card |
//! | [`tap`] | the sealed, fixed-length record of one tap |
//! | [`action`] | the sealed and signed record of one step of a desk's action |
//! | [`desk`] | what a desk asks the clearing house, and what it answers |
//! | [`sync`] | the answer of the clearing house to an upload |
//! | [`screen`] | what a validator shows |
//! | [`config`] | how a configuration file is refused |
#![forbid(unsafe_code)]

pub mod action;
mod bits;
mod bytes;
pub mod card;
pub mod config;
pub mod desk;
pub mod fare;
pub mod id;
pub mod money;
pub mod pass;
pub mod screen;
pub mod sync;
pub mod tap;
pub mod tariff;
pub mod time;
