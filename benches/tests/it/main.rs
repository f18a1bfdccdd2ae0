//! The radio model, and the figures that are counts.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod counts;
mod rf_model;
