//! What a charge is said to be.

use std::path::Path;

use proptest::prelude::*;
use transit::card::Profile;
use transit::fare::Language::{English, Vietnamese};
use transit::tariff::Tariff;
use transit::time::Moment;

use crate::fare_table::{at, card, ride, tariff, with_pass_of_line};

const RULES: &str = r#"
rounding_minor = 500
rounding = "half_up"
[transfer]
window_minutes = 60
most_transfers = 2
fare = "discount"
discount_minor = 3000
[caps]
day_minor = 20000
month_minor = 30000
[[discount]]
profile = "student"
percent_off = 50
[[time_band]]
from = "06:30"
until = "08:30"
percent_of_fare = 120
[[line]]
number = 1
name = "BRT 01"
flat_fare_minor = 8000
stop = []
"#;

#[test]
fn a_passenger_is_told_in_one_sentence() {
    let rules = tariff(RULES);
    let told = |profile, taps: &[&str]| {
        let mut view = card(profile);
        let accepts = taps.iter().map(|local| ride(&mut view, &rules, 1, at(local))).collect::<Vec<_>>();
        let path = accepts.last().unwrap().path;
        (
            path.sentence(&rules, Vietnamese).replace('\u{a0}', " "),
            path.sentence(&rules, English).replace('\u{a0}', " "),
        )
    };
    let table: [(Profile, &[&str], &str, &str); 7] = [
        (
            Profile::Ordinary,
            &["2026-11-24 10:00"],
            "Quý khách trả 8.000 ₫ cho lượt đi BRT 01.",
            "You paid 8.000 ₫ for a ride on BRT 01.",
        ),
        (
            Profile::Ordinary,
            &["2026-11-24 07:00"],
            "Quý khách trả 9.500 ₫ cho lượt đi BRT 01, theo giá của khung giờ này.",
            "You paid 9.500 ₫ for a ride on BRT 01, at the fare of this time of day.",
        ),
        (
            Profile::Student,
            &["2026-11-24 10:00"],
            "Quý khách trả 4.000 ₫ cho lượt đi BRT 01, đã giảm 50 % cho học sinh, sinh viên.",
            "You paid 4.000 ₫ for a ride on BRT 01, with 50 % off for pupils and students.",
        ),
        (
            Profile::Student,
            &["2026-11-24 07:00", "2026-11-24 07:30"],
            "Quý khách trả 2.000 ₫ cho lượt đi BRT 01, theo giá của khung giờ này, đã giảm 50 % cho học sinh, sinh viên, \
             đã trừ 3.000 ₫ vì chuyển tuyến.",
            "You paid 2.000 ₫ for a ride on BRT 01, at the fare of this time of day, with 50 % off for pupils and students, \
             3.000 ₫ less because it is a transfer.",
        ),
        (
            Profile::Ordinary,
            &["2026-11-24 10:00", "2026-11-24 12:00", "2026-11-24 14:00"],
            "Quý khách trả 4.000 ₫ cho lượt đi BRT 01, vì mỗi ngày quý khách trả nhiều nhất 20.000 ₫.",
            "You paid 4.000 ₫ for a ride on BRT 01, because you pay at most 20.000 ₫ a day.",
        ),
        (
            Profile::Ordinary,
            &[
                "2026-11-23 10:00",
                "2026-11-23 12:00",
                "2026-11-23 14:00",
                "2026-11-24 10:00",
                "2026-11-24 12:00",
                "2026-11-24 14:00",
            ],
            "Quý khách trả 0 ₫ cho lượt đi BRT 01, vì mỗi tháng quý khách trả nhiều nhất 30.000 ₫.",
            "You paid 0 ₫ for a ride on BRT 01, because you pay at most 30.000 ₫ a month.",
        ),
        (
            Profile::SixtyPlus,
            &["2026-11-24 10:00"],
            "Miễn phí cho người từ 60 tuổi.",
            "Free: no fare for people aged 60 and over.",
        ),
    ];
    for (profile, taps, vietnamese, english) in table {
        assert_eq!(told(profile, taps), (vietnamese.to_owned(), english.to_owned()));
    }
    let path = ride(&mut with_pass_of_line(card(Profile::Ordinary), 1), &rules, 1, at("2026-11-24 10:00")).path;
    assert_eq!(
        path.sentence(&rules, Vietnamese),
        "Miễn phí: vé tháng của quý khách có giá trị đến hết ngày 30/11/2026."
    );
    assert_eq!(path.sentence(&rules, English), "Free: your pass counts to the end of 30 November 2026.");
    assert_eq!(path.to_string(), "v7 line1 flat8000 pass-2026-11-30 =0");
}

