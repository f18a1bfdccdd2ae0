//! What a decision may not cost: it runs while a passenger stands at the door.

use std::hint::black_box;
use std::path::Path;

use transit::card::{ProductKind, Profile};
use transit::fare::{Boarding, CardView, Decision, Gate, decide};
use transit::id::{DeviceId, LineNumber, StopNumber, TapId};
use transit::tariff::Tariff;

use crate::fare_table::{at, card, ride, with_pass_of_line};
use crate::journey_prices::lagoon;
use crate::journeys::{self, boarding, tap};

/// No memory is asked for, whichever rules count. `figures` reads what this prints.
#[test]
fn deciding_allocates_nothing() {
    let read = |text| Tariff::parse(Path::new("tariff.toml"), text).unwrap();
    let hanoi = read(include_str!("../../../fixtures/hanoi/tariff.toml"));
    let every_rule = read(include_str!("../../../fixtures/every-rule/tariff.toml"));
    let mut transfer = card(Profile::Student);
    ride(&mut transfer, &every_rule, 2, at("2026-11-24 06:10"));
    let mut refused = card(Profile::Ordinary);
    refused.record.balance_after = transit::money::Balance::ZERO;
    let pass = with_pass_of_line(card(Profile::Ordinary), 1);
    assert!(pass.issuer.unwrap().products.iter().any(|product| product.kind == ProductKind::OneRoutePass));

    let cases: [(&str, &Tariff, CardView); 5] = [
        ("the fare of the line", &hanoi, card(Profile::Ordinary)),
        ("a pass", &hanoi, pass),
        ("a free profile", &hanoi, card(Profile::SixtyPlus)),
        ("every rule", &every_rule, transfer),
        ("too little in the purse", &hanoi, refused),
    ];
    for (what, tariff, view) in cases {
        let tap = TapId { device: DeviceId::new(101).unwrap(), epoch: 1, sequence: 1 };
        let boarding =
            Boarding { tap, line: LineNumber(1), stop: StopNumber(1), at: at("2026-11-24 06:30"), gate: Gate::ENTRY };
        let decided = decide(&view, tariff, &boarding);
        let is_accepted = matches!(decided, Decision::Accept(_));
        assert_eq!(is_accepted, what != "too little in the purse", "{what}: {decided:?}");
        if let Decision::Accept(accept) = decided {
            let is_transfer = accept.path.transfer.is_some() && accept.path.time_band.is_some();
            assert_eq!(is_transfer, what == "every rule", "{what}");
        }
        let cost = allocation_counter::measure(|| {
            black_box(decide(black_box(&view), black_box(tariff), black_box(&boarding)));
        });
        println!("{} allocations: {what}", cost.count_total);
        assert_eq!(cost.count_total, 0, "{what}");
    }

    let lagoon = lagoon();
    let mut open = card(Profile::Student);
    tap(&mut open, &lagoon, "ride 9.1", journeys::at("2026-11-24 08:30")).unwrap();
    tap(&mut open, &lagoon, "in 4.5", journeys::at("2026-11-24 08:35")).unwrap();
    for (what, spec) in [
        ("a tap-out by zones, every rule", "out 3.1"),
        ("a tap-in that finds a journey unfinished", "in 1.1"),
        ("a tap-out that was not tapped in", "out 5.3"),
        ("a boarding that finds a journey unfinished", "ride 9.2"),
    ] {
        let boarding = boarding(&open, spec, journeys::at("2026-11-24 09:10"));
        let cost = allocation_counter::measure(|| {
            black_box(decide(black_box(&open), black_box(&lagoon), black_box(&boarding)));
        });
        println!("{} allocations: {what}", cost.count_total);
        assert_eq!(cost.count_total, 0, "{what}");
    }
    let counts = allocation_counter::measure(|| drop(black_box(vec![0_u8; 100])));
    assert_eq!(counts.count_total, 1, "the counter counts");
}
