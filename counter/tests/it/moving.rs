//! Exchange and transfer: value and passes are on one card, on the other, or in the journal; never on both, never lost.

use counter::desk::{Desk, Serving};
use counter::exchange::taken_over;
use counter::journal::AnswerKind;
use counter::open_action::{OpenState, open_actions};
use counter::refusal::{DeskError, Refusal};
use counter::report::Report;
use counter::settle::ResumedOutcome;
use key_store::Keys;
use transit::card::{Issuer, PRODUCTS, Product, ProductKind, Profile, Record};
use transit::desk::{Ask, Grant, Lost, Reply};
use transit::id::{DeviceId, HolderReference, LineNumber};
use transit::money::Amount;
use transit::time::ServiceDay;
use virtual_card::Fault;

use crate::world::{AID, DESK, NOW, Pocket, STAFF, Shop, TODAY, fresh, signed};

const AT: Serving = Serving { staff: STAFF, at: NOW };

fn newest(pocket: &Pocket) -> Record {
    Record::decode(&pocket.card().records(AID, 3).unwrap()[0]).unwrap()
}

/// The desk's side of an exchange, as the program does it: the old card, then the new one, and what is open first.
fn exchange(shop: &mut Shop, old: &mut Pocket, new: &mut Pocket, faults: [Option<Fault>; 2]) -> Result<(), DeskError> {
    let (old_uid, new_uid) = (old.uid(), new.uid());
    let empty = |field: &mut _| -> Result<_, DeskError> {
        shop.desk.settle(field, &old_uid, AT, &mut fresh, &mut Vec::new())?;
        match shop.desk.waiting_exchange_of(&old_uid)? {
            Some(found) => Ok(found),
            None => shop.desk.empty_old_card(field, &old_uid, AT, &mut fresh),
        }
    };
    let begun = old.present(faults[0], empty).0?;
    let load = |field: &mut _| -> Result<_, DeskError> {
        shop.desk.settle(field, &new_uid, AT, &mut fresh, &mut Vec::new())?;
        if shop.desk.is_open(begun.id)? {
            shop.desk.load_new_card(field, &new_uid, &begun, AT, &mut fresh)?;
        }
        Ok(())
    };
    new.present(faults[1], load).0
}

#[test]
fn value_and_passes_of_an_old_card_are_on_the_new_one() {
    for (old_name, new_name, value) in [("adult-ev1", "empty", 50_000), ("student-pass", "elderly", 20_000)] {
        let mut shop = Shop::new();
        let (mut old, mut new) = (Pocket::new(old_name), Pocket::new(new_name));
        let (before, has_pass) = (new.purse(), newest(&old).has_pass);
        exchange(&mut shop, &mut old, &mut new, [None, None]).unwrap();
        assert_eq!((old.purse(), new.purse()), (0, before + value), "{old_name}");
        assert_eq!((newest(&old).has_pass, newest(&new).has_pass), (false, has_pass), "{old_name}");
        assert_eq!(shop.step_names(), ["exchange written", "exchange written"]);
        assert!(open_actions(&shop.steps()).is_empty());
        assert_eq!(shop.desk.journal.taken().unwrap().minor(), i64::from(value), "the new card counts");
    }
}

