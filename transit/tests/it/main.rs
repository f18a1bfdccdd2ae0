//! Tests of what the programs agree on.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod action;
mod card;
mod config;
mod desk_messages;
mod desk_record;
mod fare;
mod fare_caps;
mod fare_cost;
mod fare_prices;
mod fare_table;
mod fare_transfers;
mod fare_words;
mod journey_prices;
mod journey_words;
mod journeys;
mod layout;
mod layout_2;
mod money_and_time;
mod pass;
mod tap;
mod tariff_check;
mod tariff_versions;
