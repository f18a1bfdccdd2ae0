//! Tests of the desk: every action against virtual cards in memory, torn at every exchange; the real clearing house over
//! HTTP; and the built program behind a real pcscd.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    reason = "a test that fails here says where"
)]

mod cash;
mod clearing_house;
mod ev1_day;
mod issue;
mod journal;
mod looking;
mod moving;
mod open_action;
mod process;
mod sam;
mod settle;
mod told;
mod world;
