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
    let [line] = tariff.lines.as_slice() else { panic!("one line") };
    assert_eq!((line.name.as_str(), line.flat_fare.minor(), line.stops.len()), ("BRT 01", 8000, 23));
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
