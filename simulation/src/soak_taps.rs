//! Taps to upload: made by the validator's own engine from virtual cards, and the same each time.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use transit::tap::SealedTap;
use transit::time::Moment;
use validator::config::Core;
use validator::engine::{Engine, Rules};
use validator::log::TapLog;
use virtual_card::{CardInField, Fault, Fixture, TestKeys};

use crate::Failed;
use crate::soak_cards::counting_random;

/// The validator that made the taps.
pub const DEVICE: u32 = 101;

/// 2026-11-24 10:00 in Hanoi, and its service day in days since 2000-01-01.
const MORNING: virtual_card::Moment = virtual_card::Moment { now: 1_795_489_200, today: 9824 };
/// Fares, free rides, a pass, and declines once a purse is empty.
const CARDS: [&str; 6] = ["adult", "elderly", "torn", "student-pass", "open-journey", "expired"];
/// With six cards in turn, each comes again after 12 minutes: a new ride.
const BETWEEN_TAPS_S: u32 = 120;
/// The last exchange of a purse tap: its answer is lost once, so that one tap is unknown and found out later.
const COMMIT: u32 = 7;

/// Seals `count` taps or more in a log in `folder`, which is made.
///
/// # Errors
/// The fixtures cannot be read, or the log cannot be written.
pub fn seal_taps(count: usize, folder: &Path, fixtures: &Path) -> Result<Vec<SealedTap>, Failed> {
    let unexpected = |error: &dyn std::error::Error| Failed::Unexpected(format!("sealing taps: {error}"));
    let making = || Failed::system(format!("sealing taps in {}", folder.display()));
    fs::create_dir_all(folder).map_err(making())?;
    let config = folder.join("core.toml");
    fs::write(&config, core_config(fixtures)).map_err(making())?;
    let core = Core::load(&config, None).map_err(|error| unexpected(&error))?;
    let keys = TestKeys::load(&fixtures.join("keys/test-card-keys.toml")).map_err(|error| unexpected(&error))?;
    let mut cards = Vec::new();
    for name in CARDS {
        let path = fixtures.join("cards").join(name).with_extension("toml");
        let fixture = Fixture::load(&path, &keys, MORNING).map_err(|error| unexpected(&error))?;
        cards.push(fixture.card(counting_random()));
    }

    let (device, epoch, path) = (core.config.device, core.config.epoch, core.config.log.clone());
    let (log, _) = TapLog::open(&path, device, epoch, None).map_err(|error| unexpected(&error))?;
    let mut engine = engine(core);
    engine.use_log(log);
    let mut torn = false;
    for (number, at) in (0..count).zip((MORNING.now..).step_by(BETWEEN_TAPS_S as usize)) {
        let place = number % CARDS.len();
        let card = cards.remove(place);
        let uid = card.identity().uid;
        let mut field = CardInField::new(card);
        if CARDS[place] == "torn" && !torn {
            torn = true;
            field = field.with_fault(Fault::LoseAfter(COMMIT));
        }
        let answer = engine.tap(&mut field, &uid, Moment(at), [0x42; 16]).map_err(|error| unexpected(&error))?;
        engine.read_older(answer).map_err(|error| unexpected(&error))?;
        cards.insert(place, field.remove());
    }
    engine.close_log();
    read_taps(&path).map_err(|error| unexpected(&*error))
}

/// The sealed taps of a log, in order.
///
/// # Errors
/// The log cannot be read.
pub(crate) fn read_taps(log: &Path) -> Result<Vec<SealedTap>, Box<dyn std::error::Error>> {
    let log = Connection::open_with_flags(log, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = log.prepare("SELECT sealed FROM tap ORDER BY sequence")?;
    let sealed: Vec<Vec<u8>> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(sealed.iter().map(|bytes| SealedTap::from_bytes(bytes)).collect::<Result<_, _>>()?)
}

/// An engine as `validator core` has it.
pub(crate) fn engine(core: Core) -> Engine {
    let rules = Rules {
        intent_deadline: Duration::from_secs(30),
        ..Rules::new(&core.config, core.gate, core.tariffs, core.deny_list)
    };
    Engine::new(rules, core.keys)
}

fn core_config(fixtures: &Path) -> String {
    let fixtures = fixtures.display();
    format!(
        r#"device = {DEVICE}
operator = 1
line = 1
stop = 23
reader = "none"
tariff = "{fixtures}/hanoi/tariff.toml"
keys = "{fixtures}/keys/test-validator-keys.toml"
keys_class = "test"
log = "tap-log.db"
panel_socket = "panel.sock"
link_socket = "link.sock"
clearing_house_public_key = "{}"
"#,
        crate::city::CLEARING_HOUSE_KEY
    )
}
