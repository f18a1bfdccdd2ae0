//! The three boards in the status.

use crate::support::{Card, City, DAY_S, Validator, later};

#[test]
fn the_status_counts_all_three() {
    let mut city =
        City::with_settings("unknown_deadline_days = 10\nsilence = { weeks = 1, one_in = 2, shortest_minutes = 60 }");
    let (mut validator, card) = (Validator::new(1, 1), Card::new(1, 0));
    let days = [1, 8, 8, 14].map(|day| validator.declined(&card, later(DAY_S * day)));
    city.upload_at(&days, later(15 * DAY_S));
    let (mut other, mut rider) = (Validator::new(3, 2), Card::new(2, 90_000));
    let rides: Vec<_> = (0..4).map(|number| other.done(&mut rider, later(600 * number))).collect();
    let torn = other.unknown(&mut rider, later(3_000), true);
    city.upload_at(&[rides[0].clone(), rides[3].clone(), torn], later(6 * DAY_S));

    let before = city.clearing_house.status_at(later(16 * DAY_S - 1)).unwrap();
    assert_eq!((before.boards.unresolved.taps, before.status.pending.taps), (0, 1));
    let after = city.clearing_house.status_at(later(16 * DAY_S)).unwrap();
    let text = after.to_string().replace('\u{a0}', " ");
    let expected = "\
Unresolved suspense   1 with 8.000 ₫
Missing in logs       2 in 1 gap(s), 16.000 ₫ likely, 16.000 ₫ at most
Missing on cards      2 in 1 gap(s), 16.000 ₫ likely, 16.000 ₫ at most
Silent validators     1  (device 1)
";
    assert!(text.ends_with(expected), "{text}");
    let json = serde_json::to_value(&after).unwrap();
    assert_eq!((&json["taps"], &json["boards"]["silent"][0]), (&7.into(), &1.into()));
    assert_eq!(json["boards"]["unresolved"]["amount_minor"], 8_000);

    let nothing = City::new().clearing_house.status_at(later(0)).unwrap().to_string();
    assert!(nothing.ends_with("Silent validators     0\n"), "{nothing}");
}
