//! A validator and the cards of `fixtures/cards`, in one process.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use card_crypto::FrameSize;
use key_store::{KeyFile, KeySet, Keys, Origin};
use tempfile::TempDir;
use transit::config::KeysClass;
use transit::fare::Gate;
use transit::id::{DeviceId, LineNumber, OperatorId, StopNumber};
use transit::screen::State;
use transit::tap::{SealedTap, Tap};
use transit::tariff::{Tariff, Tariffs};
use transit::time::{Moment, ServiceDay};
use validator::config::DenyList;
use validator::engine::{Engine, Rules};
use validator::log::{BootId, LogFailed, StartUp, TapLog};
use virtual_card::field::Mutation;
use virtual_card::{CardInField, Fault, Fixture, Picc, TestKeys};

/// 2026-11-24 10:00 in Hanoi, and its service day.
pub(crate) const NOW: Moment = Moment(1_795_489_200);
pub(crate) const TODAY: ServiceDay = ServiceDay(9824);
/// The boot of the machine, and the one after a lost power.
pub(crate) const BOOT: Option<BootId> = Some(BootId([1; 16]));
pub(crate) const NEXT_BOOT: Option<BootId> = Some(BootId([2; 16]));

/// A limit that a test can reach.
pub(crate) const KEY_ROLLS_PER_HOUR: u32 = 2;

/// Every card of `fixtures/cards`, in the rider's pocket or in the field.
pub(crate) struct Cards {
    fixtures: HashMap<String, Fixture>,
    pockets: HashMap<String, Picc>,
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

impl Cards {
    pub(crate) fn new() -> Self {
        let keys = TestKeys::load(&fixtures().join("keys/test-card-keys.toml")).unwrap();
        let moment = virtual_card::Moment { now: NOW.0, today: TODAY.0 };
        let fixtures = Fixture::load_directory(&fixtures().join("cards"), &keys, moment).unwrap();
        let fixtures: HashMap<_, _> =
            fixtures.into_iter().map(|fixture| (fixture.name().to_owned(), fixture)).collect();
        let pockets = fixtures.iter().map(|(name, fixture)| (name.clone(), fixture.card(counting_random()))).collect();
        Self { fixtures, pockets }
    }

    /// Takes a card out of the pocket for good.
    pub(crate) fn take(mut self, name: &str) -> Picc {
        self.pockets.remove(name).unwrap()
    }

    /// Puts another card in the place of `name`, as this text of a card file states it.
    pub(crate) fn replace(&mut self, name: &str, text: &str) {
        let folder = memory_folder();
        fs::copy(fixtures().join("cards/layout-1.toml"), folder.path().join("layout-1.toml")).unwrap();
        let path = folder.path().join(format!("{name}.toml"));
        fs::write(&path, text).unwrap();
        let keys = TestKeys::load(&fixtures().join("keys/test-card-keys.toml")).unwrap();
        let fixture = Fixture::load(&path, &keys, virtual_card::Moment { now: NOW.0, today: TODAY.0 }).unwrap();
        self.pockets.insert(name.to_owned(), fixture.card(counting_random()));
        self.fixtures.insert(name.to_owned(), fixture);
    }

    pub(crate) fn uid(&self, name: &str) -> [u8; 7] {
        self.fixtures[name].identity().uid
    }

    /// Does something else with a card than tap it.
    pub(crate) fn with_card(&mut self, name: &str, act: impl FnOnce(&mut CardInField)) {
        let mut field = CardInField::new(self.pockets.remove(name).unwrap());
        act(&mut field);
        self.pockets.insert(name.to_owned(), field.remove());
    }

    pub(crate) fn purse(&self, name: &str) -> i32 {
        self.fixtures[name].purse(&self.pockets[name]).unwrap()
    }

    pub(crate) fn newest_record(&self, name: &str) -> Vec<u8> {
        self.fixtures[name].records(&self.pockets[name]).unwrap().remove(0)
    }

    pub(crate) fn transaction_counter(&self, name: &str) -> u32 {
        self.fixtures[name].transaction_counter(&self.pockets[name]).unwrap()
    }
}

/// What a validator holds of the test keys.
pub(crate) fn test_keys() -> KeySet {
    let path = fixtures().join("keys/test-validator-keys.toml");
    let text = fs::read_to_string(&path).unwrap();
    match KeyFile::parse(&path, &text, Origin::Disk, KeysClass::Test).unwrap() {
        KeyFile::Plain(keys) => keys,
        KeyFile::Sealed(_) => panic!("test keys are not sealed"),
    }
}

/// A folder in memory where there is one: these tests open thousands of logs, and none of them loses power.
pub(crate) fn memory_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Challenges that differ from call to call and are the same in every run.
pub(crate) fn counting_random() -> virtual_card::Random {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Box::new(|| {
        let mut bytes = [0x5A; 16];
        let next = NEXT.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        bytes[..8].copy_from_slice(&next.to_be_bytes());
        bytes
    })
}

/// One validator on BRT 01.
pub(crate) struct Bus {
    pub(crate) engine: Engine,
    pub(crate) folder: TempDir,
    device: DeviceId,
    presentations: u8,
}

/// What one presentation came to.
pub(crate) struct Presented {
    pub(crate) answer: Result<State, LogFailed>,
    /// Up to the decision.
    pub(crate) exchanges: u32,
    /// Up to the decision.
    pub(crate) bytes_on_air: u64,
    pub(crate) instructions: Vec<&'static str>,
}

impl Presented {
    pub(crate) fn state(&self) -> &State {
        self.answer.as_ref().unwrap()
    }
}

/// Hanoi's.
pub(crate) fn tariff() -> Tariff {
    tariff_of("hanoi")
}

fn tariff_of(city: &str) -> Tariff {
    let path = fixtures().join(city).join("tariff.toml");
    Tariff::parse(&path, &fs::read_to_string(&path).unwrap()).unwrap()
}

/// The one device that takes cards on EV1 chips.
pub(crate) const EV1_BUS: u32 = 111;

impl Bus {
    pub(crate) fn new(device: u32, stop: u16) -> Self {
        Self::with_torn_taps(device, stop, 8)
    }