#[test]
fn torn_anywhere_on_either_card_an_exchange_moves_everything_once() {
    let mut counting = Shop::new();
    let (mut old, mut new) = (Pocket::new("student-pass"), Pocket::new("adult"));
    let uid = old.uid();
    let (emptied, old_exchanges) = old.present(None, |field| counting.desk.empty_old_card(field, &uid, AT, &mut fresh));
    let uid = new.uid();
    let new_exchanges =
        new.present(None, |field| counting.desk.load_new_card(field, &uid, &emptied.unwrap(), AT, &mut fresh)).1;
    println!("exchange_exchanges {old_exchanges} + {new_exchanges}");

    let mut tears = 0;
    for (card, exchanges) in [(0, old_exchanges), (1, new_exchanges)] {
        for exchange_number in 1..=exchanges {
            for fault in [Fault::LoseBefore(exchange_number), Fault::LoseAfter(exchange_number)] {
                let mut shop = Shop::new();
                let (mut old, mut new) = (Pocket::new("student-pass"), Pocket::new("adult"));
                let mut faults = [None, None];
                faults[card] = Some(fault);
                let what = format!("card {card} {fault:?}");
                assert!(exchange(&mut shop, &mut old, &mut new, faults).is_err(), "{what}");
                tears += 1;
                // Whatever is on neither card is in the journal.
                let in_journal: i64 = open_actions(&shop.steps())
                    .iter()
                    .map(|open| match &open.state {
                        OpenState::HalfMoved(step) => step.amount.minor(),
                        OpenState::Unknown(step) if step.card != open.first.card && new.purse() == 50_000 => 20_000,
                        OpenState::Unknown(_) if old.purse() == 0 && new.purse() == 50_000 => 20_000,
                        OpenState::Paid | OpenState::Unknown(_) => 0,
                    })
                    .sum();
                assert_eq!(i64::from(old.purse() + new.purse()) + in_journal, 70_000, "{what}");

                exchange(&mut shop, &mut old, &mut new, [None, None]).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!((old.purse(), new.purse()), (0, 70_000), "{what}");
                assert_eq!((newest(&old).has_pass, newest(&new).has_pass), (false, true), "{what}");
                assert!(open_actions(&shop.steps()).is_empty(), "{what}: {:?}", shop.step_names());
            }
        }
    }
    println!("exchange: {tears} tears");
}

/// A card that is seen again ends nothing of an exchange while its value is on no card, and that is what is told.
#[test]
fn an_exchange_whose_value_is_on_no_card_is_said_to_wait() {
    // Each exchange takes sixteen; the last one commits.
    for (card, fault, expected) in [
        (0, Fault::LoseBefore(16), ResumedOutcome::Undone),
        (0, Fault::LoseAfter(16), ResumedOutcome::HalfMoved),
        (1, Fault::LoseBefore(16), ResumedOutcome::HalfMoved),
        (1, Fault::LoseAfter(16), ResumedOutcome::Found),
    ] {
        let mut shop = Shop::new();
        let (mut old, mut new) = (Pocket::new("student-pass"), Pocket::new("adult"));
        let mut faults = [None, None];
        faults[card] = Some(fault);
        exchange(&mut shop, &mut old, &mut new, faults).unwrap_err();
        let torn = if card == 0 { &mut old } else { &mut new };
        let (uid, mut resumed) = (torn.uid(), Vec::new());
        torn.present(None, |field| shop.desk.settle(field, &uid, AT, &mut fresh, &mut resumed)).0.unwrap();
        assert_eq!(resumed[0].outcome, expected, "card {card} {fault:?}");
        let waits = open_actions(&shop.steps()).iter().any(|open| matches!(open.state, OpenState::HalfMoved(_)));
        assert_eq!(waits, expected == ResumedOutcome::HalfMoved, "card {card} {fault:?}");
    }
}

#[test]
fn the_old_card_cannot_be_the_new_one_and_several_waiting_exchanges_are_named() {
    let mut shop = Shop::new();
    let mut emptied = Vec::new();
    let mut pockets = Vec::new();
    for name in ["adult", "student-pass"] {
        let mut pocket = Pocket::new(name);
        let uid = pocket.uid();
        emptied.push(pocket.present(None, |field| shop.desk.empty_old_card(field, &uid, AT, &mut fresh)).0.unwrap());
        pockets.push(pocket);
    }
    assert_eq!(shop.desk.waiting_exchanges().unwrap().len(), 2);
    for (pocket, emptied) in pockets.iter().zip(&emptied) {
        assert_eq!(shop.desk.waiting_exchange(emptied.id).unwrap().id, emptied.id);
        let of_card = shop.desk.waiting_exchange_of(&pocket.uid()).unwrap();
        assert_eq!(of_card.map(|first| first.id), Some(emptied.id));
    }
    let uid = pockets[0].uid();
    let same = pockets[0].present(None, |field| shop.desk.load_new_card(field, &uid, &emptied[0], AT, &mut fresh));
    assert!(matches!(same.0, Err(DeskError::Refused(Refusal::SameCard))));
}

