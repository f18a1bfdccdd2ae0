//! Shares: every subset, every mistake.

use key_store::share::{MOST_SHARES, SetId};
use key_store::{KeyRole, PaperError, Share, ShareError, combine, split};
use proptest::prelude::*;

use crate::{counting, test_set};

fn three_of_five() -> Vec<Share> {
    split(&test_set(), 3, 5, &mut counting()).unwrap()
}

fn copy(share: &Share) -> Share {
    Share::from_paper(&share.to_paper()).unwrap()
}

fn some(shares: &[Share], indices: &[usize]) -> Vec<Share> {
    indices.iter().map(|&index| copy(&shares[index - 1])).collect()
}

/// A share whose sheet is right in itself and whose values are not those that were printed.
fn forged(share: &Share) -> Share {
    let mut random = counting();
    let mut name = [0; 4];
    random(&mut name);
    let mut named = false;
    // The same name of the set, other values.
    let mut other = |bytes: &mut [u8]| {
        random(bytes);
        if !std::mem::replace(&mut named, true) {
            bytes.copy_from_slice(&name);
        }
    };
    let other = split(&test_set(), 3, 5, &mut other).unwrap();
    let forged = copy(&other[usize::from(share.heading().index) - 1]);
    assert_eq!(forged.heading(), share.heading());
    assert_ne!(forged.fingerprint(), share.fingerprint());
    forged
}

#[test]
fn any_three_of_five_restore_the_keys_and_no_two() {
    let (set, shares) = (test_set(), three_of_five());
    for chosen in 0_u32..32 {
        let indices: Vec<usize> = (1..=5).filter(|index| chosen & (1 << (index - 1)) != 0).collect();
        let combined = combine(&some(&shares, &indices));
        if indices.len() >= 3 {
            assert!(combined.unwrap() == set, "{indices:?}");
        } else {
            assert!(matches!(combined, Err(ShareError::Missing { .. })), "{indices:?}");
        }
    }
}

#[test]
fn both_live_versions_are_shared_and_the_seed_is_not() {
    let mut set = test_set();
    set.roll(KeyRole::Token, &mut counting()).unwrap();
    let seeded = {
        let mut set = test_set();
        set.roll(KeyRole::Token, &mut counting()).unwrap();
        set.with_signing_seed(&[9; 32])
    };
    let shares = split(&seeded, 2, 2, &mut counting()).unwrap();
    assert!(combine(&shares).unwrap() == set);
}

#[test]
fn thresholds_that_protect_nothing_are_refused() {
    for (needed, total) in [(0, 0), (1, 3), (4, 3), (2, MOST_SHARES + 1)] {
        let refused = split(&test_set(), needed, total, &mut counting());
        assert_eq!(refused.unwrap_err(), ShareError::Threshold { needed, total });
    }
    assert_eq!(split(&test_set(), MOST_SHARES, MOST_SHARES, &mut counting()).unwrap().len(), 16);
}

#[test]
fn missing_shares_are_named() {
    let error = combine(&some(&three_of_five(), &[4, 1])).unwrap_err();
    assert_eq!(error, ShareError::Missing { needed: 3, present: vec![1, 4], absent: vec![2, 3, 5] });
    assert_eq!(error.to_string(), "3 shares restore the keys; here: 1, 4; 1 more needed, of: 2, 3, 5");
    assert_eq!(combine(&[]).unwrap_err().to_string(), "2 shares restore the keys; here: none; 2 more needed, of: none");
}

#[test]
fn a_share_of_another_ceremony_is_named_wherever_it_lies() {
    let mut random = counting();
    random(&mut [0; 3]);
    let other = split(&test_set(), 3, 5, &mut random).unwrap();
    for place in 0..3 {
        let mut shares = some(&three_of_five(), &[1, 2, 3]);
        shares[place] = copy(&other[4]);
        let error = combine(&shares).unwrap_err();
        assert!(matches!(error, ShareError::Foreign { index: 5, .. }), "{error}");
    }
}

#[test]
fn a_share_laid_down_twice_is_named() {
    assert_eq!(combine(&some(&three_of_five(), &[1, 2, 2])).unwrap_err(), ShareError::Twice(2));
}

#[test]
fn a_wrong_share_is_named_where_the_others_suffice() {
    let shares = three_of_five();
    let mut laid = some(&shares, &[1, 2, 3, 5]);
    laid[1] = forged(&shares[1]);
    assert_eq!(combine(&laid).unwrap_err(), ShareError::Wrong(2));
    laid.pop();
    assert_eq!(combine(&laid).unwrap_err(), ShareError::OneWrong(vec![1, 2, 3]));
}

