//! Which version of a tariff is in force when.

use std::path::Path;

use transit::tariff::{Tariff, TariffPaths, Tariffs};
use transit::time::{Moment, ServiceDay};

/// A tariff of this version, with `lines` at the head of its file.
fn tariff(version: u32, lines: &str) -> String {
    format!(
        "version = {version}\n{lines}\ntime_zone = \"Asia/Ho_Chi_Minh\"\nservice_day_starts_at = \"04:00\"\n\
         pass_back_window_s = 300\nfree_profiles = []\ncurrency = {{ code = \"VND\", minor_digits = 0, sign = \"₫\" }}\n\
         [[line]]\nnumber = 1\nname = \"BRT 01\"\nflat_fare_minor = {version}000\n\
         stop = [{{ number = 1, name = \"Yên Nghĩa\", gtfs_stop_id = \"S1\" }}]\n"
    )
}

fn parse(files: &[(&str, String)]) -> Result<Tariffs, String> {
    let files = files.iter().map(|(path, text)| (Path::new(path), text.as_str()));
    Tariffs::parse(files).map_err(|error| error.to_string())
}

fn from(day: &str) -> String {
    format!("valid_from = \"{day}\"")
}

#[test]
fn each_day_has_its_version() {
    let files = [
        ("new.toml", tariff(3, &from("2026-12-01"))),
        ("old.toml", tariff(1, "valid_until = \"2026-10-31\"")),
        ("now.toml", tariff(2, &from("2026-11-01"))),
    ];
    let tariffs = parse(&files).unwrap();
    let table = [
        ("2000-01-01", 1),
        ("2026-10-31", 1),
        ("2026-11-01", 2),
        ("2026-11-30", 2),
        ("2026-12-01", 3),
        ("2179-06-06", 3),
    ];
    for (day, version) in table {
        assert_eq!(tariffs.on(day.parse().unwrap()).version, version, "{day}");
    }
    assert_eq!(tariffs.newest().version, 3);
    assert_eq!([1, 2, 3, 9].map(|version| tariffs.of_version(version).version), [1, 2, 3, 3]);
    assert_eq!(tariffs.highest_fare().minor(), 3_000);
}

/// 1 December begins at 04:00 in Hanoi, which is 21:00 of the day before in UTC.
#[test]
fn a_version_begins_with_its_service_day() {
    let tariffs = parse(&[("a", tariff(1, "")), ("b", tariff(2, &from("2026-12-01")))]).unwrap();
    let begin = u32::try_from("2026-11-30T21:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second()).unwrap();
    assert_eq!((tariffs.at(Moment(begin - 1)).version, tariffs.at(Moment(begin)).version), (1, 2));
}

/// A bus goes on by the prices that it has.
#[test]
fn outside_of_all_days_the_nearest_counts() {
    let lines = "valid_from = \"2026-11-01\"\nvalid_until = \"2026-11-30\"";
    let tariffs = parse(&[("a", tariff(1, lines)), ("b", tariff(2, &from("2026-12-01")))]).unwrap();
    assert_eq!(tariffs.on(ServiceDay(0)).version, 1);
    let one = parse(&[("a", tariff(1, lines))]).unwrap();
    assert_eq!(one.on("2027-01-01".parse().unwrap()).version, 1);
}

#[test]
fn versions_that_do_not_go_together_are_refused() {
    let euro = tariff(2, &from("2026-12-01")).replace("VND", "EUR");
    let table = [
        (vec![], "tariff: name at least one tariff file"),
        (vec![tariff(1, ""), tariff(1, &from("2026-12-01"))], "1.toml: version 1 is that of 0.toml too"),
        (vec![tariff(1, ""), tariff(2, "")], "1.toml: it begins with 0.toml: `valid_from` must be another day"),
        (vec![tariff(1, ""), euro], "1.toml: its currency, time zone or service day is not that of 0.toml"),
        (
            vec![tariff(1, "valid_until = \"2026-11-29\""), tariff(2, &from("2026-12-01"))],
            "1.toml: no tariff is in force between the last day of 0.toml and 2026-12-01",
        ),
        (
            vec![tariff(1, "valid_until = \"2026-12-01\""), tariff(2, &from("2026-12-01"))],
            "1.toml: from 2026-12-01 on 0.toml is in force too: `valid_until` there is too late",
        ),
        (
            vec![tariff(1, "valid_from = \"2026-12-02\"\nvalid_until = \"2026-12-01\"")],
            "0.toml: `valid_until` 2026-12-01 is before `valid_from` 2026-12-02",
        ),
        (
            vec![tariff(1, "valid_from = \"December\"")],
            "0.toml:2: `December` is no service day; write a date of 2000 or later as YYYY-MM-DD",
        ),
    ];
    for (texts, expected) in table {
        let names = ["0.toml", "1.toml"];
        let files: Vec<_> = names.into_iter().zip(texts).collect();
        assert_eq!(parse(&files).unwrap_err(), expected);
    }
}

#[test]
fn a_configuration_names_one_file_or_a_list() {
    #[derive(serde::Deserialize)]
    struct Config {
        tariff: TariffPaths,
    }
    let of = |text: &str| toml::from_str::<Config>(text).map(|config| config.tariff.0);
    assert_eq!(of("tariff = \"a.toml\"").unwrap(), [Path::new("a.toml")]);
    assert_eq!(of("tariff = [\"a.toml\", \"b.toml\"]").unwrap(), [Path::new("a.toml"), Path::new("b.toml")]);
    for wrong in ["tariff = 1", "tariff = [\"a.toml\", 2]"] {
        let refused = of(wrong).unwrap_err().to_string();
        assert!(refused.contains("`tariff` is a file's name or a list of them, not"), "{refused}");
    }
    let read = TariffPaths(vec!["a.toml".into()]).within(Path::new("/etc/cham")).read(|path| {
        assert_eq!(path, Path::new("/etc/cham/a.toml"));
        Ok(tariff(7, ""))
    });
    assert_eq!(read.unwrap(), Tariffs::from(Tariff::parse(Path::new("a.toml"), &tariff(7, "")).unwrap()));
}
