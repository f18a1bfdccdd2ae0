//! What passengers and auditors are told of tap-ins and tap-outs.

use transit::card::Profile;
use transit::fare::{ChargePath, Language};
use transit::money::Balance;

use crate::fare_table::{card, with_pass_of_line};
use crate::journey_prices::lagoon;
use crate::journeys::{at, tap};

/// Taps, and what is said of the last in two languages.
type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

/// The path of the last of these taps.
fn path(profile: Profile, purse: i64, taps: &[(&str, &str)]) -> ChargePath {
    let (mut view, lagoon) = (card(profile), lagoon());
    view.record.balance_after = Balance::from_minor(purse);
    let mut paths = taps.iter().map(|(local, spec)| {
        let at = at(&format!("2026-11-24 {local}"));
        tap(&mut view, &lagoon, spec, at).unwrap().path
    });
    let last = paths.by_ref().last();
    last.unwrap()
}

fn said(path: &ChargePath, language: Language) -> String {
    path.sentence(&lagoon(), language).replace('\u{a0}', " ")
}

#[test]
fn one_sentence_for_the_passenger() {
    let table: &[Row<'_>] = &[
        (
            &[("10:00", "in 1.1")],
            "Quý khách trả 1,20 € khi vào Port, phần còn lại khi ra.",
            "You paid 1,20 € to enter at Port, the rest follows when you tap out.",
        ),
        (
            &[("08:30", "in 1.1"), ("08:50", "out 1.4")],
            "Quý khách trả 0,60 € cho chuyến đi từ Port đến University, ngoài 1,45 € khi vào, theo giá của khung giờ này.",
            "You paid 0,60 € for the ride from Port to University, besides 1,45 € at the entry, at the fare of this time of day.",
        ),
        (
            &[("10:00", "ride 9.1"), ("10:10", "in 1.1"), ("10:30", "out 1.4")],
            "Quý khách trả 0,50 € cho chuyến đi từ Port đến University, ngoài 0,70 € khi vào, đã trừ 0,50 € vì chuyển tuyến.",
            "You paid 0,50 € for the ride from Port to University, besides 0,70 € at the entry, 0,50 € less because it is a transfer.",
        ),
        (
            &[("10:00", "in 1.1"), ("10:05", "out 1.1")],
            "Quý khách trả 0,00 €: đã ra tại Port ngay sau khi vào, ngoài 1,20 € khi vào, 1,20 € sẽ được trừ vào lần sau.",
            "You paid 0,00 €: you left Port soon after you came in, besides 1,20 € at the entry, 1,20 € comes off your next ride.",
        ),
        (
            &[("10:00", "in 1.1"), ("10:05", "out 1.1"), ("10:10", "ride 9.1")],
            "Quý khách trả 0,10 € cho lượt đi Tram 9, đã trừ 1,20 € quý khách trả thừa trước đây.",
            "You paid 0,10 € for a ride on Tram 9, 1,20 € less because you had paid that too much before.",
        ),
        (
            &[("10:00", "in 1.1"), ("13:00", "out 1.4")],
            "Quý khách trả 3,80 €, đến mức cao nhất, vì ra tại University quá lâu sau khi vào Port, ngoài 1,20 € khi vào.",
            "You paid 3,80 €, up to the maximum, because you left University too long after entering Port, besides 1,20 € at the entry.",
        ),
        (
            &[("10:00", "in 1.1"), ("13:00", "in 3.3")],
            "Quý khách trả 1,50 € khi vào Fort, phần còn lại khi ra; chuyến đi từ Port chưa chạm thẻ khi ra, còn nợ đến 3,80 €.",
            "You paid 1,50 € to enter at Fort, the rest follows when you tap out; the ride from Port was never tapped out, up to 3,80 € is owed for it.",
        ),
        (
            &[("10:00", "out 1.4")],
            "Quý khách trả 5,00 €, mức cao nhất, vì thẻ không chạm khi vào trước khi ra tại University.",
            "You paid 5,00 €, the maximum, because the card was not tapped in before it left University.",
        ),
        (
            &[("10:00", "out! 1.4")],
            "Quý khách trả 0,00 €: University đang có sự cố.",
            "You paid 0,00 €: there is an incident at University.",
        ),
        (
            &[("10:00", "in 1.1"), ("10:20", "out 1.4"), ("10:20:30", "out 1.4")],
            "Quý khách trả 0,00 €: thẻ vừa ra tại University.",
            "You paid 0,00 €: the card has just left University.",
        ),
    ];
    for (taps, vietnamese, english) in table {
        let path = path(Profile::Ordinary, 10_000, taps);
        let told = (said(&path, Language::Vietnamese), said(&path, Language::English));
        assert_eq!(told, ((*vietnamese).to_owned(), (*english).to_owned()));
    }
    let lacking = path(Profile::Ordinary, 130, &[("10:00", "in 1.1"), ("10:20", "out 1.4")]);
    assert_eq!(
        said(&lacking, Language::English),
        "You paid 0,10 € for the ride from Port to University, besides 1,20 € at the entry, 0,40 € is still owed."
    );
    let mut view = with_pass_of_line(card(Profile::Ordinary), 3);
    let path = tap(&mut view, &lagoon(), "in 3.1", at("2026-11-24 10:00")).unwrap().path;
    assert_eq!(said(&path, Language::English), "Free: your pass counts to the end of 30 November 2026.");
}

