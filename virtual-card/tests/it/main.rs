//! The virtual card against published answers, an independent reader, and faults.
#![forbid(unsafe_code)]

mod arbitrary_commands;
mod bit_flips;
mod dialogues;
mod fixtures;
mod known_answers;
mod person;
mod raw_reader;
mod real_reader;
mod sam;
mod secure_reader;
mod torn;
mod transactions;
mod virtual_reader;
mod whole_card;
