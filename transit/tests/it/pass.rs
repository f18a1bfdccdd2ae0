//! Month-end rules of passes, on Hanoi's tariff.

use std::path::Path;

use proptest::prelude::*;
use transit::card::{Issuer, Product, ProductKind, Profile};
use transit::id::LineNumber;
use transit::pass::{PassRefusal, on_sale, sell};
use transit::tariff::{Pass, Tariff};
use transit::time::{Moment, Month, ServiceDay};

const TARIFF: &str = include_str!("../../../fixtures/hanoi/tariff.toml");

fn tariff() -> Tariff {
    Tariff::parse(Path::new("tariff.toml"), TARIFF).unwrap()
}

fn pass(kind: ProductKind) -> Pass {
    tariff().pass(kind, LineNumber(1)).unwrap().clone()
}

fn day(text: &str) -> ServiceDay {
    text.parse().unwrap()
}

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

fn card(products: &[Product]) -> Issuer {
    let mut places = [Product::NONE; 5];
    places[..products.len()].copy_from_slice(products);
    Issuer { profile: Profile::Ordinary, profile_valid_until: ServiceDay(0), products: places }
}

fn of(kind: ProductKind, text: &str) -> Product {
    let (line, month) = (LineNumber(u16::from(kind == OneRoutePass)), month(text));
    Product { kind, line, valid_from: month.first_day(), valid_until: month.last_day() }
}

use ProductKind::{AllRoutePass, OneRoutePass};

/// Hanoi's prices of 1 November 2024.
#[test]
fn prices_are_those_of_the_profile_while_it_counts() {
    let today = day("2026-11-24");
    let table = [
        (OneRoutePass, Profile::Ordinary, "2000-01-01", Some(140_000)),
        (AllRoutePass, Profile::Ordinary, "2000-01-01", Some(280_000)),
        (OneRoutePass, Profile::Student, "2026-11-24", Some(70_000)),
        (AllRoutePass, Profile::IndustrialZoneWorker, "2027-01-01", Some(140_000)),
        (OneRoutePass, Profile::Student, "2026-11-23", Some(140_000)),
        (OneRoutePass, Profile::SixtyPlus, "2027-01-01", Some(140_000)),
    ];
    for (kind, profile, until, expected) in table {
        let issuer = Issuer { profile, profile_valid_until: day(until), ..card(&[]) };
        let sale = sell(&pass(kind), &issuer, month("2026-11"), today);
        assert_eq!(sale.ok().map(|sale| sale.price.minor()), expected, "{kind:?} {profile:?}");
    }
    let mut for_students = pass(OneRoutePass);
    for_students.prices.remove(&Profile::Ordinary);
    let refused = sell(&for_students, &card(&[]), month("2026-11"), today);
    assert_eq!(refused, Err(PassRefusal::NotForProfile(Profile::Ordinary)));
}

#[test]
fn month_ends() {
    let next_from = |from| Err(PassRefusal::NotOnSaleYet { month: month("2026-12"), from: day(from) });
    let days = |from, until| Ok((day(from), day(until)));
    let table = [
        ("2026-11-01", "2026-11", days("2026-11-01", "2026-11-30")),
        ("2026-11-30", "2026-11", days("2026-11-01", "2026-11-30")),
        ("2026-12-01", "2026-11", Err(PassRefusal::Over(month("2026-11")))),
        ("2026-11-19", "2026-12", next_from("2026-11-20")),
        ("2026-11-20", "2026-12", days("2026-12-01", "2026-12-31")),
        ("2026-10-31", "2026-12", next_from("2026-11-20")),
        ("2026-12-31", "2027-01", days("2027-01-01", "2027-01-31")),
        ("2027-01-31", "2027-02", days("2027-02-01", "2027-02-28")),
        ("2028-02-29", "2028-02", days("2028-02-01", "2028-02-29")),
    ];
    for (today, wanted, expected) in table {
        let sale = sell(&pass(OneRoutePass), &card(&[]), month(wanted), day(today));
        let found = sale.map(|sale| (sale.product.valid_from, sale.product.valid_until));
        assert_eq!(found, expected, "{wanted} on {today}");
    }
    assert_eq!(on_sale(&pass(OneRoutePass), day("2026-11-19")), [month("2026-11")]);
    assert_eq!(on_sale(&pass(OneRoutePass), day("2026-12-20")), [month("2026-12"), month("2027-01")]);
}

/// 1 December 2026, 02:00 and 04:00 in Hanoi: the service day is still 30 November, and then no more.
#[test]
fn the_month_ends_at_the_cut_of_the_service_day() {
    let calendar = tariff().calendar;
    let night = Moment(1_796_065_200);
    assert_eq!((calendar.local_time(night), calendar.service_day(night)), ("02:00".to_owned(), day("2026-11-30")));
    let november = |at| sell(&pass(OneRoutePass), &card(&[]), month("2026-11"), calendar.service_day(at)).map(|_| ());
    assert_eq!(november(night), Ok(()));
    assert_eq!(november(Moment(night.0 + 7_200)), Err(PassRefusal::Over(month("2026-11"))));
}

