//! Checks of the whole: the arrows between the crates, the documents, where keys may be seen, a short morning through real
//! processes, cities from seeds, a little of the soak, torn taps, and attackers.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

mod arrows;
mod attack;
mod documents;
mod key_hygiene;
mod morning;
mod seeded;
mod soak;
mod torn;
