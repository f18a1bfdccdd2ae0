//! Riders with a card each, as many as are wanted, and what their cards know at the end.

use std::fs;
use std::path::{Path, PathBuf};

use virtual_card::{Fixture, Moment, Picc, Random, TestKeys};

use crate::Failed;

const PURSE_MINOR: i64 = 50_000;

/// Makes cards, each with an identifier of its own.
#[derive(Debug)]
pub struct Deck {
    file: PathBuf,
    keys: TestKeys,
    lane: u16,
    made: u32,
}

/// Somebody with a card, and what the screens said to it.
#[derive(Debug)]
pub struct Rider {
    fixture: Fixture,
    /// The card, while it lies on no reader.
    pub card: Option<Picc>,
    /// The sealed taps that were answered with "come in".
    pub greens: Vec<String>,
    /// Any sealed tap of the card.
    pub some_tap: Option<String>,
}

impl Deck {
    /// A deck whose cards differ from those of other lanes.
    ///
    /// # Errors
    /// The fixtures cannot be read, or `folder` cannot be written.
    pub fn new(folder: &Path, fixtures: &Path, lane: u16) -> Result<Self, Failed> {
        let doing = || Failed::system(format!("making cards in {}", folder.display()));
        fs::create_dir_all(folder).map_err(doing())?;
        let layout = "layout-1.toml";
        fs::copy(fixtures.join("cards").join(layout), folder.join(layout)).map_err(doing())?;
        let keys = TestKeys::load(&fixtures.join("keys/test-card-keys.toml"));
        let keys = keys.map_err(|error| Failed::Unexpected(error.to_string()))?;
        Ok(Self { file: folder.join("card.toml"), keys, lane, made: 0 })
    }

    /// The next rider, with a new card.
    ///
    /// # Errors
    /// The card cannot be made.
    pub fn rider(&mut self) -> Result<Rider, Failed> {
        self.made += 1;
        let uid = format!("04{:04X}{:08X}", 0xC500 + self.lane, self.made);
        let text = format!(
            r#"uid = "{uid}"
chip = "EV2"
frame_size = 128
layout = "layout-1.toml"
[purse]
value = {PURSE_MINOR}
lower_limit = 0
upper_limit = 2000000
[record]
layout_version = 1
kind = 0
card_sequence = 1
balance_after = {PURSE_MINOR}
[issuer]
layout_version = 1
"#
        );
        fs::write(&self.file, text).map_err(Failed::system(format!("writing {}", self.file.display())))?;
        // The times of this card's record are none that count.
        let fixture = Fixture::load(&self.file, &self.keys, Moment { now: 0, today: 0 });
        let fixture = fixture.map_err(|error| Failed::Unexpected(error.to_string()))?;
        let card = Some(fixture.card(counting_random()));
        Ok(Rider { fixture, card, greens: Vec::new(), some_tap: None })
    }
}

impl Rider {
    /// What the card has paid, by its own purse; nothing while it lies on a reader.
    #[must_use]
    pub fn paid_minor(&self) -> i64 {
        let purse = self.card.as_ref().and_then(|card| self.fixture.purse(card));
        purse.map_or(0, |purse| PURSE_MINOR - i64::from(purse))
    }
}

/// Challenges that are the same in every run.
pub(crate) fn counting_random() -> Random {
    let mut next = 0_u128;
    Box::new(move || {
        next = next.wrapping_add(0x9E37_79B9_7F4A_7C15);
        next.to_be_bytes()
    })
}