#[test]
fn a_card_that_owes_is_neither_exchanged_nor_paid_out_and_how_much_it_owes_is_said() {
    for is_exchange in [true, false] {
        let (mut shop, mut old) = (Shop::new(), Pocket::owing(4_000));
        let uid = old.uid();
        let refused = |answer: Result<(), DeskError>| match answer.unwrap_err() {
            DeskError::Refused(refusal) => refusal,
            other => panic!("{other}"),
        };
        let mut work = |shop: &mut Shop, amount| {
            let (answer, _) = old.present(None, |field| match is_exchange {
                true => shop.desk.empty_old_card(field, &uid, AT, &mut fresh).map(drop),
                false => shop.desk.refund(field, &uid, amount, AT, &mut fresh).map(drop),
            });
            answer
        };
        for amount in [None, Some(Amount::from(1_000))] {
            let refusal = refused(work(&mut shop, amount));
            assert_eq!(refusal, Refusal::Owes { owed_minor: Amount::from(4_000) });
            assert!(refusal.to_string().contains("owes 4000 minor units"), "{refusal}");
            assert!(refusal.to_string().contains("`counter top-up`"), "{refusal}");
        }
        assert!(shop.steps().is_empty(), "nothing was written");
        // The remedy helps.
        old.present(None, |field| shop.desk.top_up(field, &uid, Amount::from(10_000), AT, &mut fresh)).0.unwrap();
        let mut work = |amount| {
            old.present(None, |field| match is_exchange {
                true => shop.desk.empty_old_card(field, &uid, AT, &mut fresh).map(|step| step.amount),
                false => shop.desk.refund(field, &uid, amount, AT, &mut fresh).map(|_| Amount::from(6_000)),
            })
            .0
        };
        assert_eq!(work(None).unwrap(), Amount::from(6_000));
        assert_eq!(old.purse(), 0);
    }
}

/// A rider whose exchange waits may have gone: the next one's old card is no new card for it.
#[test]
fn the_next_rider_s_old_card_does_not_take_what_another_waits_for() {
    let mut shop = Shop::new();
    let (mut first_old, mut first_new) = (Pocket::new("student-pass"), Pocket::new("elderly"));
    let (mut second_old, mut second_new) = (Pocket::new("adult"), Pocket::new("empty"));
    let torn = exchange(&mut shop, &mut first_old, &mut first_new, [None, Some(Fault::LoseBefore(1))]);
    assert!(torn.is_err() && first_old.purse() == 0);
    exchange(&mut shop, &mut second_old, &mut second_new, [None, None]).unwrap();
    assert_eq!((second_old.purse(), second_new.purse()), (0, 53_000));
    assert_eq!(shop.desk.waiting_exchanges().unwrap().len(), 1, "the first still waits");
    exchange(&mut shop, &mut first_old, &mut first_new, [None, None]).unwrap();
    assert_eq!((first_old.purse(), first_new.purse()), (0, 20_000));
}

fn grant_for(new: &Pocket, shop: &mut Shop) -> Grant {
    let lost = shop.desk.token(&[4, 9, 9, 9, 9, 9, 9]).unwrap().1;
    let card = shop.desk.token(&new.uid()).unwrap().1;
    let desk = DeviceId::new(DESK).unwrap();
    Grant { number: 3, desk, lost, card, amount_minor: Amount::from(35_000), issuer: None }
}

fn transfer(
    shop: &mut Shop,
    new: &mut Pocket,
    grant: &Grant,
    fault: Option<Fault>,
) -> (Result<Report, DeskError>, u32) {
    let uid = new.uid();
    new.present(fault, |field| {
        let mut resumed = Vec::new();
        shop.desk.settle(field, &uid, AT, &mut fresh, &mut resumed)?;
        match resumed.first().map(|resumed| resumed.outcome) {
            Some(ResumedOutcome::Found) => Ok(Report::Resumed),
            _ => {
                let desk: &mut Desk<Keys> = &mut shop.desk;
                desk.transfer(field, &uid, grant, AT, &mut fresh)
            }
        }
    })
}