/// Share 0 would be the keys themselves, and no sheet names it.
#[test]
fn no_share_shows_a_key() {
    let set = test_set();
    for share in three_of_five() {
        assert!((1..=5).contains(&share.heading().index));
        let shown = format!("{share:?} {}", *share.to_paper()).to_lowercase();
        for (role, version) in set.contents() {
            assert!(!shown.contains(&hex::encode(set.master(role, version).unwrap().expose_secret())));
        }
        assert!(!format!("{share:?}").contains("values"));
    }
}

#[test]
fn a_sheet_says_what_it_is() {
    let shares = three_of_five();
    let sheet = shares[1].to_paper();
    let SetId(_) = shares[1].heading().set;
    let title = format!(
        "CHAM KEY SHARE 2 of 5 · any 3 restore the keys · set {} · test · fingerprint {}",
        shares[1].heading().set,
        shares[1].fingerprint()
    );
    assert_eq!(sheet.lines().next(), Some(&*title));
    assert_eq!(sheet.lines().count(), 16, "a title and 15 lines of keys");
    assert!(sheet.len() < 2048, "it fits what was allocated for it");
    assert!(sheet.lines().all(|line| line.chars().count() <= 110));
}

#[test]
fn a_sheet_is_read_however_it_is_typed() {
    let share = &three_of_five()[0];
    let sheet = share.to_paper();
    for typed in [
        sheet.to_lowercase(),
        sheet.replace("  ", " ").replace(' ', "  ").replace("\n", "\r\n\r\n"),
        sheet.lines().skip(1).collect::<Vec<_>>().join("\n"),
        sheet
            .lines()
            .skip(1)
            .map(|line| format!("{}.{}\n", &line[..2], line[2..].replace('0', "o").replace('1', "l")))
            .collect(),
    ] {
        assert!(Share::from_paper(&typed).unwrap() == *share, "{typed}");
    }
}

/// Every single character of a sheet, replaced by every other of the alphabet: always an error, and it names the line.
#[test]
fn every_typing_mistake_is_named_by_its_line() {
    let sheet = three_of_five()[2].to_paper();
    let lines: Vec<&str> = sheet.lines().skip(1).collect();
    for (index, line) in lines.iter().enumerate() {
        for (at, right) in line.char_indices().skip(3).filter(|(_, c)| *c != ' ') {
            for wrong in "0123456789ABCDEFGHJKMNPQRSTVWXYZ".chars().filter(|&wrong| wrong != right) {
                let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
                changed[index].replace_range(at..=at, &wrong.to_string());
                let error = Share::from_paper(&changed.join("\n")).unwrap_err();
                assert_eq!(error, PaperError::Check(index + 1), "{at} {right} → {wrong}");
            }
        }
    }
}

#[test]
fn lines_left_out_exchanged_or_of_another_sheet_are_named() {
    let shares = three_of_five();
    let (one, two) = (shares[0].to_paper(), shares[1].to_paper());
    let lines = |sheet: &str| sheet.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let read = |lines: &[String]| Share::from_paper(&lines.join("\n")).unwrap_err();

    let mut left_out = lines(&one);
    left_out.remove(4);
    assert_eq!(read(&left_out), PaperError::Number(5));

    let mut cut = lines(&one);
    cut.pop();
    assert_eq!(read(&cut), PaperError::Number(15));

    let mut exchanged = lines(&one);
    let (six, seven) = (exchanged[5][2..].to_owned(), exchanged[6][2..].to_owned());
    exchanged[5].replace_range(2.., &seven);
    exchanged[6].replace_range(2.., &six);
    assert_eq!(read(&exchanged), PaperError::Check(6));

    let mut foreign = lines(&one);
    foreign[9] = lines(&two)[9].clone();
    assert_eq!(read(&foreign), PaperError::Check(10));

    let mut long = lines(&one);
    long[2].push('7');
    assert_eq!(read(&long), PaperError::Length { line: 3, expected: 20, found: 21 });

    let mut strange = lines(&one);
    strange[2].push('!');
    assert_eq!(read(&strange), PaperError::Character { line: 3, character: '!' });

    let mut more = lines(&one);
    more.push("16 0000".to_owned());
    assert_eq!(read(&more), PaperError::Excess(15));
    assert_eq!(Share::from_paper("").unwrap_err(), PaperError::Number(1));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn arbitrary_text_is_no_share_and_no_panic(text in "\\PC*|( {0,2}[0-9]{1,2} [0-9A-Za-z ]{0,30}\n){0,4}") {
        prop_assert!(Share::from_paper(&text).is_err());
    }
}
