//! The whole system as separate real processes: a private pcscd with virtual readers, the clearing house, two
//! validators with their uploads and screens, a desk, and somebody who holds cards.
//!
//! | module | what it is |
//! |---|---|
//! | [`city`] | the processes: configured, started, cut off, killed, ended |
//! | [`desk`] | `counter` with a reader of its own |
//! | [`rider`] | the person who holds the cards |
//! | [`panel`] | what a validator shows, as seen from outside |
//! | [`morning`] | the script of a short morning: `make demo` |
//! | [`summary`] | its figures |
//! | [`seeded`] | whole cities in this process, each from a seed: `make simulate`; `seeded_…` are its parts |
//! | [`soak`] | the programs under failing calls and SIGKILL: `make soak`; `soak_…` are its parts |
//! | [`torn`] | every way in which the taps of one card can go wrong, in this process: `make torn`; `torn_…` are its parts |
//! | [`attack`] | attackers in the same place: `simulation attack` |
//! | [`figures`] | what these runs measure |
//! | [`by_hand`] | everything stays up, cards are tapped by typing their names: `make run` |
#![forbid(unsafe_code)]

pub mod attack;
mod attack_gap;
pub mod attack_operator;
pub mod attack_rider;
pub mod by_hand;
pub mod city;
pub mod desk;
pub mod figures;
pub mod morning;
pub mod panel;
pub mod process;
pub mod rider;
pub mod seeded;
mod seeded_card;
pub mod seeded_city;
pub mod seeded_clearing_house;
pub mod seeded_desk;
pub mod seeded_event;
pub mod seeded_gate;
pub mod seeded_invariants;
pub mod seeded_model;
pub mod seeded_outcome;
pub mod seeded_plan;
pub mod seeded_timetable;
pub mod soak;
pub mod soak_books;
pub mod soak_card_path;
pub mod soak_cards;
pub mod soak_clearing_house;
pub mod soak_clock;
pub mod soak_damage;
pub mod soak_gate;
pub mod soak_kills;
pub mod soak_network;
pub mod soak_presentation;
pub mod soak_proxy;
pub mod soak_report;
pub mod soak_restart;
pub mod soak_shim;
pub mod soak_site;
pub mod soak_taps;
pub mod soak_validator;
pub mod summary;
pub mod torn;
pub mod torn_bench;
pub mod torn_books;
pub mod torn_fault;
pub mod torn_gate;
pub mod torn_random;
pub mod torn_report;

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// A file, socket or process of the run.
    #[error("{doing}")]
    System {
        /// What was tried.
        doing: String,
        /// Why it did not work.
        #[source]
        source: std::io::Error,
    },
    /// A program did not do what the script waits for.
    #[error("{0}")]
    Unexpected(String),
}

impl Failed {
    /// An error of the system while `doing` something.
    pub fn system(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::System { doing, source }
    }

    /// An error that no fault of the run explains, with its causes.
    pub fn unexpected(error: impl std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self::Unexpected(text)
    }
}