    pub(crate) fn with_torn_taps(device: u32, stop: u16, torn_taps_per_card: u32) -> Self {
        Self::with_keys(device, stop, torn_taps_per_card, test_keys().into())
    }

    pub(crate) fn with_keys(device: u32, stop: u16, torn_taps_per_card: u32, keys: Keys) -> Self {
        Self::of(tariff().into(), device, (1, stop, Gate::ENTRY), torn_taps_per_card, keys)
    }

    pub(crate) fn with_tariffs(device: u32, stop: u16, tariffs: Tariffs) -> Self {
        Self::of(tariffs, device, (1, stop, Gate::ENTRY), 8, test_keys().into())
    }

    /// A gate of the city of `fixtures/lagoon`: line, stop, way.
    pub(crate) fn at_gate(device: u32, place: (u16, u16, Gate)) -> Self {
        Self::of(tariff_of("lagoon").into(), device, place, 2, test_keys().into())
    }

    fn of(
        tariffs: Tariffs,
        device: u32,
        (line, stop, gate): (u16, u16, Gate),
        torn_taps_per_card: u32,
        keys: Keys,
    ) -> Self {
        let folder = memory_folder();
        let rules = Rules {
            operator: OperatorId(1),
            line: LineNumber(line),
            stop: StopNumber(stop),
            gate,
            tariffs,
            deny_list: DenyList::new(7, vec!["4b71923cee42c9411c2b736f923c5e08".parse().unwrap()]),
            frame_size: FrameSize::Bytes128,
            intent_deadline: Duration::from_secs(30),
            torn_taps_per_card,
            ev1_cards: device == EV1_BUS,
            older_records: 2,
            key_rolls_per_hour: KEY_ROLLS_PER_HOUR,
        };
        let device = DeviceId::new(device).unwrap();
        let mut engine = Engine::new(rules, keys);
        engine.use_log(TapLog::open(&folder.path().join("tap.db"), device, 1, BOOT).unwrap().0);
        Self { engine, folder, device, presentations: 0 }
    }

    /// The process ends and another one takes its place.
    pub(crate) fn restart(&mut self) -> StartUp {
        self.restart_in(BOOT)
    }

    /// The same in this boot of the machine.
    pub(crate) fn restart_in(&mut self, boot: Option<BootId>) -> StartUp {
        self.engine.close_log();
        let (log, start_up) = TapLog::open(&self.folder.path().join("tap.db"), self.device, 1, boot).unwrap();
        self.engine.use_log(log);
        start_up
    }

    pub(crate) fn tap(&mut self, cards: &mut Cards, name: &str, at: Moment) -> Presented {
        self.present(cards, name, at, None, None)
    }

    pub(crate) fn torn_tap(&mut self, cards: &mut Cards, name: &str, at: Moment, fault: Fault) -> Presented {
        self.present(cards, name, at, Some(fault), None)
    }

    pub(crate) fn present(
        &mut self,
        cards: &mut Cards,
        name: &str,
        at: Moment,
        fault: Option<Fault>,
        mutation: Option<Mutation>,
    ) -> Presented {
        let uid = cards.fixtures[name].identity().uid;
        let mut field = CardInField::new(cards.pockets.remove(name).unwrap());
        if let Some(fault) = fault {
            field = field.with_fault(fault);
        }
        if let Some(mutation) = mutation {
            field = field.with_mutation(mutation);
        }
        self.presentations = self.presentations.wrapping_add(1);
        let (answer, exchanges) = match self.engine.tap(&mut field, &uid, at, [self.presentations; 16]) {
            Ok(answer) => {
                let (state, exchanges) = (answer.state.clone(), answer.exchanges);
                (self.engine.read_older(answer).map(|()| state), exchanges)
            }
            Err(failed) => (Err(failed), 0),
        };
        let presented = Presented {
            answer,
            exchanges,
            bytes_on_air: bytes_of(&field, exchanges),
            instructions: field.transcript().iter().map(|exchange| exchange.instruction_name()).collect(),
        };
        cards.pockets.insert(name.to_owned(), field.remove());
        presented
    }

    /// The sealed taps of the log, whose chain must hold.
    pub(crate) fn taps(&self) -> Vec<Tap> {
        let log = rusqlite::Connection::open(self.folder.path().join("tap.db")).unwrap();
        let mut statement = log.prepare("SELECT sealed FROM tap ORDER BY sequence").unwrap();
        let sealed = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        let mut previous = transit::tap::CHAIN_START;
        let mut taps = Vec::new();
        for (index, sealed) in sealed.enumerate() {
            let sealed = SealedTap::from_bytes(&sealed.unwrap()).unwrap();
            assert_eq!(sealed.previous_hash(), previous, "the chain breaks at {index}");
            previous = sealed.hash();
            let tap = sealed.open().unwrap();
            assert_eq!(tap.id.sequence as usize, index + 1, "the sequence has a gap");
            taps.push(tap);
        }
        taps
    }
}

/// Bytes of the exchanges up to the decision; what was read afterwards does not count.
fn bytes_of(field: &CardInField, exchanges: u32) -> u64 {
    let decided = field.transcript().iter().take(exchanges as usize);
    decided
        .map(|exchange| exchange.command.len() + 3 + exchange.answer.as_ref().map_or(0, |answer| answer.len() + 3))
        .sum::<usize>() as u64
}
