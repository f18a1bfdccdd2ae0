//! Power that goes right after an answer was shown: what no fsync has covered is gone, and the boot is another.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use transit::screen::{AttentionReason, State};
use transit::tap::{Outcome, Reason};
use transit::time::Moment;
use validator::log::BootId;
use validator::status::Status;
use virtual_card::Fault;

use crate::world::{BOOT, Bus, Cards, NEXT_BOOT, NOW};

const PAID_BEFORE_POWER_LOSS: State = State::Attention { reason: AttentionReason::PaidBeforePowerLoss };
/// The last exchange of a tap.
const COMMIT: u32 = 7;

fn later(seconds: u32) -> Moment {
    Moment(NOW.0 + seconds)
}

fn is_green(state: &State) -> bool {
    matches!(state, State::Accepted { .. })
}

/// The files of a log and its head as they are now, its intent being the last that an fsync has covered.
struct Disk(Vec<(PathBuf, Option<Vec<u8>>)>);

impl Disk {
    fn of(folder: &Path) -> Self {
        let names = ["tap.db", "tap.db-wal", "tap.db.head"];
        Self(names.map(|name| folder.join(name)).map(|path| (path.clone(), fs::read(path).ok())).into())
    }

    fn put_back(&self) {
        for (path, bytes) in &self.0 {
            match bytes {
                Some(bytes) => fs::write(path, bytes).unwrap(),
                None => drop(fs::remove_file(path)),
            }
        }
    }
}

/// A bus that has shown green on the card "torn" and lost its power before the outcome was on the disk.
fn green_and_gone(cards: &mut Cards, boot: Option<BootId>) -> Bus {
    let mut bus = Bus::new(101, 23);
    let folder = bus.folder.path().to_owned();
    let (send, disk) = std::sync::mpsc::channel();
    let keep = move |number, answer| {
        if number == COMMIT {
            send.send(Disk::of(&folder)).unwrap();
        }
        answer
    };
    let shown = bus.present(cards, "torn", NOW, None, Some(Box::new(keep)));
    assert!(is_green(shown.state()), "{:?}", shown.state());
    bus.engine.close_log();
    disk.recv().unwrap().put_back();
    assert!(bus.restart_in(boot).unknown.is_some());
    bus
}

/// Outcomes of the log without evidence.
fn outcomes(bus: &Bus) -> Vec<Outcome> {
    bus.taps().into_iter().map(|tap| tap.outcome).filter(|outcome| *outcome != Outcome::Evidence).collect()
}

#[test]
fn who_may_have_been_admitted_before_the_power_went_is_not_admitted_on_that_debit() {
    for boot in [NEXT_BOOT, None] {
        let mut cards = Cards::new();
        let mut bus = green_and_gone(&mut cards, boot);
        for (restarts, seconds) in [(0, 20), (1, 40), (0, 60)] {
            (0..restarts).for_each(|_| drop(bus.restart_in(boot)));
            let again = bus.tap(&mut cards, "torn", later(seconds));
            assert_eq!((again.state(), again.exchanges), (&PAID_BEFORE_POWER_LOSS, 4), "{boot:?}, {seconds} s");
        }
        assert_eq!(cards.purse("torn"), 42_000);
        let names = bus.taps()[0].id;
        let already_paid = Outcome::Declined(Reason::AlreadyPaid);
        let confirmed = Outcome::Confirmed { names, admitted: false };
        assert_eq!(outcomes(&bus), [Outcome::Unknown, confirmed, already_paid, already_paid, already_paid]);
        let status = Status::read(&bus.folder.path().join("tap.db")).unwrap();
        assert_eq!((status.unknown, status.confirmed, status.confirmed_without_a_ride), (1, 1, 1));
    }
}

