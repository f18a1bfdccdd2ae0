//! A blank card becomes one of ours, whatever its generation and wherever it is torn away.

use counter::desk::Serving;
use counter::personalise::Person;
use counter::refusal::{DeskError, Refusal};
use counter::report::Report;
use counter::session::CardError;
use transit::card::Profile;
use transit::money::Amount;
use virtual_card::Fault;

use crate::world::{NOW, Pocket, STAFF, Shop};

const ORDINARY: Person = Person { profile: Profile::Ordinary, profile_valid_until: None, holder: None };
const BLANKS: [(&str, &str); 3] = [("blank-ev1", "EV1"), ("blank-ev2", "EV2"), ("blank-ev3", "EV3")];

fn issue(shop: &mut Shop, pocket: &mut Pocket, fault: Option<Fault>) -> (Result<Report, DeskError>, u32) {
    let uid = pocket.uid();
    let serving = Serving { staff: STAFF, at: NOW };
    pocket.present(fault, |field| shop.desk.issue(field, &uid, ORDINARY, serving, &mut crate::world::fresh))
}

#[test]
fn a_blank_card_of_every_generation_becomes_ours() {
    for (name, chip) in BLANKS {
        let (mut shop, mut pocket) = (Shop::new(), Pocket::new(name));
        let (report, exchanges) = issue(&mut shop, &mut pocket, None);
        let Report::Issued(issued) = report.unwrap() else { panic!("{name}") };
        assert_eq!((issued.chip, issued.profile), (chip, Profile::Ordinary));
        assert_eq!((pocket.purse(), pocket.card().records(crate::world::AID, 3).unwrap().len()), (0, 1));
        assert_eq!(shop.step_names(), ["issue paid", "issue written"]);
        println!("issue_exchanges {name} {exchanges}");
        assert!(exchanges <= 63, "{name}: {exchanges}");
    }
}

#[test]
fn torn_at_every_exchange_and_laid_down_again_it_is_finished() {
    let mut tears = 0;
    for (name, _) in BLANKS {
        let exchanges = issue(&mut Shop::new(), &mut Pocket::new(name), None).1;
        for exchange in 1..=exchanges {
            for fault in [Fault::LoseBefore(exchange), Fault::LoseAfter(exchange)] {
                let (mut shop, mut pocket) = (Shop::new(), Pocket::new(name));
                let torn = issue(&mut shop, &mut pocket, Some(fault)).0.unwrap_err();
                let is_said = match &torn {
                    DeskError::Card(error) => error.is_lost(),
                    DeskError::NotWritten { source, .. } => source.is_lost(),
                    DeskError::Unknown { .. } => true,
                    DeskError::Refused(_) | DeskError::Journal(_) => false,
                };
                assert!(is_said, "{name} {fault:?}: {torn}");
                tears += 1;

                let report = issue(&mut shop, &mut pocket, None).0;
                let report = report.unwrap_or_else(|error| panic!("{name} {fault:?}: {error}"));
                assert!(matches!(report, Report::Issued(_)), "{name} {fault:?}");
                let records = pocket.card().records(crate::world::AID, 3).unwrap();
                assert_eq!((pocket.purse(), records.len()), (0, 1), "{name} {fault:?}");
                let ends = |name: &&String| matches!(name.as_str(), "issue written" | "issue confirmed");
                assert_eq!(shop.step_names().iter().filter(ends).count(), 1, "{name} {fault:?}");
                let elsewhere = issue(&mut Shop::new(), &mut pocket, None).0.unwrap_err();
                assert!(matches!(elsewhere, DeskError::Refused(Refusal::NotBlank(_))), "{name} {fault:?}: {elsewhere}");
            }
        }
    }
    println!("issue: {tears} tears");
}

