//! Tests of the reader's side against published vectors and scripted cards.

mod channel;
mod commands;
mod framing;
mod known_answers;
mod malformed;
mod peer;
mod personalisation;
mod scripted;
mod session;
mod vectors;
