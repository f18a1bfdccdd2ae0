//! Tests of the validator: the engine and its log against the virtual card, and the whole process behind a real pcscd.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    reason = "a test that fails here says where"
)]

mod card_path;
mod config;
mod damage;
mod durability;
mod ev1;
mod first_tap;
mod full;
mod journeys;
mod keys;
mod link;
mod malformed;
mod outbox;
mod power;
mod process;
mod real;
mod retap;
mod salvage;
mod start_up;
mod tariff_versions;
mod torn;
mod wal;
mod world;
