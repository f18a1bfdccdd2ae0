use std::path::Path;

use proptest::prelude::*;
use transit::tariff::Tariff;

const HANOI: &str = include_str!("../../../fixtures/hanoi/tariff.toml");

fn refusal(text: &str) -> String {
    Tariff::parse(Path::new("tariff.toml"), text).unwrap_err().to_string()
}

#[test]
fn the_tariff_of_hanoi_is_read() {
    let tariff = Tariff::parse(Path::new("tariff.toml"), HANOI).unwrap();
    let bands: Vec<_> = tariff.route_length_bands.iter().map(|band| band.fare.minor()).collect();
    assert_eq!(bands, [8_000, 10_000, 12_000, 15_000, 20_000]);
    let [line] = tariff.lines.as_slice() else { panic!("one line") };
    assert_eq!((line.name.as_str(), line.fare.minor(), line.stops.len()), ("BRT 01", 8000, 23));
    assert_eq!(line.stops[0].name, "Bến xe Yên Nghĩa");
    assert_eq!(line.stops[22].name, "Kim Mã");
}

#[test]
fn refusals_name_the_file_the_line_and_the_remedy() {
    let table = [
        (HANOI.replace("pass_back_window_s", "pass_back_window"), "tariff.toml:15: unknown field `pass_back_window`"),
        (HANOI.replace("version = 1", "version = \"one\""), "tariff.toml:11: invalid type: string \"one\""),
        (HANOI.replace("= 8000", "= -8000"), "an amount is 0 or more minor units, not -8000"),
        (HANOI.replace("Asia/Ho_Chi_Minh", "Asia/Hue"), "`Asia/Hue` is no IANA time zone, such as Asia/Ho_Chi_Minh"),
        (HANOI.replace("\"04:00\"", "\"four\""), "`four` is no local time, such as 04:00"),
        (HANOI.replace("number = 23", "number = 22"), "stop 22 of line 1 is 0 or there twice"),
        (HANOI.replace("= 8000", "= 20000000"), "the fare of line 1 is more than a card's record holds"),
        (
            HANOI.replace("length_km = \"14.77\"", ""),
            "line 1 has no fare: give it a `flat_fare_minor`, a `length_km` or a `journey_fare`",
        ),
        (
            HANOI.replace("length_km = ", "flat_fare_minor = 1\nlength_km = "),
            "line 1 has more than one of `flat_fare_minor`, `length_km` and `journey_fare`: one of them is its fare",
        ),
        (HANOI.replace("\"14.77\"", "14.77"), "tariff.toml:56: invalid type: floating point `14.77`"),
        (HANOI.replace("\"14.77\"", "\"-1\""), "`-1` is no length in kilometres, such as \"14.77\""),
        (
            HANOI.replace("fare_minor = 20000", "fare_minor = 20000\nbelow_km = \"12\""),
            "one below 12 km follows one below 40 km",
        ),
        (
            HANOI.replace("below_km = \"25\"\n", ""),
            "only the last [[route_length_band]] may be without `below_km`: it is for all longer routes",
        ),
        (
            HANOI.replace("fare_minor = 20000", "fare_minor = 20000\nbelow_km = \"50\"").replace("14.77", "50"),
            "line 1 is 50 km long, and no [[route_length_band]] is for that",
        ),
        (HANOI.replace("\"merit\"", "\"merits\""), "unknown variant `merits`"),
    ];
    for (text, expected) in table {
        let refusal = refusal(&text);
        assert!(refusal.contains(expected), "`{expected}` is not in `{refusal}`");
        assert!(refusal.starts_with("tariff.toml"), "{refusal}");
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
        let _ = Tariff::parse(Path::new("x"), &text);
    }
}