/// Past the pass-back window the card pays for a new ride, and the money of the earlier one is settled all the same.
#[test]
fn past_the_window_it_is_a_new_ride() {
    let mut cards = Cards::new();
    let mut bus = green_and_gone(&mut cards, NEXT_BOOT);
    let ride = bus.tap(&mut cards, "torn", later(1000));
    assert!(matches!(ride.state(), State::Accepted { recovered: false, .. }), "{:?}", ride.state());
    assert_eq!(cards.purse("torn"), 34_000);
    let confirmed = Outcome::Confirmed { names: bus.taps()[0].id, admitted: false };
    assert_eq!(outcomes(&bus), [Outcome::Unknown, confirmed, Outcome::Done]);
    let again = bus.tap(&mut cards, "torn", later(1020));
    assert_eq!(*again.state(), State::Attention { reason: AttentionReason::AlreadyPaid });
}

/// Between the lost power and the card's return the process may end often: what is known of the tap stays.
#[test]
fn a_later_restart_in_one_boot_does_not_make_it_a_ride() {
    let mut cards = Cards::new();
    let mut bus = green_and_gone(&mut cards, NEXT_BOOT);
    assert_eq!(bus.restart_in(NEXT_BOOT).unknown, None);
    assert_eq!(bus.restart_in(BOOT).unknown, None);
    assert_eq!(*bus.tap(&mut cards, "torn", later(20)).state(), PAID_BEFORE_POWER_LOSS);
}

/// The kernel keeps what a dead process wrote: an intent alone was never followed by a green.
#[test]
fn a_process_that_died_alone_admits_once() {
    let mut cards = Cards::new();
    let mut bus = green_and_gone(&mut cards, BOOT);
    assert!(is_green(bus.tap(&mut cards, "torn", later(20)).state()));
    let again = bus.tap(&mut cards, "torn", later(40));
    assert_eq!(*again.state(), State::Attention { reason: AttentionReason::AlreadyPaid });
}

/// An unknown tap that is on the disk as such was answered with "present again", whichever boot this is.
#[test]
fn an_unknown_tap_on_the_disk_admits_once_in_the_next_boot() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    bus.torn_tap(&mut cards, "torn", NOW, Fault::LoseAfter(COMMIT));
    bus.engine.log().unwrap().flush().wait().unwrap();
    bus.restart_in(NEXT_BOOT);
    assert!(is_green(bus.tap(&mut cards, "torn", later(20)).state()));
}

/// The green of a debit whose own answer was lost rests on one sealed tap, which is therefore on the disk before it is shown.
#[test]
fn a_ride_on_an_earlier_debit_is_on_the_disk_when_it_is_shown() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    bus.torn_tap(&mut cards, "torn", NOW, Fault::LoseAfter(COMMIT));
    assert!(is_green(bus.tap(&mut cards, "torn", later(20)).state()));
    let log = Connection::open(bus.folder.path().join("tap.db")).unwrap();
    let durable: u32 = log.query_row("SELECT durable_through FROM log", [], |row| row.get(0)).unwrap();
    assert_eq!(durable as usize, bus.taps().len());
}

/// Where the intent's boot is not known, as in a log of before, or the machine's is not now.
#[test]
fn two_boots_that_are_not_known_are_not_the_same() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    let tap = {
        bus.tap(&mut cards, "adult", NOW);
        let id = bus.engine.log().unwrap().next_id();
        transit::tap::Tap { id, outcome: Outcome::Done, ..bus.taps()[0].clone() }
    };
    bus.restart_in(None);
    bus.engine.log().unwrap().intend(&tap).wait().unwrap();
    bus.restart_in(None);
    let open = bus.engine.log().unwrap().open_taps(tap.card);
    assert!(open[0].perhaps_admitted);
}

#[test]
fn a_boot_id_is_read_with_and_without_hyphens() {
    let kernels: BootId = "0c3f1a52-7d84-4b6e-9a15-2f60c8d7e1b3\n".parse().unwrap();
    let systemds: BootId = "0c3f1a527d844b6e9a152f60c8d7e1b3".parse().unwrap();
    assert_eq!(kernels, systemds);
    assert_eq!(kernels.to_string(), "0c3f1a527d844b6e9a152f60c8d7e1b3");
    for wrong in ["", "%b", "0c3f1a527d844b6e9a152f60c8d7e1", "zz3f1a527d844b6e9a152f60c8d7e1b3"] {
        let error = wrong.parse::<BootId>().unwrap_err().to_string();
        assert!(error.contains(&format!("not `{wrong}`")), "{error}");
    }
}
