//! Tests of what the programs agree on.

mod card;
mod config;
mod fare;
mod money_and_time;
mod tap;