#[test]
fn every_step_for_an_auditor() {
    let steps = |taps: &[(&str, &str)], language| {
        path(Profile::Ordinary, 10_000, taps).steps(&lagoon(), language).join("\n").replace('\u{a0}', " ")
    };
    let ride = [("10:00", "in 1.1"), ("10:05", "out 1.1"), ("11:30", "in 1.1"), ("11:50", "out 1.4")];
    assert_eq!(
        steps(&ride, Language::English),
        "tariff version 5\n\
         in at Port (Metro M) at 11:30, out at University (Metro M), 6.4 km, metre by metre: 1,70 €\n\
         paid at the tap-in: −1,20 €\n\
         day 24 November 2026: 1,20 € paid before, at most 9,00 €: −0,00 €\n\
         charged: 0,50 €"
    );
    assert_eq!(
        steps(&ride, Language::Vietnamese),
        "biểu giá số 5\n\
         vào Port (Metro M) lúc 11:30, ra University (Metro M), 6.4 km, giá theo từng mét: 1,70 €\n\
         đã trả khi vào: −1,20 €\n\
         ngày 24/11/2026: đã trả 1,20 €, nhiều nhất 9,00 €: −0,00 €\n\
         phải trả: 0,50 €"
    );
    assert_eq!(
        steps(&[("10:00", "in 3.1"), ("14:00", "in 1.1")], Language::English),
        "tariff version 5\n\
         line Metro M, debited at the tap-in: 1,20 €\n\
         day 24 November 2026: 1,50 € paid before, at most 9,00 €: −0,00 €\n\
         unfinished journey, in at Port (Boat A) at 10:00, 1,50 € paid: up to 3,00 € owed\n\
         charged: 1,20 €"
    );
    // One line of the steps for each way to a price.
    let table: &[Row<'_>] = &[
        (&[("10:00", "in 2.1"), ("10:20", "out 2.4")], "15 km, by steps of distance", "15 km, giá theo bậc cự ly"),
        (&[("10:00", "in 3.1"), ("10:20", "out 4.4")], "3 zone(s)", "3 vùng"),
        (&[("10:00", "in 5.1"), ("10:20", "out 5.3")], "table of stops, 1 to 3", "bảng giá từ điểm 1 đến điểm 3"),
        (&[("10:00", "in 1.1"), ("10:10", "out 1.1")], "counts as no journey", "không tính là chuyến đi"),
        (&[("10:00", "in 1.1"), ("13:10", "out 1.2")], "too late: the maximum", "quá giờ: mức cao nhất"),
        (&[("10:00", "out 1.2")], "not tapped in, the maximum", "không có lần vào, mức cao nhất"),
        (&[("10:00", "out! 1.2")], "an incident: nothing", "có sự cố: miễn phí"),
    ];
    for (taps, english, vietnamese) in table {
        assert!(steps(taps, Language::English).contains(english), "{}", steps(taps, Language::English));
        assert!(steps(taps, Language::Vietnamese).contains(vietnamese), "{}", steps(taps, Language::Vietnamese));
    }
}

#[test]
fn a_word_for_each_rule() {
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[("10:00", "in 1.1")], "v5 line1 1- tap-in120 day-0 =120"),
        (&[("10:00", "in 1.1"), ("10:20", "out 1.4")], "v5 line1 1-4 distance170 paid-120 day-0 =50"),
        (&[("08:30", "in 3.1"), ("10:20", "out 4.4")], "v5 line3 1-4 zones350 time120% =420 paid-180 day-0 =240"),
        (&[("10:00", "in 5.1"), ("10:20", "out 5.2")], "v5 line5 1-2 stops300 paid-200 day-0 =100"),
        (&[("10:00", "in 1.1"), ("10:05", "out 1.1")], "v5 line1 1-1 same-stop0 paid-120 day-0 overpaid+120 =0"),
        (&[("10:00", "in 1.1"), ("10:05", "out 1.1"), ("10:10", "ride 9.1")], "v5 line9 flat130 day-0 credit-120 =10"),
        (&[("10:00", "in 1.1"), ("13:00", "out 1.2")], "v5 line1 1-2 late500 paid-120 day-0 =380"),
        (&[("10:00", "in 1.1"), ("13:00", "in 1.2")], "v5 line1 2- tap-in120 day-0 =120 owed380"),
        (&[("10:00", "out 1.2")], "v5 line1 -2 no-entry500 day-0 =500"),
        (&[("10:00", "out! 1.2")], "v5 line1 -2 incident0 day-0 =0"),
    ];
    for (taps, expected) in table {
        assert_eq!(path(Profile::Ordinary, 10_000, taps).to_string(), *expected);
    }
    let lacking = path(Profile::Ordinary, 130, &[("10:00", "in 1.1"), ("10:20", "out 1.4")]);
    assert_eq!(lacking.to_string(), "v5 line1 1-4 distance170 paid-120 day-0 lacking-40 =10");
}
