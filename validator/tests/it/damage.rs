//! A tap log that does not hold what was written to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use ring::digest::{SHA256, digest};
use rusqlite::Connection;
use tempfile::TempDir;
use transit::id::{DeviceId, TapId};
use transit::sync::Verdict;
use transit::tap::{Outcome, SealedTap, Tap};
use validator::log::{Acknowledged, LogFailed, LogFiles, StartUp, TapLog, kept_logs};
use validator::salvage::Salvage;
use validator::status::Status;

use crate::world::{BOOT, Bus, Cards, NOW, memory_folder};

mod migrations {
    refinery::embed_migrations!("migrations");
}

/// The files of a log: itself, its WAL, its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) log: Vec<u8>,
    pub(crate) wal: Vec<u8>,
    pub(crate) head: Vec<u8>,
}

impl Files {
    fn of(log: &Path) -> Self {
        let read = |suffix: &str| fs::read(beside(log, suffix)).unwrap_or_default();
        Self { log: read(""), wal: read("-wal"), head: read(".head") }
    }

    pub(crate) fn lay_down(&self) -> (TempDir, PathBuf) {
        let folder = memory_folder();
        let log = folder.path().join("tap.db");
        for (suffix, bytes) in [("", &self.log), ("-wal", &self.wal), (".head", &self.head)] {
            if !bytes.is_empty() {
                fs::write(beside(&log, suffix), bytes).unwrap();
            }
        }
        (folder, log)
    }
}

pub(crate) fn beside(log: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", log.display()))
}

pub(crate) fn open(log: &Path) -> Result<(TapLog, StartUp), LogFailed> {
    TapLog::open(log, DeviceId::new(101).unwrap(), 1, BOOT)
}

fn some_tap() -> Tap {
    let mut bus = Bus::new(101, 23);
    bus.tap(&mut Cards::new(), "adult", NOW);
    bus.taps().remove(0)
}

fn append(log: &mut TapLog, like: &Tap, count: u32) {
    for _ in 0..count {
        let tap = Tap { id: log.next_id(), ..like.clone() };
        log.intend(&tap).wait().unwrap();
        log.conclude(&tap).wait().unwrap();
    }
}

/// The files of a log of `count` taps whose process was killed: the WAL holds the last of them, and the head names
/// all but the last `unflushed`.
pub(crate) fn killed_log(count: u32, unflushed: u32) -> Files {
    let like = some_tap();
    let folder = memory_folder();
    let path = folder.path().join("tap.db");
    let (mut log, _) = open(&path).unwrap();
    append(&mut log, &like, count / 2);
    log.flush().wait().unwrap();
    acknowledge(&mut log, &path);
    log.flush().wait().unwrap();
    // A reader keeps the next flush from writing the WAL back.
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM tap").unwrap();
    append(&mut log, &like, count - count / 2 - unflushed);
    log.flush().wait().unwrap();
    acknowledge(&mut log, &path);
    append(&mut log, &like, unflushed);
    let mut files = Files::of(&path);
    drop(log);
    drop(reader);
    // The head is kept by a thread of its own; the one that it ends with names every tap.
    files.head = head(1, count - unflushed, &sealed(&path)[(count - unflushed - 1) as usize].hash(), true, None);
    files
}

/// Every tap in the log is acknowledged.
fn acknowledge(log: &mut TapLog, path: &Path) {
    let verdict = Verdict::Accepted;
    let taps = (1..).zip(sealed(path)).map(|(sequence, tap)| Acknowledged { sequence, hash: tap.hash(), verdict });
    log.acknowledge(taps.collect()).wait().unwrap();
}

