//! Damage in the write-ahead log that SQLite passes over in silence
//! (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>).

use std::ops::Range;

use crate::damage::{Files, killed_log, open};

const MAGIC: u32 = 0x377F_0682;
const HEADER_LEN: usize = 32;
const FRAME_LEN: usize = 24 + 4096;
const HEADER_DAMAGED: &str = "the header of its WAL is damaged";
/// What is left of twelve taps where the WAL holds nothing.
const NOTHING_IN_IT: &str = "it ends with tap 6, and its head is tap 12";

fn checksum(before: (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let word = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    bytes.as_chunks::<4>().0.chunks(2).fold(before, |(first, second), pair| {
        let first = first.wrapping_add(word(pair[0])).wrapping_add(second);
        (first, second.wrapping_add(word(pair[1])).wrapping_add(first))
    })
}

fn put(bytes: &mut [u8], at: usize, (first, second): (u32, u32)) {
    bytes[at..at + 4].copy_from_slice(&first.to_be_bytes());
    bytes[at + 4..at + 8].copy_from_slice(&second.to_be_bytes());
}

/// The same WAL with another magic number and page length, and every checksum made anew.
fn rewritten(wal: &[u8], magic: u32, page_len: u32) -> Vec<u8> {
    let mut wal = wal.to_vec();
    let big_endian = magic & 1 == 1;
    wal[..4].copy_from_slice(&magic.to_be_bytes());
    wal[8..12].copy_from_slice(&page_len.to_be_bytes());
    let mut sum = checksum((0, 0), &wal[..24], big_endian);
    put(&mut wal, 24, sum);
    for frame in wal[HEADER_LEN..].chunks_mut(FRAME_LEN) {
        sum = checksum(checksum(sum, &frame[..8], big_endian), &frame[24..], big_endian);
        put(frame, 16, sum);
    }
    wal
}

/// Where the page of a frame is; the first one is number 1.
fn page(frame: usize) -> Range<usize> {
    HEADER_LEN + (frame - 1) * FRAME_LEN + 24..HEADER_LEN + frame * FRAME_LEN
}

/// What start-up finds wrong with a log that has this WAL.
fn found(whole: &Files, wal: Vec<u8>) -> Option<String> {
    let (_folder, path) = Files { wal, ..whole.clone() }.lay_down();
    open(&path).unwrap().1.begun_anew.map(|anew| anew.why)
}

#[test]
fn a_header_that_sqlite_does_not_write_is_damage() {
    let whole = killed_log(12, 0);
    assert!(rewritten(&whole.wal, MAGIC, 4096) == whole.wal, "SQLite counts as this file does");
    let changed = |change: fn(&mut Vec<u8>)| {
        let mut wal = whole.wal.clone();
        change(&mut wal);
        wal
    };
    let table = [
        ("as it is", whole.wal.clone(), None),
        ("of a big-endian machine", rewritten(&whole.wal, MAGIC | 1, 4096), None),
        ("another magic number", rewritten(&whole.wal, MAGIC ^ 2, 4096), Some(HEADER_DAMAGED)),
        ("a page length that is no power of two", rewritten(&whole.wal, MAGIC, 4095), Some(HEADER_DAMAGED)),
        ("a page length below 512", rewritten(&whole.wal, MAGIC, 256), Some(HEADER_DAMAGED)),
        ("a page length above 65,536", rewritten(&whole.wal, MAGIC, 131_072), Some(HEADER_DAMAGED)),
        ("a wrong first checksum", changed(|wal| wal[27] ^= 1), Some(HEADER_DAMAGED)),
        ("a wrong second checksum", changed(|wal| wal[31] ^= 1), Some(HEADER_DAMAGED)),
        ("not written yet", changed(|wal| wal[..HEADER_LEN].fill(0)), Some(NOTHING_IN_IT)),
        ("cut", changed(|wal| wal.truncate(HEADER_LEN - 1)), Some(NOTHING_IN_IT)),
    ];
    for (what, wal, why) in table {
        assert_eq!(found(&whole, wal).as_deref(), why, "a header, {what}");
    }
}

/// The last commit notes acknowledgements, which no fsync has covered; what is behind it is of an older WAL.
#[test]
fn a_frame_is_damaged_where_a_flushed_commit_of_the_same_wal_follows() {
    let whole = killed_log(12, 0);
    let last = (whole.wal.len() - HEADER_LEN) / FRAME_LEN;
    let frame_1 = Some("frame 1 of its WAL is damaged, and a flushed commit follows it");
    let frame_2 = Some("frame 2 of its WAL is damaged, and a flushed commit follows it");
    let big_endian = rewritten(&whole.wal, MAGIC | 1, 4096);
    let zeroed = |wal: &[u8], frame| {
        let mut wal = wal.to_vec();
        wal[page(frame)].fill(0);
        wal
    };
    let mut older = whole.wal[HEADER_LEN..].to_vec();
    for frame in older.chunks_mut(FRAME_LEN) {
        frame[8] ^= 1;
    }
    let cut = |wal: Vec<u8>| wal[..wal.len() - 1].to_vec();
    let table = [
        ("the first", zeroed(&whole.wal, 1), frame_1),
        ("the second", zeroed(&whole.wal, 2), frame_2),
        ("the first two", zeroed(&zeroed(&whole.wal, 1), 2), frame_1),
        ("the first, of a big-endian machine", zeroed(&big_endian, 1), frame_1),
        ("the last", zeroed(&whole.wal, last), None),
        ("the last, which is cut as well", cut(zeroed(&whole.wal, last)), None),
        ("none, before frames of an older WAL", [&whole.wal[..], &older].concat(), None),
        ("the last, before frames of an older WAL", [&zeroed(&whole.wal, last)[..], &older].concat(), None),
    ];
    for (what, wal, why) in table {
        assert_eq!(found(&whole, wal).as_deref(), why, "damaged: {what}");
    }
}
