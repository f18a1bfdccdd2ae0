//! Why a tap charged what it did.

use std::path::Path;

use clearing_house::explain::{ExplainError, explain};
use clearing_house::journey::decide_again;
use proptest::prelude::*;
use transit::card::{Profile, Record};
use transit::fare::{Boarding, CardView, Decision, Gate, GateKind, Refusal, decide};
use transit::id::{LineNumber, StopNumber};
use transit::money::Amount;
use transit::tap::{CHAIN_START, Outcome, Reason, Tap};
use transit::tariff::Tariff;
use transit::time::Moment;

use crate::support::{Card, City, MORNING, Validator, later, tariff};

fn plain(text: &str) -> String {
    text.replace('\u{a0}', " ")
}

#[test]
fn a_booked_tap_says_why_it_charged_what_it_did() {
    let mut city = City::new();
    let tap = Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING);
    city.upload(&[tap]);
    let explanation = city.clearing_house.explain("1-1-1".parse().unwrap()).unwrap();
    assert_eq!((explanation.outcome, explanation.fare_minor.minor()), ("done", 8_000));
    assert_eq!(plain(&explanation.english.sentence), "You paid 8.000 ₫ for a ride on BRT 01.");
    assert_eq!(explanation.code.as_deref(), Some("v1 line1 flat8000 =8000"));
    assert_eq!(explanation.findings, [""; 0]);
    let card = explanation.card;
    assert_eq!(
        plain(&explanation.to_string()),
        format!(
            "Tap 1-1-1, done: service day 2026-11-23, 08:00, line 1, stop 1\n\
             Card {card}, fare 8.000 ₫, debited 8.000 ₫\n\
             \n\
             Quý khách trả 8.000 ₫ cho lượt đi BRT 01.\n\
             \x20 biểu giá số 1\n\
             \x20 tuyến BRT 01, giá đồng hạng: 8.000 ₫\n\
             \x20 phải trả: 8.000 ₫\n\
             \n\
             You paid 8.000 ₫ for a ride on BRT 01.\n\
             \x20 tariff version 1\n\
             \x20 line BRT 01, flat fare: 8.000 ₫\n\
             \x20 charged: 8.000 ₫\n\
             \n\
             v1 line1 flat8000 =8000\n"
        )
    );
    let missing = city.clearing_house.explain("1-1-2".parse().unwrap()).unwrap_err();
    assert!(matches!(missing, ExplainError::NotInTheBooks(_)));
    assert_eq!(missing.to_string(), "tap 1-1-2 is not in the books; `gaps` lists what logs lack");
}

/// Every outcome has a sentence that names no charge that was not made.
#[test]
fn every_outcome_has_its_sentence() {
    let card = Card::new(1, 50_000);
    let (done, _) = Validator::new(1, 1).intend(&card, MORNING);
    let of = |outcome: Outcome| Tap { outcome, ..done.clone() };
    let dear = Amount::from(9_000);
    let table = [
        (of(Outcome::Done), "You paid 8.000 ₫ for a ride on BRT 01."),
        (
            Tap { fare: dear, debited: Some(dear), ..of(Outcome::Done) },
            "The validator charged 9.000 ₫; by the tariff it is 8.000 ₫.",
        ),
        (
            Tap { tariff_version: 2, ..of(Outcome::Done) },
            "The validator charged 8.000 ₫; the tariff at hand does not explain it.",
        ),
        (of(Outcome::Unknown), "It is not known yet whether the card paid 8.000 ₫; its next tap or top-up tells."),
        (of(Outcome::Void), "Nothing was charged: the card left before it could be."),
        (
            of(Outcome::Declined(Reason::NotEnough)),
            "Nothing was charged: the card held less than the 8.000 ₫ of the ride.",
        ),
        (of(Outcome::Declined(Reason::Denied)), "Nothing was charged: the card is blocked."),
        (of(Outcome::Declined(Reason::NotGenuine)), "Nothing was charged: the card could not prove itself."),
        (of(Outcome::Declined(Reason::NotOurs)), "Nothing was charged: the card is of another system."),
        (of(Outcome::Declined(Reason::CardUnusable)), "Nothing was charged: what the card holds cannot be used."),
        (of(Outcome::Declined(Reason::TooManyTorn)), "Nothing was charged: the card was taken away too many times."),
        (of(Outcome::Declined(Reason::AlreadyPaid)), "Nothing was charged: it had just been paid at this validator."),
        (of(Outcome::Declined(Reason::UseSameGate)), "Nothing was charged: it had just been paid at this stop."),
        (
            of(Outcome::Confirmed { names: done.id, admitted: true }),
            "This tap charged nothing: it found that tap 1-1-1 had paid 8.000 ₫.",
        ),
        (of(Outcome::Voided { names: done.id }), "This tap charged nothing: it found that tap 1-1-1 had not paid."),
        (of(Outcome::Evidence), "Nothing was charged: these are older records of the card, kept as evidence."),
    ];
    for (tap, expected) in table {
        let explanation = explain(&tap, &tariff());
        assert_eq!(plain(&explanation.english.sentence), expected);
        let vietnamese = &explanation.vietnamese.sentence;
        assert!(
            vietnamese.ends_with('.') && ["thu", "trả"].iter().any(|word| vietnamese.contains(word)),
            "{vietnamese}"
        );
        let debited = if tap.outcome == Outcome::Done { tap.fare } else { Amount::ZERO };
        assert_eq!(explanation.debited_minor, debited, "{expected}");
    }
}