#[test]
fn a_grant_is_used_once_wherever_the_new_card_is_torn() {
    let exchanges = {
        let (mut shop, mut new) = (Shop::new(), Pocket::new("adult"));
        let grant = grant_for(&new, &mut shop);
        transfer(&mut shop, &mut new, &grant, None).1
    };
    let mut tears = 0;
    for exchange in 1..=exchanges {
        for fault in [Fault::LoseBefore(exchange), Fault::LoseAfter(exchange)] {
            let (mut shop, mut new) = (Shop::without_allowance(), Pocket::new("adult"));
            let grant = grant_for(&new, &mut shop);
            assert!(transfer(&mut shop, &mut new, &grant, Some(fault)).0.is_err(), "{fault:?}");
            tears += 1;
            assert!(transfer(&mut shop, &mut new, &grant, None).0.is_ok(), "{fault:?}");
            assert_eq!(new.purse(), 85_000, "{fault:?}");
            let again = transfer(&mut shop, &mut new, &grant, None).0.unwrap_err();
            assert!(matches!(again, DeskError::Refused(Refusal::GrantUsed(3))), "{fault:?}: {again}");
            assert_eq!(new.purse(), 85_000, "{fault:?}");
        }
    }
    println!("transfer: {tears} tears");
    println!("transfer_exchanges {exchanges}");
}

/// A desk that received a grant and lost its network before the card was laid down.
#[test]
fn a_kept_grant_is_found_by_the_holder_and_by_the_lost_card_for_its_new_card_alone() {
    let (mut shop, mut new) = (Shop::without_allowance(), Pocket::new("adult"));
    let grant = grant_for(&new, &mut shop);
    let holder = |number: u64| Lost::Holder(HolderReference(number.try_into().unwrap()));
    let kept = signed(Ask::Transfer { lost: holder(4711), card: grant.card }, Reply::Transfer(grant));
    shop.desk.journal.keep(AnswerKind::Grant, grant.number, &kept).unwrap();
    for (lost, card, expected) in [
        (holder(4711), grant.card, Some(grant)),
        (Lost::Card(grant.lost), grant.card, Some(grant)),
        (holder(4712), grant.card, None),
        (Lost::Card(grant.card), grant.card, None),
        (holder(4711), grant.lost, None),
    ] {
        assert_eq!(shop.desk.kept_grant(lost, card).unwrap(), expected, "{lost:?}");
    }
    transfer(&mut shop, &mut new, &grant, None).0.unwrap();
    for lost in [holder(4711), Lost::Card(grant.lost)] {
        assert_eq!(shop.desk.kept_grant(lost, grant.card).unwrap(), None, "used: {lost:?}");
    }
}

#[test]
fn a_grant_for_another_card_or_desk_is_refused() {
    let (mut shop, mut new) = (Shop::new(), Pocket::new("adult"));
    let grant = grant_for(&new, &mut shop);
    let other_card = Grant { card: grant.lost, ..grant };
    let other_desk = Grant { desk: DeviceId::new(DESK + 1).unwrap(), ..grant };
    for grant in [other_card, other_desk] {
        let refused = transfer(&mut shop, &mut new, &grant, None).0.unwrap_err();
        assert!(matches!(refused, DeskError::Refused(Refusal::OtherCard)), "{refused}");
    }
    assert!(shop.steps().is_empty());
}

#[test]
fn passes_that_are_not_over_move_and_a_full_card_is_refused() {
    let pass = |from: u16, until: u16| Product {
        kind: ProductKind::OneRoutePass,
        line: LineNumber(1),
        valid_from: ServiceDay(from),
        valid_until: ServiceDay(until),
    };
    let none =
        Issuer { profile: Profile::Ordinary, profile_valid_until: ServiceDay(0), products: [Product::NONE; PRODUCTS] };
    let (over, now, next) =
        (pass(TODAY.0 - 30, TODAY.0 - 1), pass(TODAY.0 - 3, TODAY.0), pass(TODAY.0 + 1, TODAY.0 + 31));
    let mut products = [Product::NONE; PRODUCTS];
    products[..3].copy_from_slice(&[over, now, next]);
    let old = Issuer { profile: Profile::Student, profile_valid_until: ServiceDay(TODAY.0 + 5), products };
    let moved = taken_over(&none, &old, TODAY).unwrap();
    assert_eq!(moved.products[..3], [now, next, Product::NONE]);
    assert_eq!((moved.profile, moved.profile_valid_until), (Profile::Student, ServiceDay(TODAY.0 + 5)));

    let own = Issuer { profile: Profile::Merit, ..none };
    assert_eq!(taken_over(&own, &old, TODAY).unwrap().profile, Profile::Merit, "its own profile stays");
    let full = Issuer { products: [next; PRODUCTS], ..none };
    assert_eq!(taken_over(&full, &old, TODAY), None);
}