#[test]
fn a_pass_that_is_not_needed_is_refused() {
    let today = day("2026-11-24");
    let table = [
        (of(OneRoutePass, "2026-11"), OneRoutePass, "2026-11", false),
        (of(OneRoutePass, "2026-11"), OneRoutePass, "2026-12", true),
        (of(AllRoutePass, "2026-11"), OneRoutePass, "2026-11", false),
        (of(OneRoutePass, "2026-11"), AllRoutePass, "2026-11", true),
        (of(AllRoutePass, "2026-12"), AllRoutePass, "2026-12", false),
        (Product { line: LineNumber(6), ..of(OneRoutePass, "2026-11") }, OneRoutePass, "2026-11", true),
    ];
    for (there, kind, wanted, sold) in table {
        let sale = sell(&pass(kind), &card(&[there]), month(wanted), today);
        match sale {
            Ok(_) => assert!(sold, "{kind:?} {wanted} beside {there:?}"),
            Err(refusal) => assert_eq!((sold, refusal), (false, PassRefusal::Overlap(there))),
        }
    }
    let words = sell(&pass(OneRoutePass), &card(&[of(OneRoutePass, "2026-11")]), month("2026-11"), today).unwrap_err();
    assert_eq!(words.to_string(), "the card already has a pass for these rides from 2026-11-01 to 2026-11-30");
}

#[test]
fn a_renewal_takes_a_free_place_or_that_of_the_oldest_ended_one() {
    let today = day("2026-11-24");
    let past = ["2026-08", "2026-06", "2026-07", "2026-09", "2026-10"].map(|month| of(OneRoutePass, month));
    let place = |products: &[Product]| {
        sell(&pass(OneRoutePass), &card(products), month("2026-11"), today).map(|sale| sale.place)
    };
    assert_eq!(place(&past[..4]), Ok(4), "the free one");
    assert_eq!(place(&past), Ok(1), "June ended longest ago");
    let running = [1, 2, 3, 4, 5].map(|line| Product { line: LineNumber(line + 10), ..of(OneRoutePass, "2026-11") });
    assert_eq!(place(&running), Err(PassRefusal::NoRoom));
    let on_the_last_day = sell(&pass(OneRoutePass), &card(&running), month("2026-12"), day("2026-11-30"));
    assert_eq!(on_the_last_day, Err(PassRefusal::NoRoom), "a pass counts to the end of its last day");
}

proptest! {
    /// Whatever is on the card: a sale changes one place, and no pass that still counts or will.
    #[test]
    fn a_running_pass_is_never_shortened(
        products in proptest::collection::vec((0..3_u8, 0..3_u16, 9_700..9_900_u16, 0..60_u16), 5),
        today in 9_750..9_850_u16,
        next in any::<bool>(),
    ) {
        let products: Vec<_> = products.into_iter().map(|(kind, line, from, days)| Product {
            kind: [ProductKind::None, OneRoutePass, AllRoutePass][usize::from(kind)],
            line: LineNumber(line),
            valid_from: ServiceDay(from),
            valid_until: ServiceDay(from + days),
        }).collect();
        let before = card(&products);
        let today = ServiceDay(today);
        let this = Month::of(today);
        if let Ok(sale) = sell(&pass(OneRoutePass), &before, if next { this.next() } else { this }, today) {
            for (place, product) in before.products.iter().enumerate() {
                let kept = sale.issuer.products[place] == *product;
                prop_assert!(kept || place == sale.place);
                prop_assert!(kept || product.kind == ProductKind::None || product.valid_until < today);
            }
            prop_assert_eq!(sale.issuer.products[sale.place], sale.product);
        }
    }
}

fn refused(change: impl FnOnce(String) -> String) -> String {
    Tariff::parse(Path::new("tariff.toml"), &change(TARIFF.to_owned())).unwrap_err().to_string()
}

#[test]
fn a_pass_that_cannot_be_is_refused_with_what_would_be_right() {
    let table = [
        ("line = 1\nnext", "line = 2\nnext", "tariff.toml: a pass is for line 2, which has no [[line]] entry"),
        ("line = 1\nnext", "next", "a one_route_pass needs its `line`"),
        ("\"all_route_pass\"", "\"all_route_pass\"\nline = 1", "an all_route_pass has no `line`"),
        ("\"all_route_pass\"", "\"none\"", "a pass is a one_route_pass or an all_route_pass"),
        ("\"all_route_pass\"", "\"one_route_pass\"\nline = 1", "is there twice"),
        ("ordinary = 140000", "ordinary = 0", "a pass costs 1 to 16777215 minor units"),
        ("next_month_from_day = 20", "next_month_from_day = 29", "`next_month_from_day` is 1 to 28, not 29"),
        ("ordinary = 140000", "nobody = 140000", "unknown variant `nobody`"),
    ];
    for (old, new, expected) in table {
        let error = refused(|text| text.replacen(old, new, 1));
        assert!(error.contains(expected), "`{error}` does not say `{expected}`");
    }
}

#[test]
fn months_are_written_one_way() {
    assert_eq!(month("2026-12").to_string(), "2026-12");
    for text in ["2026-13", "2026-00", "1999-12", "2026-1", "26-01", "2026", "2026-01-01", "2179-01"] {
        assert!(text.parse::<Month>().is_err(), "{text}");
    }
    assert_eq!(month("2027-01").previous(), month("2026-12"));
}