/// Where the purse held too little, the steps are those of a full one.
#[test]
fn a_declined_ride_has_its_steps() {
    let card = Card::new(1, 3_000);
    let declined = Validator::new(1, 1).declined(&card, MORNING).open().unwrap();
    let explanation = explain(&declined, &tariff());
    assert_eq!(explanation.code.as_deref(), Some("v1 line1 flat8000 =8000"));
    assert_eq!(explanation.findings, [""; 0]);
}

proptest! {
    /// Every ride of every card under every rule decides to itself again, and its record with it.
    #[test]
    fn every_decision_decides_to_itself_again(
        profile in 0..3_usize,
        rides in proptest::collection::vec((30..90_000_u32, 0..4_usize, 1..5_u32), 1..40),
    ) {
        let text = include_str!("../../../fixtures/every-rule/tariff.toml");
        let rules = Tariff::parse(Path::new("tariff.toml"), text).unwrap();
        let profile = [Profile::Ordinary, Profile::Student, Profile::UnderSix][profile];
        let mut card = Card::new(1, 500_000);
        card.record.profile = profile;
        card.record.has_profile = true;
        card.issuer = Some(transit::card::Issuer {
            profile,
            profile_valid_until: "2026-12-01".parse().unwrap(),
            products: [transit::card::Product::NONE; 5],
        });
        let mut now = later(0);
        for (wait_s, line, device) in rides {
            now = Moment(now.0 + wait_s);
            let line = LineNumber([1, 2, 3, 9][line]);
            let blank = Validator::new(device, 1).blank(&card, now);
            let view = CardView { record: card.record, issuer: card.issuer, denied: false };
            let boarding = Boarding { tap: blank.id, line, stop: StopNumber(1), at: now, gate: Gate::ENTRY };
            let Decision::Accept(accept) = decide(&view, &rules, &boarding) else { continue };
            let written = accept.record.encode().unwrap();
            let tap = Tap {
                outcome: Outcome::Done,
                line,
                tariff_version: rules.version,
                fare: accept.fare,
                debited: (accept.fare > Amount::ZERO).then_some(accept.fare),
                record_written: Some(written),
                ..blank
            };
            prop_assert_eq!(decide_again(&tap, &rules).findings, []);
            prop_assert_eq!(explain(&tap, &rules).code, Some(accept.path.to_string()));
            card.record = Record::decode(&written).unwrap();
        }
    }

    /// So does every tap-in and tap-out, at whatever gate, of whatever card, with whatever in its purse.
    #[test]
    fn every_journey_decides_to_itself_again(
        balance in prop_oneof![Just(20_000), 0..600_i64],
        denied in any::<bool>(),
        taps in proptest::collection::vec((30..9_000_u32, 0..5_usize, 1..4_u16, 1..5_u32, 0..6_usize), 1..40),
    ) {
        let text = include_str!("../../../fixtures/lagoon/tariff.toml");
        let rules = Tariff::parse(Path::new("tariff.toml"), text).unwrap();
        let mut card = Card::new(1, balance);
        let mut now = later(0);
        for (wait_s, line, stop, device, gate) in taps {
            now = Moment(now.0 + wait_s);
            let (line, stop) = (LineNumber([1, 2, 3, 5, 9][line]), StopNumber(stop));
            let kind = [GateKind::Entry, GateKind::Exit, GateKind::Both][gate % 3];
            let gate = Gate { kind, incident: gate > 2 };
            let blank = Validator::new(device, 1).blank(&card, now);
            let view = CardView { record: card.record, issuer: None, denied };
            let decision = decide(&view, &rules, &Boarding { tap: blank.id, line, stop, at: now, gate });
            let (outcome, fare, written) = match decision {
                Decision::Accept(accept) => (Outcome::Done, accept.fare, Some(accept.record)),
                Decision::Refuse(Refusal::NotEnough { fare, .. }) => (Outcome::Declined(Reason::NotEnough), fare, None),
                Decision::Refuse(_) => continue,
            };
            let tap = Tap {
                outcome,
                line,
                stop,
                gate,
                tariff_version: rules.version,
                fare,
                debited: written.filter(|_| fare > Amount::ZERO).map(|_| fare),
                record_written: written.map(|record| record.encode().unwrap()),
                ..blank
            };
            let opened = tap.seal(&CHAIN_START).unwrap().open().unwrap();
            prop_assert_eq!(decide_again(&opened, &rules).findings, []);
            let explanation = explain(&opened, &rules);
            let of_charge = rules.currency.display(fare.minor()).to_string();
            for words in [&explanation.vietnamese, &explanation.english] {
                prop_assert!(words.sentence.contains(&of_charge), "{}", words.sentence);
                prop_assert!(words.steps.last().is_some_and(|step| step.ends_with(&of_charge)), "{:?}", words.steps);
            }
            card.record = written.unwrap_or(card.record);
        }
    }
}
