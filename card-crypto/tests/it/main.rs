//! Tests of the reader's side against published vectors and scripted cards.

mod channel;
mod framing;
mod known_answers;
mod malformed;
mod scripted;
mod session;
mod vectors;