#[test]
fn an_auditor_is_told_every_step() {
    let rules = tariff(RULES);
    let mut view = card(Profile::Student);
    for local in ["2026-11-24 04:00", "2026-11-24 05:10", "2026-11-24 06:30"] {
        ride(&mut view, &rules, 1, at(local));
    }
    let path = ride(&mut view, &rules, 1, at("2026-11-24 06:45:30")).path;
    let steps = |language| path.steps(&rules, language).join("\n").replace('\u{a0}', " ");
    assert_eq!(
        steps(English),
        "tariff version 7\n\
         line BRT 01, flat fare: 8.000 ₫\n\
         time band 06:30–08:30: 120 % of the fare\n\
         discount for pupils and students: 50 % off\n\
         8.000 ₫ × 120 % × 50 %, rounded to the nearest multiple of 500 ₫: 5.000 ₫\n\
         transfer 1, 15 min after the first boarding of a chain that paid 5.000 ₫: −3.000 ₫\n\
         day 24 November 2026: 13.000 ₫ paid before, at most 20.000 ₫: −0 ₫\n\
         month 2026-11: 13.000 ₫ paid before, at most 30.000 ₫: −0 ₫\n\
         charged: 2.000 ₫"
    );
    assert_eq!(
        steps(Vietnamese),
        "biểu giá số 7\n\
         tuyến BRT 01, giá đồng hạng: 8.000 ₫\n\
         khung giờ 06:30–08:30: 120 % giá vé\n\
         giảm 50 % cho học sinh, sinh viên\n\
         8.000 ₫ × 120 % × 50 %, làm tròn đến mức gần nhất, bội số của 500 ₫: 5.000 ₫\n\
         lần chuyển tuyến 1, 15 phút sau lượt đầu, chuỗi đã trả 5.000 ₫: −3.000 ₫\n\
         ngày 24/11/2026: đã trả 13.000 ₫, nhiều nhất 20.000 ₫: −0 ₫\n\
         tháng 2026-11: đã trả 13.000 ₫, nhiều nhất 30.000 ₫: −0 ₫\n\
         phải trả: 2.000 ₫"
    );
    assert_eq!(path.to_string(), "v7 line1 flat8000 time120% student-50% =5000 transfer1-3000 day-0 month-0 =2000");

    let hanoi = include_str!("../../../fixtures/hanoi/tariff.toml");
    let hanoi = Tariff::parse(Path::new("tariff.toml"), hanoi).unwrap();
    let path = ride(&mut card(Profile::Ordinary), &hanoi, 1, at("2026-11-24 10:00")).path;
    assert_eq!(path.steps(&hanoi, Vietnamese)[1], "tuyến BRT 01, giá theo cự ly tuyến 14.77 km: 8.000\u{a0}₫");
    assert_eq!(path.steps(&hanoi, English)[1], "line BRT 01, fare of a route of 14.77 km: 8.000\u{a0}₫");
    assert_eq!(path.to_string(), "v1 line1 length8000 =8000");
}

proptest! {
    /// What was taken off is what is missing: the amounts of a path add up to its charge, which is the tap's fare.
    #[test]
    fn a_path_adds_up(rides in proptest::collection::vec((60..40_000_u32, 0..3_usize), 1..30)) {
        let rules = tariff(RULES);
        let mut cards = [card(Profile::Ordinary), card(Profile::Student), card(Profile::SixtyPlus)];
        let mut now = at("2026-11-20 10:00");
        for (wait_s, which) in rides {
            now = Moment(now.0 + wait_s);
            let accept = ride(&mut cards[which], &rules, 1, now);
            let path = accept.path;
            let off_caps = path.caps.map_or(0, |caps| [caps.of_day, caps.of_month].into_iter().flatten().map(|cap| cap.off.minor()).sum());
            let off = path.transfer.map_or(0, |transfer| transfer.off.minor()) + off_caps;
            prop_assert_eq!(path.single_fare.minor() - off, accept.fare.minor());
            prop_assert_eq!(path.charge, accept.fare);
            prop_assert_eq!(path.basis(), accept.basis);
            let charged = rules.currency.display(accept.fare.minor()).to_string();
            for language in [Vietnamese, English] {
                prop_assert!(path.steps(&rules, language).last().unwrap().ends_with(&charged));
                prop_assert!(path.free.is_some() || path.sentence(&rules, language).contains(&charged));
            }
        }
    }
}
