//! The screen without a display: what it says, how it looks, and how it hears the validator.
#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test that fails here says where"
)]

mod cases;
mod colours;
mod feed;
mod fonts;
mod golden;
mod layout;
mod panel;
mod program;
mod words;
