//! Damage in a write-ahead log that SQLite passes over in silence.
//!
//! SQLite reads a WAL up to the first frame whose checksum is wrong and takes the rest for what a lost power left
//! (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>, sections 4.1 to 4.3). What was written after the last
//! fsync may reach the disk in any order. But whatever is behind a flushed commit was written after its fsync: a frame up
//! to there that is not whole was damaged later.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

const HEADER_LEN: usize = 32;
const FRAME_HEADER_LEN: usize = 24;
const MAGIC: u32 = 0x377F_0682;

/// Why the WAL at `path` is damaged; `None` where it is whole, or ends as a dead process or a lost power leaves it. A
/// flushed commit writes `flush_page`; without one every commit is flushed.
pub(super) fn damage(path: &Path, flush_page: Option<u32>) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut wal = BufReader::with_capacity(1 << 16, file);
    let mut header = [0; HEADER_LEN];
    if !fill(&mut wal, &mut header)? || header == [0; HEADER_LEN] {
        return Ok(None);
    }
    let [magic, _, page_len, _, salt_1, salt_2, sum_1, sum_2] = words(&header);
    let big_endian = magic & 1 == 1;
    let sum = checksum((0, 0), &header[..24], big_endian);
    let page_len = page_len as usize;
    if magic & !1 != MAGIC
        || sum != (sum_1, sum_2)
        || !page_len.is_power_of_two()
        || !(512..=65_536).contains(&page_len)
    {
        return Ok(Some("the header of its WAL is damaged".to_owned()));
    }
    let (mut number, mut before) = (0_u32, sum);
    // The first frame that is not whole, and whether a flushed commit ended with it or behind it.
    let (mut damaged, mut flushed) = (None, false);
    let mut writes_flush_page = false;
    let mut frame = vec![0; FRAME_HEADER_LEN + page_len];
    while fill(&mut wal, &mut frame)? {
        number += 1;
        let (head, page) = frame.split_at(FRAME_HEADER_LEN);
        let [page_number, pages_at_commit, frame_salt_1, frame_salt_2, sum_1, sum_2] = words(head);
        let sum = checksum(checksum(before, &head[..8], big_endian), page, big_endian);
        let of_this_wal = (frame_salt_1, frame_salt_2) == (salt_1, salt_2);
        let whole = of_this_wal && sum == (sum_1, sum_2);
        match damaged {
            Some(damaged) if whole && flushed => {
                return Ok(Some(format!("frame {damaged} of its WAL is damaged, and a flushed commit follows it")));
            }
            None if !whole => damaged = Some(number),
            None | Some(_) => {}
        }
        writes_flush_page |= of_this_wal && flush_page.is_none_or(|page| page == page_number);
        if of_this_wal && pages_at_commit != 0 {
            flushed |= damaged.is_some() && writes_flush_page;
            writes_flush_page = false;
        }
        before = (sum_1, sum_2);
    }
    Ok(None)
}

/// Whether there was enough to fill `buffer`.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match source.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn words<const WORDS: usize>(bytes: &[u8]) -> [u32; WORDS] {
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}

fn checksum((mut first, mut second): (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let word = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    for [x, y] in bytes.as_chunks::<4>().0.as_chunks::<2>().0 {
        let (x, y) = (word(*x), word(*y));
        first = first.wrapping_add(x).wrapping_add(second);
        second = second.wrapping_add(y).wrapping_add(first);
    }
    (first, second)
}
