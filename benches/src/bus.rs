//! A validator and the cards of `fixtures/cards`, in one process.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use card_crypto::{FrameSize, Key, Transport};
use key_store::{KeyRole, KeySet};
use tempfile::TempDir;
use transit::{
    card::{APPLICATION_ID, FILE_PURSE},
    config::KeysClass,
    fare::Gate,
    id::{DeviceId, LineNumber, OperatorId, StopNumber},
    screen::State,
    tariff::Tariff,
    time::Moment,
};
use validator::{
    config::DenyList,
    engine::{Answer, Engine, Rules},
    log::{BootId, TapLog},
};
use virtual_card::{CardInField, Fixture, Picc, Random, TestKeys, field::Exchange};

use crate::Failure;

/// 2026-11-24 10:00 in Hanoi.
pub const MORNING: Moment = Moment(1_795_489_200);

/// The reader's challenge in every tap: a recording answers this one alone.
pub const RND_A: [u8; 16] = [0x42; 16];

/// The boot of the machine in which taps are made.
pub const BOOT: BootId = BootId([0x42; 16]);

/// The service day of [`MORNING`], in days since 2000-01-01.
const TODAY: u16 = 9824;

/// A bus at the terminus Kim Ma of BRT 01, and the cards of its riders.
#[derive(Debug)]
pub struct Bus {
    engine: Engine,
    fixtures: HashMap<String, Fixture>,
    /// The validators' master key, of which the cards' own keys are derived.
    pub master_key: [u8; 16],
}

/// What one presentation came to.
#[derive(Debug)]
pub struct Presented {
    /// What the rider sees.
    pub state: State,
    /// The exchanges with the card up to the decision; older records read afterwards are none of them.
    pub exchanges: Vec<Exchange>,
}

impl Bus {
    /// A bus that writes a new tap log in `folder`.
    ///
    /// # Errors
    /// The fixtures cannot be read, or the log cannot be written.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        const TORN_TAPS_PER_CARD: u32 = 8;
        Self::with_torn_taps(folder, TORN_TAPS_PER_CARD)
    }

    /// The same, with another limit of torn taps of one card within a day.
    ///
    /// # Errors
    /// The fixtures cannot be read, or the log cannot be written.
    pub fn with_torn_taps(folder: &Path, torn_taps_per_card: u32) -> Result<Self, Failure> {
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
        let keys = TestKeys::load(&files.join("keys/test-card-keys.toml"))?;
        let moment = virtual_card::Moment { now: MORNING.0, today: TODAY };
        let fixtures = Fixture::load_directory(&files.join("cards"), &keys, moment)?;
        let tariff = files.join("hanoi/tariff.toml");
        let rules = Rules {
            operator: OperatorId(1),
            line: LineNumber(1),
            stop: StopNumber(23),
            gate: Gate::ENTRY,
            tariffs: Tariff::parse(&tariff, &fs::read_to_string(&tariff)?)?.into(),
            deny_list: DenyList::new(1, vec![]),
            frame_size: FrameSize::Bytes128,
            intent_deadline: Duration::from_secs(30),
            torn_taps_per_card,
            ev1_cards: false,
            older_records: 2,
            key_rolls_per_hour: 0,
        };
        let mut held = KeySet::new(KeysClass::Test);
        held.insert(KeyRole::Validate, 1, Key::new(keys.validate))?;
        held.insert(KeyRole::Token, 1, Key::new(keys.token))?;
        let mut engine = Engine::new(rules, held);
        let device = DeviceId::new(101).ok_or("101 is a device number")?;
        let (log, _) = TapLog::open(&folder.join("tap.db"), device, 1, Some(BOOT))?;
        engine.use_log(log);
        Ok(Self {
            engine,
            fixtures: fixtures.into_iter().map(|fixture| (fixture.name().to_owned(), fixture)).collect(),
            master_key: keys.validate,
        })
    }

    /// A card as issued; its challenges are the same in every run.
    ///
    /// # Errors
    /// There is no such fixture.
    pub fn card(&self, name: &str) -> Result<Picc, Failure> {
        let fixture = self.fixtures.get(name).ok_or_else(|| format!("fixtures/cards has no {name}.toml"))?;
        Ok(fixture.card(counting_random()))
    }

    /// What the purse of a card of ours holds, in minor units.
    #[must_use]
    pub fn purse_minor(&self, card: &Picc) -> Option<i32> {
        card.value(APPLICATION_ID, FILE_PURSE)
    }

    /// One tap, and the look at older records that follows an accepted one.
    ///
    /// # Errors
    /// The log does not take it.
    pub fn tap(&mut self, field: &mut CardInField, at: Moment) -> Result<Presented, Failure> {
        let uid = field.card().identity().uid;
        let answer = self.engine.tap(&mut *field, &uid, at, RND_A)?;
        let (state, exchanges) = (answer.state.clone(), answer.exchanges as usize);
        self.engine.read_older(answer)?;
        Ok(Presented { state, exchanges: field.transcript().iter().take(exchanges).cloned().collect() })
    }

    /// One tap over any transport, with nothing read afterwards.
    ///
    /// # Errors
    /// The log does not take it, or the rider is not accepted.
    pub fn accept<T: Transport>(&mut self, transport: T, uid: &[u8], at: Moment) -> Result<Answer<T>, Failure> {
        let answer = self.engine.tap(transport, uid, at, RND_A)?;
        match answer.state {
            State::Accepted { .. } => Ok(answer),
            State::Idle
            | State::Attention { .. }
            | State::Declined { .. }
            | State::PresentAgain
            | State::OutOfService { .. } => Err(format!("the tap was not accepted: {:?}", answer.state).into()),
        }
    }

    /// Makes the log durable and writes its WAL back, as a validator does when no card has come for a while.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.engine.log().ok_or("the log is closed")?.flush().wait()?)
    }
}

/// A folder in memory where there is one, for measurements that the disk would drown.
///
/// # Errors
/// No folder can be made.
pub fn memory_folder() -> io::Result<TempDir> {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())
}

/// Where measurements and their leftovers lie: `bench` in cargo's target directory.
#[must_use]
pub fn output_folder() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    target.join("bench")
}

fn counting_random() -> Random {
    let mut next = 0u128;
    Box::new(move || {
        next = next.wrapping_add(0x9E37_79B9_7F4A_7C15);
        next.to_be_bytes()
    })
}
