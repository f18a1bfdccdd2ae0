//! Tests of the validator: the engine and its log against the virtual card, and the whole process behind a real pcscd.

mod config;
mod durability;
mod first_tap;
mod malformed;
mod outbox;
mod process;
mod real;
mod retap;
mod torn;
mod world;
