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
//! | [`soak`] | the programs under failing calls and SIGKILL: `make soak`; `soak_…` are its parts |
//! | [`by_hand`] | everything stays up, cards are tapped by typing their names: `make run` |
#![forbid(unsafe_code)]

pub mod by_hand;
pub mod city;
pub mod desk;
pub mod morning;
pub mod panel;
pub mod process;
pub mod rider;
pub mod soak;
pub mod soak_books;
pub mod soak_cards;
pub mod soak_clearing_house;
pub mod soak_gate;
pub mod soak_kills;
pub mod soak_network;
pub mod soak_presentation;
pub mod soak_proxy;
pub mod soak_report;
pub mod soak_shim;
pub mod soak_site;
pub mod soak_taps;
pub mod soak_validator;
pub mod summary;

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
}
