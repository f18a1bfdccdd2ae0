//! Books that do not hold what was written to them, and their backup.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use clearing_house::{ClearingHouse, Config};
use rusqlite::Connection;

use crate::support::{Card, City, MORNING, Validator, later};

fn city() -> City {
    let mut city = City::new();
    let (mut validator, mut card) = (Validator::new(1, 1), Card::new(1, 500_000));
    let taps: Vec<_> = (0..40).map(|ride| validator.done(&mut card, later(ride * 4_000))).collect();
    city.upload(&taps);
    city
}

fn run(config: &Path, arguments: &[&str]) -> (i32, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_clearing-house"));
    let output: Output = program.args(arguments).arg("--config").arg(config).output().unwrap();
    (output.status.code().expect("it was not killed"), String::from_utf8(output.stderr).unwrap())
}

/// The books as one file, closed.
fn books(city: &City) -> Vec<u8> {
    let copy = city.folder.path().join("copy.sqlite");
    city.clearing_house.back_up(&copy).unwrap();
    fs::read(copy).unwrap()
}

#[test]
fn damaged_books_are_not_served_and_the_remedy_is_told() {
    let city = city();
    let whole = books(&city);
    let other = City::new();
    let path = other.folder.path().join("books.sqlite");
    for (first, last) in [(0, 16), (100, 4096), (whole.len() / 2, whole.len())] {
        let mut damaged = whole.clone();
        damaged[first..last].fill(0x55);
        for beside in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{beside}", path.display()));
        }
        fs::write(&path, &damaged).unwrap();
        for command in [&["serve"][..], &["settle", "--service-day", "2020-01-01"], &["verify"]] {
            let (code, why) = run(&other.config_path(), command);
            assert_eq!(code, 1, "{first}: {why}");
            assert!(why.contains("the books are damaged"), "{first}: {why}");
            assert!(why.contains("keep the files, and put the last backup in their place"), "{first}: {why}");
            assert!(fs::read(&path).unwrap() == damaged, "nothing is written to them");
        }
    }
}

/// xorshift64: the same files in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

/// Whatever bytes change, opening and verifying end with an answer; and where both say that all is well, the taps are
/// as they were.
#[test]
fn changed_bytes_are_a_finding_and_never_a_panic() {
    let city = city();
    let whole = books(&city);
    let taps = |path: &Path| -> Vec<(String, Vec<u8>)> {
        let books = Connection::open(path).unwrap();
        let mut statement = books.prepare("SELECT id, bytes FROM tap ORDER BY id").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let expected = taps(&city.folder.path().join("copy.sqlite"));
    let (mut refused, mut wrong, mut sound) = (0, 0, 0);
    for seed in 1..=200_u64 {
        let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut changed = whole.clone();
        for _ in 0..=chance.below(64) * usize::from(seed % 3 != 0) {
            let at = chance.below(changed.len());
            changed[at] ^= 1 << chance.below(8);
        }
        let folder = tempfile::tempdir().unwrap();
        let config = crate::support::write_config(folder.path(), "enforce");
        let path = folder.path().join("books.sqlite");
        fs::write(&path, &changed).unwrap();
        match ClearingHouse::open(Config::read(&config, None).unwrap()) {
            Err(error) => {
                assert!(error.is_damage(), "seed {seed}: {error:?}");
                refused += 1;
            }
            Ok(mut clearing_house) => {
                if clearing_house.verify().sound {
                    assert!(taps(&path) == expected, "seed {seed}: other taps");
                    sound += 1;
                } else {
                    wrong += 1;
                }
            }
        }
    }
    assert!(refused > 50 && wrong > 5 && sound > 5, "{refused} refused, {wrong} found wrong, {sound} sound");
}

#[test]
fn a_row_that_names_nothing_is_found_at_every_start() {
    let city = city();
    let sql = city.sql();
    sql.execute_batch("PRAGMA foreign_keys = OFF; DROP TRIGGER receipt_delete; DELETE FROM receipt").unwrap();
    let (code, why) = run(&city.config_path(), &["serve"]);
    assert_eq!(code, 1, "{why}");
    assert!(why.contains("a row of the books is damaged: a row of `"), "{why}");
}

#[test]
fn a_backup_is_the_books_of_one_moment_while_others_write() {
    let mut city = city();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("books.sqlite");
    // Somebody is in the middle of writing.
    let mut other = city.sql();
    let writing = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let (code, why) = run(&city.config_path(), &["backup", copy.to_str().unwrap()]);
    assert_eq!(code, 0, "{why}");
    drop(writing);
    let (code, why) = run(&city.config_path(), &["backup", copy.to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(why.contains("is there already: give a new name to each backup"), "{why}");
    city.upload(&[Validator::new(2, 1).done(&mut Card::new(2, 50_000), MORNING)]);

    // In the place of the books it is the books, and what came since is taken again.
    let config = crate::support::write_config(folder.path(), "enforce");
    let clearing_house = ClearingHouse::open(Config::read(&config, None).unwrap()).unwrap();
    let mut restored = City { folder, clearing_house };
    restored.verify();
    assert_eq!(restored.balance("cards:float"), -40 * 8_000);
    restored.upload(&[Validator::new(2, 1).done(&mut Card::new(2, 50_000), MORNING)]);
    restored.verify();
    assert_eq!(restored.balance("cards:float"), city.balance("cards:float"));
}