pub(crate) fn head(epoch: u8, sequence: u32, hash: &[u8; 32], begun: bool, kept: Option<&str>) -> Vec<u8> {
    let kept = kept.map_or(String::new(), |kept| format!(r#","kept":"{kept}""#));
    let hash = hex::encode(hash);
    let json =
        format!(r#"{{"device":101,"epoch":{epoch},"sequence":{sequence},"hash":"{hash}","begun":{begun}{kept}}}"#);
    let check = hex::encode(digest(&SHA256, json.as_bytes()));
    format!("{json}\n{check}\n").into_bytes()
}

pub(crate) fn sealed(log: &Path) -> Vec<SealedTap> {
    let log = Connection::open(log).unwrap();
    let mut statement = log.prepare("SELECT sealed FROM tap ORDER BY sequence").unwrap();
    let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    rows.map(|bytes| SealedTap::from_bytes(&bytes.unwrap()).unwrap()).collect()
}

#[test]
fn a_damaged_log_is_kept_and_the_next_epoch_goes_on_from_its_head() {
    let mut files = killed_log(12, 0);
    let (_folder, whole) = files.lay_down();
    let old_head = sealed(&whole)[11].hash();
    files.log.fill(0x55);
    let (_folder, path) = files.lay_down();
    let (mut log, start_up) = open(&path).unwrap();
    let anew = start_up.begun_anew.unwrap();
    assert_eq!((anew.epoch, start_up.taps, start_up.unknown), (2, 0, None));
    assert!(anew.why.starts_with("*** in database main ***: "), "{}", anew.why);
    let kept = anew.kept.unwrap();
    assert_eq!((fs::read(&kept).unwrap(), fs::read(beside(&kept, "-wal")).unwrap()), (files.log, files.wal));

    append(&mut log, &some_tap(), 2);
    drop(log);
    let first = sealed(&path).remove(0);
    assert_eq!(first.previous_hash(), old_head);
    assert_eq!(first.open().unwrap().id, TapId { device: DeviceId::new(101).unwrap(), epoch: 2, sequence: 1 });
    let (_, start_up) = open(&path).unwrap();
    assert_eq!((start_up.begun_anew, start_up.taps), (None, 2), "and goes on after a restart");
    let status = Status::read(&path).unwrap();
    assert_eq!((status.epoch, &status.kept_logs), (2, &vec![kept.clone()]));
    assert!(status.to_string().contains(&format!("damaged log kept: {}", kept.display())));
}

/// When it was last written, and a number where there is one of that time.
#[test]
fn a_damaged_log_is_kept_under_a_name_that_is_free() {
    let mut files = killed_log(12, 0);
    files.log.fill(0x55);
    let (_folder, path) = files.lay_down();
    let written_at = UNIX_EPOCH + Duration::from_secs(NOW.0.into());
    let date = "20261124T030000Z";
    for (epoch, name) in [(2, format!("tap.db.damaged-{date}")), (3, format!("tap.db.damaged-{date}.2"))] {
        fs::write(&path, &files.log).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(written_at).unwrap();
        let anew = open(&path).unwrap().1.begun_anew.unwrap();
        assert_eq!((anew.epoch, anew.kept), (epoch, Some(path.with_file_name(name))));
    }
}

#[test]
fn a_log_that_is_gone_or_shorter_than_its_head_is_begun_anew() {
    let whole = killed_log(12, 0);
    let shorter = Files { wal: vec![], ..whole.clone() };
    let gone = Files { log: vec![], wal: vec![], ..whole };
    for (files, why) in [(gone, "it is gone"), (shorter, "it ends with tap 6, and its head is tap 12")] {
        let (_folder, path) = files.lay_down();
        let (_log, start_up) = open(&path).unwrap();
        let anew = start_up.begun_anew.unwrap();
        assert_eq!((anew.epoch, anew.why.as_str()), (2, why));
        assert_eq!(anew.kept.is_some(), !files.log.is_empty());
    }
}

#[test]
fn a_start_that_died_while_it_kept_a_damaged_log_is_gone_on_with() {
    let whole = killed_log(12, 0);
    let (_folder, path) = whole.lay_down();
    let hash = sealed(&path)[11].hash();
    let told = Files { head: head(2, 0, &hash, false, Some("tap.db.damaged-x")), ..whole };
    for moved in [&[][..], &[""][..], &["", "-wal"][..]] {
        let (_folder, path) = told.lay_down();
        let kept = path.with_file_name("tap.db.damaged-x");
        for suffix in moved {
            fs::rename(beside(&path, suffix), beside(&kept, suffix)).unwrap();
        }
        let (log, start_up) = open(&path).unwrap();
        let anew = start_up.begun_anew.expect("the start that died raised no alarm");
        assert_eq!((log.epoch(), anew.epoch, anew.kept.as_ref()), (2, 2, Some(&kept)));
        drop(log);
        assert_eq!(open(&path).unwrap().1.begun_anew, None);
        assert_eq!(fs::read(&kept).unwrap(), told.log);
        assert_eq!(fs::read(beside(&kept, "-wal")).unwrap(), told.wal);
        assert_eq!(kept_logs(&path).unwrap(), [kept]);
    }
}

/// The medium of the log was not there: the start that found it gone could make none, and the next one goes on with it.
#[test]
fn a_start_that_could_not_make_the_next_log_is_gone_on_with() {
    let folder = memory_folder();
    let medium = folder.path().join("medium");
    let files = LogFiles { head: folder.path().join("head"), ..LogFiles::at(&medium.join("tap.db")) };
    let open = || TapLog::open_files(&files, DeviceId::new(101).unwrap(), 1, None);
    fs::create_dir(&medium).unwrap();
    drop(open().unwrap());
    fs::remove_dir_all(&medium).unwrap();
    for _ in 0..2 {
        assert!(matches!(open(), Err(LogFailed::Store { .. })));
    }
    fs::create_dir(&medium).unwrap();
    let (log, start_up) = open().unwrap();
    assert_eq!((log.epoch(), start_up.begun_anew.unwrap().epoch), (2, 2));
}

/// SQLite deletes the WAL of a log that is empty or not there.
#[test]
fn the_wal_of_a_log_that_is_empty_or_gone_is_kept() {
    let whole = killed_log(12, 0);
    for empty in [false, true] {
        let (_folder, path) = Files { log: vec![], ..whole.clone() }.lay_down();
        if empty {
            fs::write(&path, []).unwrap();
        }
        let (log, start_up) = open(&path).unwrap();
        let kept = start_up.begun_anew.unwrap().kept.unwrap();
        assert_eq!(log.epoch(), 2);
        assert!(fs::read(beside(&kept, "-wal")).unwrap() == whole.wal, "emptied: {empty}");
        assert_eq!(kept_logs(&path).unwrap(), [kept]);
    }
}

/// The head could not be written since the epoch began, and the damaged log was fetched.
#[test]
fn a_log_begun_anew_is_never_taken_for_the_damaged_one() {
    let mut files = killed_log(12, 0);
    files.log.fill(0x55);
    let (_folder, path) = files.lay_down();
    let (mut log, start_up) = open(&path).unwrap();
    append(&mut log, &some_tap(), 3);
    drop(log);
    let kept = start_up.begun_anew.unwrap().kept.unwrap();
    let name = kept.file_name().unwrap().to_string_lossy().into_owned();
    let old_head = sealed(&path)[0].previous_hash();
    fs::write(beside(&path, ".head"), head(2, 0, &old_head, false, Some(&name))).unwrap();
    fs::remove_file(&kept).unwrap();
    let (log, start_up) = open(&path).unwrap();
    assert_eq!((log.epoch(), start_up.taps), (2, 3));
}

/// After a failure nothing that the connection says can be trusted, so closing it writes nothing back.
#[test]
fn a_log_that_failed_is_closed_as_it_is() {
    let folder = memory_folder();
    let path = folder.path().join("tap.db");
    let (mut log, _) = open(&path).unwrap();
    append(&mut log, &some_tap(), 3);
    let before = Files::of(&path);
    let another = Tap { id: TapId { sequence: 9, ..log.next_id() }, ..some_tap() };
    log.conclude(&another).wait().unwrap_err();
    drop(log);
    let after = Files::of(&path);
    assert!((after.log, after.wal) == (before.log, before.wal));
}

/// What was written after the last fsync reaches the disk in any order, so a lost power may leave a later commit without
/// an earlier one. That is no damage.
#[test]
fn a_lost_power_that_kept_a_later_commit_only_damages_nothing() {
    let like = some_tap();
    let folder = memory_folder();
    let path = folder.path().join("tap.db");
    let (mut log, _) = open(&path).unwrap();
    // A reader keeps the WAL from beginning anew, so that what is written last is at its end.
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM tap").unwrap();
    append(&mut log, &like, 14);
    log.flush().wait().unwrap();
    let synced = Files::of(&path).wal.len();
    let conclude = |log: &mut TapLog| log.conclude(&Tap { id: log.next_id(), ..like.clone() }).wait().unwrap();
    for _ in 0..3 {
        conclude(&mut log);
    }
    let declined = Files::of(&path);
    log.intend(&Tap { id: log.next_id(), ..like.clone() }).wait().unwrap();
    let intended = Files::of(&path);
    conclude(&mut log);
    let concluded = Files::of(&path);
    drop(log);
    let last = sealed(&path)[13].hash();
    // The intent's commit was flushed before the conclusion's was written: whatever is before it was on the disk.
    for (files, whole) in [(declined, true), (intended, true), (concluded, false)] {
        let mut files = Files { head: head(1, 14, &last, true, None), ..files };
        let first_frame = synced + 24;
        files.wal[first_frame..first_frame + 4096].fill(0);
        let (_folder, path) = files.lay_down();
        let (_log, start_up) = open(&path).unwrap();
        assert_eq!(start_up.begun_anew.is_none(), whole, "{start_up:?}");
        if whole {
            assert_eq!(start_up.taps, 14);
        }
    }
}

#[test]
fn a_damaged_head_is_made_anew_from_a_log_that_is_whole() {
    let files = killed_log(12, 0);
    let mut damaged = files.clone();
    damaged.head[40] ^= 1;
    let (_folder, path) = damaged.lay_down();
    assert_eq!(open(&path).unwrap().1.begun_anew, None);
    assert_eq!(Files::of(&path).head, files.head);
    // Both: nobody knows the epoch, so nothing is begun and nothing is touched.
    damaged.log.fill(0x55);
    let (_folder, path) = damaged.lay_down();
    let refused = open(&path).unwrap_err();
    assert!(matches!(refused, LogFailed::Damaged { .. }), "{refused:?}");
    assert!(refused.to_string().contains("set `epoch` of the configuration higher"), "{refused}");
    assert_eq!(Files::of(&path), damaged);
}

/// Nobody knows then whether there was a log before, nor its epoch.
#[test]
fn no_first_log_is_begun_where_the_head_cannot_be_read() {
    let folder = memory_folder();
    let path = folder.path().join("tap.db");
    fs::create_dir(beside(&path, ".head")).unwrap();
    let refused = open(&path).unwrap_err();
    assert!(refused.to_string().contains("it is gone; its head"), "{refused}");
    assert!(!path.exists());
}

/// A head that says what the log says is not written again: it may lie on a medium that wears.
#[test]
fn a_head_that_is_right_is_left_alone() {
    let (_folder, path) = killed_log(12, 0).lay_down();
    let head = beside(&path, ".head");
    fs::File::options().write(true).open(&head).unwrap().set_modified(UNIX_EPOCH).unwrap();
    let (mut log, _) = open(&path).unwrap();
    log.flush().wait().unwrap();
    drop(log);
    assert_eq!(fs::metadata(&head).unwrap().modified().unwrap(), UNIX_EPOCH);
}

#[test]
fn a_log_that_is_closed_has_its_head_in_its_place() {
    let like = some_tap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tap.db");
    for count in 1..=30 {
        let (mut log, _) = open(&path).unwrap();
        append(&mut log, &like, 1);
        drop(log);
        let last = sealed(&path).last().unwrap().hash();
        assert!(Files::of(&path).head == head(1, count, &last, true, None), "after tap {count}");
    }
}

/// The medium of the head was not there for a while.
#[test]
fn a_head_that_could_not_be_written_is_written_with_a_later_flush() {
    let folder = memory_folder();
    let mut files = LogFiles::at(&folder.path().join("tap.db"));
    files.head = folder.path().join("medium/head");
    let (mut log, _) = TapLog::open_files(&files, DeviceId::new(101).unwrap(), 1, BOOT).unwrap();
    append(&mut log, &some_tap(), 1);
    log.flush().wait().unwrap();
    fs::create_dir(folder.path().join("medium")).unwrap();
    // No tap comes; the thread that writes heads has its own pace.
    let written = (0..100_000).any(|_| {
        log.flush().wait().unwrap();
        files.head.exists()
    });
    assert!(written);
}

/// A schema that is not one of ours is damage. Whatever changes how SQLite words it would set the logs of a whole fleet
/// aside, so such a change has to bring a way to read the old wording.
#[test]
fn a_new_log_has_the_schema_that_logs_out_there_have() {
    let folder = memory_folder();
    let path = folder.path().join("tap.db");
    drop(open(&path).unwrap());
    let log = Connection::open(&path).unwrap();
    let schema: String = log
        .query_row(
            "SELECT group_concat(type || name || coalesce(sql, ''), char(10) ORDER BY type, name) FROM sqlite_schema",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(
        hex::encode(digest(&SHA256, schema.as_bytes())),
        "997692b2d8975610a3b0b544101d007ebfc4af855962d0bf840bb4e609e6d8f5",
        "{schema}"
    );
}

/// An empty log as the first version of this program made it.
pub(crate) fn make_first_version(path: &Path) {
    let mut old = Connection::open(path).unwrap();
    let first = refinery::Target::Version(1);
    migrations::migrations::runner().set_grouped(true).set_target(first).run(&mut old).unwrap();
}

#[test]
fn a_log_of_the_first_version_is_taken_over_with_its_taps() {
    let whole = killed_log(12, 0);
    let (_folder, path) = whole.lay_down();
    let taps = sealed(&path);
    let folder = memory_folder();
    let path = folder.path().join("tap.db");
    make_first_version(&path);
    let old = Connection::open(&path).unwrap();
    old.execute("INSERT INTO log (one, device, epoch, durable_through) VALUES (1, 101, 1, 12)", []).unwrap();
    for (sequence, tap) in (1_u32..).zip(&taps) {
        old.execute("INSERT INTO tap VALUES (?1, ?2)", (sequence, tap.as_bytes().as_slice())).unwrap();
    }
    old.execute("INSERT INTO acknowledgement SELECT sequence, 'known' FROM tap WHERE sequence < 9", []).unwrap();
    drop(old);
    for _ in 0..2 {
        let (log, start_up) = open(&path).unwrap();
        assert_eq!((log.epoch(), start_up.taps, start_up.begun_anew), (1, 12, None));
        drop(log);
        assert!(sealed(&path) == taps);
        assert_eq!(Status::read(&path).unwrap().acknowledged, 8);
    }
}

/// Nobody can tell whether the power had gone past the unknown taps of an earlier version, and past its intent.
#[test]
fn unknown_taps_of_an_earlier_version_may_have_admitted() {
    let mut bus = Bus::new(101, 23);
    let mut cards = Cards::new();
    bus.torn_tap(&mut cards, "torn", NOW, virtual_card::Fault::LoseAfter(7));
    bus.tap(&mut cards, "adult", NOW);
    let [unknown, done] = &sealed(&bus.folder.path().join("tap.db"))[..] else { panic!("two taps") };
    let (tap, paid) = (unknown.open().unwrap(), done.open().unwrap());
    let card = tap.card;
    let intent = Tap { id: TapId { sequence: 3, ..tap.id }, ..tap }.seal(&done.hash()).unwrap();
    let folder = memory_folder();
    let path = folder.path().join("tap.db");
    let mut old = Connection::open(&path).unwrap();
    let third = refinery::Target::Version(3);
    migrations::migrations::runner().set_grouped(true).set_target(third).run(&mut old).unwrap();
    old.execute("INSERT INTO log (one, device, epoch, durable_through) VALUES (1, 101, 1, 2)", []).unwrap();
    for (sequence, tap) in [(1, unknown), (2, done)] {
        old.execute("INSERT INTO tap VALUES (?1, ?2)", (sequence, tap.as_bytes().as_slice())).unwrap();
    }
    old.execute("INSERT INTO intent VALUES (1, ?1)", [intent.as_bytes().as_slice()]).unwrap();
    drop(old);
    let (log, start_up) = open(&path).unwrap();
    assert_eq!((start_up.taps, start_up.unknown.map(|tap| tap.sequence)), (3, Some(3)));
    let open = log.open_taps(card).into_iter().map(|open| (open.id.sequence, open.perhaps_admitted));
    assert_eq!(open.collect::<Vec<_>>(), [(1, true), (3, true)]);
    assert_eq!(log.open_taps(paid.card), []);
    drop(log);
    assert_eq!(Status::read(&path).unwrap().unknown, 2);
}

/// xorshift64: the same files in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Bits flipped anywhere in the log or in its WAL: every sealed tap is there, or the damage is told and the files are
/// kept as they were.
#[test]
fn flipped_bits_never_lose_a_tap_in_silence() {
    let (there, anew) = flip(&killed_log(60, 0), 60, 600);
    assert!(there > 20 && anew > 200, "the flips reach what matters: {there} whole, {anew} begun anew");
}

/// The same for taps that no fsync has covered yet and that the head does not name. The very last commit has no other
/// behind it that would show that it was damaged: to the next start it is one that a lost power took.
#[test]
fn flipped_bits_lose_no_more_than_the_last_commit_of_taps_not_flushed() {
    let (there, anew) = flip(&killed_log(60, 6), 59, 300);
    assert!(there > 20 && anew > 100, "the flips reach what matters: {there} whole, {anew} begun anew");
}

/// Opens `cases` copies of `whole` with flipped bits. Where nothing is told, at least `kept_min` taps must be there. Gives
/// how many logs were as before, and how many were begun anew.
fn flip(whole: &Files, kept_min: usize, cases: u64) -> (u32, u32) {
    let (_folder, path) = whole.lay_down();
    let expected: Vec<SealedTap> = sealed(&path);
    assert_eq!(expected.len(), 60);
    assert!(whole.wal.len() > 100_000);
    let (mut there, mut anew) = (0, 0);
    for seed in 1..=cases {
        let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut flipped = whole.clone();
        let target = if seed % 2 == 0 { &mut flipped.log } else { &mut flipped.wal };
        let flips = if seed % 3 == 0 { 1 } else { 1 + chance.below(64) };
        for _ in 0..flips {
            let at = chance.below(target.len());
            // A bit, or the whole byte.
            target[at] ^= if seed % 5 == 0 { 1 + chance.below(255) as u8 } else { 1 << chance.below(8) };
        }
        let (_folder, path) = flipped.lay_down();
        let (log, start_up) = open(&path).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        drop(log);
        if let Some(told) = start_up.begun_anew {
            let kept = told.kept.as_ref().unwrap();
            let kept = (fs::read(kept).unwrap(), fs::read(beside(kept, "-wal")).unwrap());
            assert!(kept == (flipped.log, flipped.wal), "seed {seed}: not kept as it was; {}", told.why);
            assert_eq!(told.epoch, 2);
            // No flip costs more than the tap that it is in.
            let salvage = Salvage::read(&told.kept.unwrap()).unwrap();
            assert!(salvage.taps.len() + flips >= expected.len(), "seed {seed}: {} salvaged", salvage.taps.len());
            let is_intent = |tap: &SealedTap| tap.open().unwrap().outcome == Outcome::Unknown;
            assert!(salvage.taps.iter().all(|(_, tap)| expected.contains(tap) || is_intent(tap)), "seed {seed}");
            anew += 1;
        } else {
            let taps = sealed(&path);
            assert!(taps.len() >= kept_min, "seed {seed}: {} taps are left", taps.len());
            assert!(taps[..kept_min] == expected[..kept_min], "seed {seed}: other taps");
            there += 1;
        }
    }
    (there, anew)
}