/// Whoever loads a card whose issue looked torn, and issues it again, must not lose what is on it.
#[test]
fn a_card_that_was_issued_after_all_and_loaded_since_is_not_made_anew() {
    let mut came_through = 0;
    for (name, _) in BLANKS {
        let exchanges = issue(&mut Shop::new(), &mut Pocket::new(name), None).1;
        for exchange in 1..=exchanges {
            let (mut shop, mut pocket) = (Shop::new(), Pocket::new(name));
            let torn = issue(&mut shop, &mut pocket, Some(Fault::LoseAfter(exchange))).0.unwrap_err();
            let is_issued = pocket.card().records(crate::world::AID, 3).is_some_and(|records| !records.is_empty());
            if !matches!(torn, DeskError::Unknown { .. }) || !is_issued {
                continue;
            }
            came_through += 1;
            let (uid, serving) = (pocket.uid(), Serving { staff: STAFF, at: NOW });
            let loaded = pocket.present(None, |field| {
                shop.desk.top_up(field, &uid, Amount::from(20_000), serving, &mut crate::world::fresh)
            });
            loaded.0.unwrap();
            let report = issue(&mut shop, &mut pocket, None).0.unwrap();
            assert!(matches!(report, Report::Issued(_)), "{name}: {report:?}");
            assert_eq!(pocket.purse(), 20_000, "{name}");
            assert!(shop.step_names().contains(&"issue confirmed".to_owned()), "{name}: {:?}", shop.step_names());
        }
    }
    assert_eq!(came_through, BLANKS.len());
}

/// Nothing was paid for an issue: giving it back would leave the card half made for ever.
#[test]
fn an_unfinished_issue_is_no_payment_to_give_back() {
    let (mut shop, mut pocket) = (Shop::new(), Pocket::new("blank-ev2"));
    issue(&mut shop, &mut pocket, Some(Fault::LoseBefore(30))).0.unwrap_err();
    let begun = shop.steps()[0].id;
    let refused = shop.desk.give_back(begun, |_| None, Serving { staff: STAFF, at: NOW }).unwrap_err();
    assert!(matches!(refused, DeskError::Refused(Refusal::NotOpen(action)) if action == begun), "{refused}");
    assert!(matches!(issue(&mut shop, &mut pocket, None).0.unwrap(), Report::Issued(_)));
}

#[test]
fn a_chip_that_is_not_genuine_is_refused_and_untouched() {
    let (mut shop, mut pocket) = (Shop::new(), Pocket::new("blank-ev2"));
    shop.desk.rules.originality_keys = card_crypto::originality::OriginalityKey::nxp_desfire();
    let refused = issue(&mut shop, &mut pocket, None).0.unwrap_err();
    assert!(matches!(refused, DeskError::Refused(Refusal::NotGenuine)), "{refused}");
    assert!(shop.steps().is_empty());

    let mut honest = Shop::new();
    assert!(issue(&mut honest, &mut pocket, None).0.is_ok(), "the refused card is still blank");
}

#[test]
fn a_card_that_is_not_blank_is_refused() {
    for name in ["adult", "adult-ev1", "foreign"] {
        let (mut shop, mut pocket) = (Shop::new(), Pocket::new(name));
        let refused = issue(&mut shop, &mut pocket, None).0.unwrap_err();
        assert!(matches!(refused, DeskError::Refused(Refusal::NotBlank(_))), "{name}: {refused}");
        assert!(shop.steps().is_empty(), "{name}");
    }
}

#[test]
fn a_profile_needs_a_last_day_that_is_not_over() {
    let student = |until| Person { profile: Profile::Student, profile_valid_until: until, holder: None };
    let yesterday = transit::time::ServiceDay(crate::world::TODAY.0 - 1);
    for person in [student(None), student(Some(yesterday))] {
        let (mut shop, mut pocket) = (Shop::new(), Pocket::new("blank-ev3"));
        let (uid, serving) = (pocket.uid(), Serving { staff: STAFF, at: NOW });
        let issue = |field: &mut _| shop.desk.issue(field, &uid, person, serving, &mut crate::world::fresh);
        let refused = pocket.present(None, issue).0.unwrap_err();
        assert!(matches!(refused, DeskError::Refused(Refusal::ProfileWithoutEnd)), "{refused}");
    }
}

#[test]
fn a_desk_without_the_issuers_keys_does_not_touch_the_card() {
    let mut keys = crate::world::issuer_keys();
    keys = keys.export(key_store::Custody::Desk).unwrap();
    let (mut shop, mut pocket) = (Shop::with_keys(keys), Pocket::new("blank-ev2"));
    let refused = issue(&mut shop, &mut pocket, None).0.unwrap_err();
    assert!(matches!(refused, DeskError::Card(CardError::Keys(_))), "{refused}");
    assert!(issue(&mut Shop::new(), &mut pocket, None).0.is_ok(), "still blank");
}
