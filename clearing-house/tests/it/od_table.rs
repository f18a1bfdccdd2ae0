//! Tables of origins and destinations in, tariffs and what they do not have out.

use std::fs;
use std::path::Path;

use clearing_house::od_table::{OdError, OdImport, OdOptions};
use proptest::prelude::*;
use tempfile::NamedTempFile;
use transit::card::Profile;
use transit::id::{LineNumber, StopNumber};
use transit::tariff::Tariff;

/// The table, for the island railway of `fixtures/lagoon`: three stations, and students who pay half.
fn import(table: &[u8], name: &str) -> Result<OdImport, OdError> {
    let file = written(table);
    let options = OdOptions {
        tariff: Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/lagoon/tariff.toml"),
        lines: vec![LineNumber(5)],
        name: name.to_owned(),
        profiles: vec![("pupil".to_owned(), Profile::Student)],
    };
    OdImport::of(file.path(), &options)
}

fn written(table: &[u8]) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), table).unwrap();
    file
}

fn tariff(import: &OdImport) -> Tariff {
    Tariff::parse(Path::new("tariff.toml"), &import.tariff).unwrap()
}

fn price(tariff: &Tariff, from: u16, to: u16) -> Option<i64> {
    let at = |stop| (LineNumber(5), StopNumber(stop));
    tariff.journey_price(at(from), at(to)).map(|price| price.fare.minor())
}

const WHOLE: &str = "origin,destination,amount\nR1,R2,3.00\nR1,R3,6\nR2,R3,4.5\n";

#[test]
fn a_triangle_of_prices_counts_both_ways() {
    let import = import(WHOLE.as_bytes(), "railway").unwrap();
    assert!(import.is_whole() && import.pairs == 3, "{import}");
    let tariff = tariff(&import);
    assert_eq!([price(&tariff, 1, 2), price(&tariff, 3, 1), price(&tariff, 3, 2)], [Some(300), Some(600), Some(450)]);
    // Its own rules stay, and so do comments.
    assert_eq!((tariff.version, tariff.journey_fares[3].maximum.minor()), (6, 800));
    assert!(import.tariff.starts_with("# A city that does not exist"));
}

#[test]
fn a_new_name_is_a_new_journey_fare() {
    let import = import(WHOLE.as_bytes(), "rack railway").unwrap();
    let tariff = tariff(&import);
    let fare = tariff.journey_fare(tariff.line(LineNumber(5)).unwrap()).unwrap();
    assert_eq!((&*fare.name, fare.tap_in.minor(), fare.maximum.minor()), ("rack railway", 300, 600));
}

/// What is listed about a table, as `line field`; the first of each pair is money.
#[test]
fn what_is_listed() {
    type Row<'a> = (&'a str, &'a str, &'a [&'a str], &'a [&'a str]);
    let table: [Row<'_>; 12] = [
        ("stops by name and by number", "origin,destination,amount\nValley,2,3\n1,Summit,6\nChapel,3,4\n", &[], &[]),
        (
            "half for students",
            "origin,destination,class,amount\nR1,R2,ordinary,3\nR1,R3,ordinary,6\nR2,R3,ordinary,4\nR1,R2,pupil,1.50\n",
            &[],
            &[],
        ),
        (
            "a column for each class",
            "origin,destination,ordinary,student,under_six\nR1,R2,3,1.5,0\nR1,R3,6,3,0\nR2,R3,4,2,0\n",
            &[],
            &[],
        ),
        ("not half", "origin,destination,ordinary,student\nR1,R2,3,1.5\nR1,R3,6,2\nR2,R3,4,2\n", &["3 student"], &[]),
        (
            "a class that nobody knows",
            "origin,destination,ordinary,soldier\nR1,R2,3,1.5\nR1,R3,6,2\nR2,R3,4,2\n",
            &["2 class"],
            &[],
        ),
        ("a hole", "origin,destination,amount\nR1,R2,3\nR2,R3,4\n", &["-"], &[]),
        ("twice", "origin,destination,amount\nR1,R2,3\nR1,R3,6\nR2,R3,4\nR1,R2,3\n", &[], &["5 origin"]),
        ("twice and not alike", "origin,destination,amount\nR1,R2,3\nR1,R3,6\nR2,R3,4\nR1,R2,5\n", &["5 amount"], &[]),
        (
            "other ways back",
            "origin,destination,amount\nR1,R2,3\nR1,R3,6\nR2,R3,4\nR3,R2,2\n",
            &[],
            &["4 amount", "2 destination", "3 destination"],
        ),
        ("an unknown stop", "origin,destination,amount\nR1,R2,3\nR1,R3,6\nR2,R3,4\nR1,R9,4\n", &["5 destination"], &[]),
        (
            "no amount",
            "origin,destination,amount\nR1,R2,3\nR1,R3,6\nR2,R3,4\nR3,R2,-1\nR3,R1,0.001\n",
            &["5 amount", "6 amount"],
            &[],
        ),
        (
            "short rows and a byte order mark",
            "\u{feff}Origin, Destination ,amount\nR1,R2,3\nR1,R3,6\nR2,R3,4\nR1\n",
            &["5 destination"],
            &[],
        ),
    ];
    for (what, text, money, noticed) in table {
        let import = import(text.as_bytes(), "railway").unwrap();
        let places = |remarks: &[clearing_house::gtfs::Remark]| -> Vec<String> {
            let line = |line: Option<u64>| line.map_or_else(|| "-".to_owned(), |line| line.to_string());
            remarks
                .iter()
                .map(|remark| [line(remark.line), remark.field.clone().unwrap_or_default()].join(" ").trim().to_owned())
                .collect()
        };
        let mut found = places(&import.noticed);
        found.sort();
        let mut noticed = noticed.to_vec();
        noticed.sort_unstable();
        assert_eq!(
            (places(&import.not_expressed), found),
            (
                money.iter().map(|place| (*place).to_owned()).collect(),
                noticed.iter().map(|place| (*place).to_owned()).collect()
            ),
            "{what}: {import}"
        );
        assert_eq!(price(&tariff(&import), 1, 2), Some(300), "{what}");
    }
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let error = |table: &str| import(table.as_bytes(), "railway").unwrap_err().to_string();
    assert!(error("").contains("the first line names the columns"));
    assert!(error("from,to,amount\n").contains("`origin`, `destination`"));
    assert!(error("origin,destination\n").contains("`ordinary`"));
}

proptest! {
    #[test]
    fn a_table_may_hold_anything(bytes in prop::collection::vec(any::<u8>(), 0..200), has_header: bool) {
        let header: &[u8] = if has_header { b"origin,destination,amount,class\n" } else { b"" };
        if let Ok(import) = import(&[header, &bytes].concat(), "railway") {
            let parsed = Tariff::parse(Path::new("tariff.toml"), &import.tariff);
            prop_assert_eq!(parsed.is_err(), import.refused.is_some());
        }
    }
}
