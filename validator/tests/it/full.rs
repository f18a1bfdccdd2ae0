//! A disk that is full, or a WAL that is as long as it may be.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;
use tempfile::TempDir;
use transit::id::DeviceId;
use transit::screen::State;
use transit::sync::Verdict;
use transit::tap::Tap;
use validator::log::{Acknowledged, LogFailed, LogFiles, ReserveFile, TapLog};
use validator::status::Status;

use crate::world::{BOOT, Bus, Cards, NOW, memory_folder};

const MIB: u64 = 1 << 20;

/// A file system of 4 MiB, gone with this.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where this system lets us mount none.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(folder.path());
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Takes all room but `left` pages of 4 KiB.
    fn fill(&self, left: usize) {
        let mut filler = fs::File::create(self.path("filler")).unwrap();
        while filler.write_all(&[1; 4096]).is_ok() {}
        let length = filler.metadata().unwrap().len();
        filler.set_len(length - 4096 * left as u64).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

fn files(disk: &SmallDisk) -> LogFiles {
    let reserve = ReserveFile { path: disk.path("reserve"), length: MIB };
    LogFiles { reserve: Some(reserve), ..LogFiles::at(&disk.path("tap.db")) }
}

fn open(files: &LogFiles) -> TapLog {
    TapLog::open_files(files, DeviceId::new(101).unwrap(), 1, BOOT).unwrap().0
}

fn taps_in(log: &Path) -> u32 {
    Connection::open(log).unwrap().query_row("SELECT count(*) FROM tap", [], |row| row.get(0)).unwrap()
}

#[test]
fn on_a_full_disk_a_tap_begun_is_concluded_and_none_is_begun() {
    let mut cards = Cards::new();
    let mut bus = Bus::new(101, 23);
    bus.tap(&mut cards, "adult", NOW);
    let like = bus.taps().remove(0);
    let hash = like.seal(&[0; 32]).unwrap().hash();
    let mut released_by_a_conclusion = 0;
    for left in 0..24 {
        let Some(disk) = SmallDisk::mount() else {
            eprintln!("skipped: this system lets us mount no small file system");
            return;
        };
        let files = files(&disk);
        let mut log = open(&files);
        assert!(!log.is_full());
        disk.fill(left);
        let mut concluded = 0;
        let refused = loop {
            let tap = Tap { id: log.next_id(), ..like.clone() };
            if let Err(refused) = log.intend(&tap).wait() {
                break refused;
            }
            let was_full = log.is_full();
            log.conclude(&tap).wait().unwrap_or_else(|error| panic!("{left} pages left, tap {}: {error}", tap.id));
            released_by_a_conclusion += u32::from(!was_full && log.is_full());
            concluded += 1;
            if left % 2 == 1 {
                // Writing the WAL back may be what finds the disk full.
                log.flush().wait().unwrap_or_else(|error| panic!("{left} pages left, tap {}: {error}", tap.id));
            }
            assert!(concluded < 1000, "the disk is full");
        };
        assert!(matches!(refused, LogFailed::Full { .. }), "{refused:?}");
        drop(log);

        // The next log is full from the start, and takes everything but a tap.
        let mut log = open(&files);
        assert!(log.is_full() && !log.make_room().unwrap());
        let acknowledged = Acknowledged { sequence: 1, hash, verdict: Verdict::Accepted };
        log.acknowledge(vec![acknowledged]).wait().unwrap();
        log.flush().wait().unwrap();
        bus.engine.use_log(log);
        let presented = bus.tap(&mut cards, "open-journey", NOW);
        assert!(matches!(presented.answer, Err(LogFailed::Full { .. })), "{:?}", presented.answer);
        bus.engine.close_log();
        assert!(taps_in(&files.log) >= concluded);

        fs::remove_file(disk.path("filler")).unwrap();
        let log = open(&files);
        assert!(!log.is_full());
        bus.engine.use_log(log);
        let presented = bus.tap(&mut cards, "adult", NOW);
        assert!(!matches!(presented.state(), State::OutOfService { .. }), "{:?}", presented.answer);
        bus.engine.close_log();
    }
    assert!(released_by_a_conclusion > 0, "some disk is full just at a conclusion");
}

/// Room for twice the reserve makes one, and an eighth of it keeps it: what is below gives it up.
#[test]
fn a_reserve_is_made_where_there_is_room_and_kept_while_there_is_some() {
    const PAGE: u64 = 4096;
    let table: [(Option<u64>, u64, bool); 7] = [
        (None, 2 * MIB, true),
        (None, 2 * MIB - PAGE, false),
        (Some(MIB), MIB / 8, true),
        (Some(MIB), MIB / 8 - PAGE, false),
        (Some(MIB / 2), 2 * MIB, true),
        (Some(MIB / 2), 2 * MIB - PAGE, false),
        (Some(MIB * 3 / 2), 2 * MIB, true),
    ];
    for (there, room, held) in table {
        let Some(disk) = SmallDisk::mount() else {
            eprintln!("skipped: this system lets us mount no small file system");
            return;
        };
        let reserve = disk.path("reserve");
        if let Some(length) = there {
            fs::write(&reserve, vec![1; usize::try_from(length).unwrap()]).unwrap();
        }
        disk.fill(usize::try_from(room / PAGE).unwrap());
        let folder = memory_folder();
        let file = ReserveFile { path: reserve.clone(), length: MIB };
        let log = open(&LogFiles { reserve: Some(file), ..LogFiles::at(&folder.path().join("tap.db")) });
        let what = format!("{there:?} there, {room} bytes of room");
        assert_eq!(log.is_full(), !held, "{what}");
        let blocks = fs::metadata(&reserve).map_or(0, |metadata| metadata.blocks() * 512);
        assert_eq!(blocks == MIB, held, "{what}: {blocks} bytes of the disk are held");
    }
}

#[test]
fn a_failure_that_is_no_full_disk_gives_no_room_back() {
    let mut bus = Bus::new(101, 23);
    bus.tap(&mut Cards::new(), "adult", NOW);
    let folder = memory_folder();
    let path = folder.path().join("tap.db");
    let reserve = ReserveFile { path: folder.path().join("reserve"), length: 4096 };
    let mut log = open(&LogFiles { reserve: Some(reserve.clone()), ..LogFiles::at(&path) });
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = log.intend(&Tap { id: log.next_id(), ..bus.taps().remove(0) }).wait().unwrap_err();
    assert!(matches!(refused, LogFailed::Store { .. }), "{refused:?}");
    assert!(!log.is_full() && reserve.path.exists());
}

/// A reader that never ends: the WAL stays within its bound, and taps are taken again once the reader is gone.
#[test]
fn a_reader_that_holds_the_wal_stops_taps_before_it_grows_without_bound() {
    let mut bus = Bus::new(101, 23);
    bus.tap(&mut Cards::new(), "adult", NOW);
    let like = bus.taps().remove(0);
    let folder = memory_folder();
    let path = folder.path().join("tap.db");
    let files = LogFiles { wal_bytes_max: MIB, ..LogFiles::at(&path) };
    let wal_bytes = || Status::read(&path).unwrap().wal_bytes;
    let mut log = open(&files);
    let tap = |log: &mut TapLog| {
        let tap = Tap { id: log.next_id(), ..like.clone() };
        log.intend(&tap).wait()?;
        log.conclude(&tap).wait()
    };
    for _ in 0..200 {
        tap(&mut log).unwrap();
    }
    assert!(wal_bytes() <= MIB + MIB / 16, "nobody was idle");
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM tap").unwrap();
    let mut taken = 0;
    let refused = loop {
        if let Err(refused) = tap(&mut log) {
            break refused;
        }
        taken += 1;
    };
    assert!(matches!(refused, LogFailed::WalHeld { .. }), "{refused:?}");
    assert!(taken > 20 && log.is_full());
    drop(log);
    let mut log = open(&files);
    assert!(log.is_full() && !log.make_room().unwrap(), "a restart is no way out");
    log.flush().wait().unwrap();
    assert!((MIB..=MIB + MIB / 16).contains(&wal_bytes()), "{}", wal_bytes());
    drop(reader);
    assert!(log.make_room().unwrap());
    assert!(wal_bytes() < MIB / 16);
    tap(&mut log).unwrap();
}
