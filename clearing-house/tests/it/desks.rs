//! What desks are allowed, what they are told, and what a stolen one can make.

use transit::action::ActionKind;
use transit::card::Issuer;
use transit::desk::{Ask, CardState, Grant, Lost, Reply};
use transit::id::{CardToken, HolderReference};
use transit::sync::Verdict;

use crate::desk_support::{Desk, End};
use crate::support::{Card, City, DAILY_LOAD_LIMIT, DAY_S, MORNING, Validator, desk_key, later, verdicts};

fn alarms(city: &mut City, kind: &str) -> u64 {
    city.clearing_house.status().unwrap().alarms.get(kind).copied().unwrap_or(0)
}

fn grant(reply: Reply) -> Grant {
    let Reply::Transfer(grant) = reply else { panic!("{reply:?}") };
    grant
}

fn why(reply: Reply) -> String {
    let Reply::Refused { why } = reply else { panic!("{reply:?}") };
    why
}

fn state(desk: &Desk, city: &mut City, card: CardToken) -> CardState {
    let Reply::CardState(state) = desk.ask(city, Ask::CardState { card }, later(3_600)) else { panic!("no state") };
    state
}

#[test]
fn an_allowance_grows_by_what_the_books_have_seen_and_by_the_day() {
    let (mut desk, mut city, mut card) = (Desk::new(), City::new(), Card::new(1, 0));
    assert_eq!(desk.allowance(&mut city, MORNING), DAILY_LOAD_LIMIT);
    assert_eq!(desk.allowance(&mut city, later(60)), DAILY_LOAD_LIMIT, "asking again gives no more");
    let load = desk.load(&mut card, later(120), 400_000);
    city.upload_actions(&load);
    assert_eq!(desk.allowance(&mut city, later(3_700)), DAILY_LOAD_LIMIT, "one limit a day");
    assert_eq!(desk.allowance(&mut city, later(DAY_S)), 1_400_000, "what was written is granted anew the next day");
    assert_eq!(desk.allowance(&mut city, later(2 * DAY_S)), 1_400_000, "and no more, while nothing is written");
    assert_eq!(alarms(&mut city, "allowance_exceeded"), 0);
    let promised: u32 = city.sql().query_row("SELECT count(*) FROM desk_answer", [], |row| row.get(0)).unwrap();
    assert_eq!(promised, 2, "only what is new is kept");
    city.verify();
}

/// A thief has the desk with its key, falls silent and loads what it may; or goes on reporting; or starts new epochs.
#[test]
fn a_stolen_desk_cannot_make_value_for_ever() {
    let days = 30;
    // Silent: whatever it asks, whenever, the ceiling stays.
    let (desk, mut city) = (Desk::new(), City::new());
    let most = (0..days).map(|day| desk.allowance(&mut city, later(day * DAY_S))).max();
    assert_eq!(most, Some(DAILY_LOAD_LIMIT));

    // With as many epochs as there are: all ceilings together stay at one limit.
    let mut together = 0;
    for epoch in 1..=255 {
        let mut thief = Desk::new();
        thief.next.epoch = epoch;
        together += thief.allowance(&mut city, later(DAY_S * days)) - if epoch == 1 { DAILY_LOAD_LIMIT } else { 0 };
    }
    assert_eq!(together, 0, "no epoch gets anything while the first has all");

    // Reporting: a limit a day and no more, and the books hold it against the desk.
    let (mut desk, mut city) = (Desk::new(), City::new());
    let mut made = 0;
    for day in 0..days {
        let at = later(day * DAY_S);
        let ceiling = desk.allowance(&mut city, at);
        let mut card = Card::new(u8::try_from(day).unwrap(), 0);
        let amount = ceiling - made;
        city.upload_actions_at(&desk.load(&mut card, at, u32::try_from(amount).unwrap()), at);
        made += amount;
        assert!(made <= DAILY_LOAD_LIMIT * i64::from(day + 1), "day {day}: {made}");
    }
    assert_eq!(city.balance("desk:900:cash"), -made);
    assert_eq!(alarms(&mut city, "allowance_exceeded"), 0);
    city.verify();
}

#[test]
fn a_load_past_the_ceiling_is_an_alarm() {
    let (mut desk, mut city) = (Desk::new(), City::new());
    desk.allowance(&mut city, MORNING);
    let within = desk.load(&mut Card::new(1, 0), later(60), 1_000_000);
    let past = desk.load(&mut Card::new(2, 0), later(120), 1_000);
    assert_eq!(verdicts(&city.upload_actions(&within)), [Verdict::Accepted; 2]);
    assert_eq!(alarms(&mut city, "allowance_exceeded"), 0);
    assert_eq!(verdicts(&city.upload_actions(&past)), [Verdict::Accepted; 2], "booked, because the card has it");
    assert_eq!(alarms(&mut city, "allowance_exceeded"), 1);
    assert_eq!(city.balance("cards:float"), 1_001_000);
    city.verify();
    // A refund takes nothing of the allowance.
    let refund = desk.refund(&mut Card::new(3, 50_000), later(180), 50_000, End::Written);
    city.upload_actions(&[refund]);
    assert_eq!(alarms(&mut city, "allowance_exceeded"), 1);
}

#[test]
fn desks_do_not_share_an_allowance() {
    let mut city = City::new();
    assert_eq!(Desk::new().allowance(&mut city, MORNING), DAILY_LOAD_LIMIT);
    assert_eq!(Desk::numbered(901, 2, 0x45).allowance(&mut city, MORNING), DAILY_LOAD_LIMIT);
}

#[test]
fn requests_of_strangers_and_old_ones_get_nothing() {
    let mut city = City::new();
    let stranger = Desk::numbered(900, 1, 0x46);
    let text =
        serde_json::to_string(&serde_json::json!({"desk": 900, "epoch": 1, "at": MORNING.0, "ask": "allowance"}));
    let signature = stranger.key.sign(&transit::desk::request_signed_bytes(text.as_ref().unwrap()));
    let refused = city.clearing_house.answer(&text.unwrap(), signature.as_ref(), MORNING);
    assert_eq!(refused.unwrap_err().to_string(), "the signature does not belong to this text and this sender");

    let desk = Desk::new();
    let request = serde_json::json!({"desk": 900, "epoch": 1, "at": MORNING.0, "ask": "allowance"}).to_string();
    let signature = desk.key.sign(&transit::desk::request_signed_bytes(&request));
    for (late, taken) in [(600, true), (601, false)] {
        let answer = city.clearing_house.answer(&request, signature.as_ref(), later(late)).unwrap();
        assert_eq!(answer.text.contains("refused"), !taken, "{}", answer.text);
    }
    city.verify();
}

#[test]
fn a_card_s_state_is_its_newest_proven_record() {
    let (mut desk, mut validator, mut city) = (Desk::new(), Validator::new(1, 1), City::new());
    let mut card = Card::new(1, 0);
    assert_eq!(state(&desk, &mut city, card.token()).balance_minor, None, "a card that the books do not know");
    let issued = desk.issue(&mut card, MORNING, 50_000, None);
    city.upload_actions(&issued);
    let known = state(&desk, &mut city, card.token());
    assert_eq!((known.balance_minor.unwrap().minor(), known.seen), (50_000, Some(MORNING)));
    assert_eq!((known.issuer, known.blocked, known.pending), (card.issuer, false, 0));

    city.upload_actions(&desk.sell(&mut card, later(60), End::Written));
    let issuer: Issuer = card.issuer.unwrap();
    assert_eq!(state(&desk, &mut city, card.token()).issuer, Some(issuer));
    let mut without_pass = Card::new(2, 50_000);
    city.upload(&[validator.done(&mut without_pass, later(120))]);
    assert_eq!(state(&desk, &mut city, without_pass.token()).balance_minor.unwrap().minor(), 42_000);
    city.upload(&[validator.unknown(&mut without_pass, later(1_000), true)]);
    let unsure = state(&desk, &mut city, without_pass.token());
    assert_eq!((unsure.balance_minor.unwrap().minor(), unsure.pending), (42_000, 1));
    let paid = desk.paid(ActionKind::TopUp, &card, later(1_100), 10_000);
    let names = paid.open().unwrap().id;
    let unknown = desk.top_up(names, &mut card, later(1_110), 10_000, End::Unknown { committed: false });
    city.upload_actions(&[paid, unknown]);
    assert_eq!(state(&desk, &mut city, card.token()).pending, 1);
}

#[test]
fn a_lost_card_s_value_goes_to_one_other_card_once() {
    let (mut desk, mut city) = (Desk::new(), City::new());
    let (mut lost, mut new) = (Card::new(1, 0), Card::new(2, 0));
    city.upload_actions(&desk.issue(&mut lost, MORNING, 50_000, Some(4_711)));
    city.upload_actions(&desk.sell(&mut lost, later(10), End::Written));
    let token = new.token();
    let by_holder = Ask::Transfer { lost: Lost::Holder(HolderReference(4_711.try_into().unwrap())), card: token };
    let first = grant(desk.ask(&mut city, by_holder.clone(), later(60)));
    assert_eq!((first.lost, first.card, first.amount_minor.minor()), (lost.token(), token, 50_000));
    assert_eq!(first.issuer, lost.issuer);
    assert_eq!(city.clearing_house.deny_list(later(60)).unwrap().cards, [lost.token()]);
    assert!(state(&desk, &mut city, lost.token()).blocked);
    // The same question again is the same grant; another card, another desk and another name get none.
    assert_eq!(grant(desk.ask(&mut city, by_holder, later(61))), first);
    let by_card = |card: &Card| Ask::Transfer { lost: Lost::Card(lost.token()), card: card.token() };
    assert!(why(desk.ask(&mut city, by_card(&Card::new(3, 0)), later(62))).contains("was granted before, by grant 1"));
    let other = Desk::numbered(901, 2, 0x45);
    assert!(why(other.ask(&mut city, by_card(&new), later(62))).contains("was granted before"));

    let float = city.balance("cards:float");
    let transfer = desk.transfer(&first, &mut new, later(90), 50_000);
    assert_eq!(verdicts(&city.upload_actions(&[transfer])), [Verdict::Accepted]);
    assert_eq!((new.record.balance_after.minor(), new.issuer), (50_000, first.issuer));
    assert_eq!((city.balance("cards:float"), alarms(&mut city, "transfer_unbacked")), (float, 0));
    city.verify();

    // The second use of the grant: an alarm, and the desk owes what it made.
    let cash = city.balance("desk:900:cash");
    city.upload_actions(&[desk.transfer(&first, &mut new, later(120), 50_000)]);
    assert_eq!(alarms(&mut city, "transfer_unbacked"), 1);
    assert_eq!((city.balance("desk:900:cash"), city.balance("cards:float")), (cash - 50_000, float + 50_000));
    city.verify();
}

#[test]
fn a_transfer_of_another_amount_card_or_desk_is_not_backed() {
    let (mut desk, mut city) = (Desk::new(), City::new());
    let (mut lost, mut new) = (Card::new(1, 0), Card::new(2, 0));
    city.upload_actions(&desk.issue(&mut lost, MORNING, 50_000, Some(7)));
    let ask = Ask::Transfer { lost: Lost::Card(lost.token()), card: new.token() };
    let given = grant(desk.ask(&mut city, ask, later(60)));
    let mut other_desk = Desk::numbered(901, 2, 0x45);
    let made_up = Grant { number: 77, ..given };
    let steps = [
        other_desk.transfer(&given, &mut new.clone(), later(90), 50_000),
        desk.transfer(&given, &mut new.clone(), later(91), 50_001),
        desk.transfer(&given, &mut Card::new(3, 0), later(92), 50_000),
        desk.transfer(&made_up, &mut new.clone(), later(93), 50_000),
    ];
    for (expected, step) in (1..).zip(steps) {
        city.upload_actions(&[step]);
        assert_eq!(alarms(&mut city, "transfer_unbacked"), expected);
        city.verify();
    }
    // None of them used the grant up.
    city.upload_actions(&[desk.transfer(&given, &mut new, later(100), 50_000)]);
    assert_eq!(alarms(&mut city, "transfer_unbacked"), 4);
    city.verify();
}

/// The new card is the holder's too, and may be lost in its turn.
#[test]
fn a_registered_card_is_replaced_and_its_replacement_as_well() {
    let (mut desk, mut city) = (Desk::new(), City::new());
    let holder = Lost::Holder(HolderReference(7.try_into().unwrap()));
    let mut cards = [Card::new(1, 0), Card::new(2, 0), Card::new(3, 0)];
    city.upload_actions(&desk.issue(&mut cards[0], MORNING, 50_000, Some(7)));
    for new in 1..cards.len() {
        let at = later(3_600 * u32::try_from(new).unwrap());
        city.upload_actions(&desk.issue(&mut cards[new], at, 0, Some(7)));
        let ask = Ask::Transfer { lost: holder, card: cards[new].token() };
        let given = grant(desk.ask(&mut city, ask.clone(), at));
        assert_eq!((given.lost, given.amount_minor.minor()), (cards[new - 1].token(), 50_000), "{new}");
        assert_eq!(grant(desk.ask(&mut city, ask, at)), given, "asked again, the same");
        let moved = desk.transfer(&given, &mut cards[new], at, 50_000);
        assert_eq!(verdicts(&city.upload_actions(&[moved])), [Verdict::Accepted]);
        city.verify();
    }
    assert_eq!(alarms(&mut city, "transfer_unbacked"), 0);
}

/// A card proved what it held, and then took taps without a Transaction MAC: one is in the books, one is kept aside.
#[test]
fn a_lost_card_is_granted_no_more_than_its_newest_known_record_says() {
    let (mut desk, mut validator) = (Desk::new(), Validator::new(1, 1));
    let mut city = City::with_unproven_daily_limit(8_000);
    let mut lost = Card::new(1, 0);
    desk.allowance(&mut city, MORNING);
    city.upload_actions(&desk.issue(&mut lost, MORNING, 50_000, Some(7)));
    let before = lost.clone();
    let balance = |city: &mut City, desk: &Desk| {
        let state = state(desk, city, before.token());
        (state.balance_minor.unwrap().minor(), state.seen.unwrap())
    };
    assert_eq!(balance(&mut city, &desk), (50_000, MORNING));
    let rides = [600, 1_200].map(|at| validator.unproven(&mut lost, later(at)));
    assert_eq!(verdicts(&city.upload(&rides[..1])), [Verdict::Accepted]);
    assert_eq!(balance(&mut city, &desk), (42_000, later(600)));
    assert_eq!(verdicts(&city.upload(&rides[1..])), [Verdict::MacWrong]);
    assert_eq!(balance(&mut city, &desk), (34_000, later(1_200)));
    // What is not newer than what is known lowers nothing, and what no card proves raises nothing.
    let old = validator.unproven(&mut Card { record: before.record, ..before.clone() }, later(1_300));
    assert_eq!(verdicts(&city.upload(&[old])), [Verdict::MacWrong]);
    assert_eq!(balance(&mut city, &desk).0, 34_000);
    desk.serves_ev1 = true;
    let mut ev1 = lost.clone();
    city.upload_actions(&desk.load(&mut ev1, later(1_400), 100_000));
    assert_eq!(balance(&mut city, &desk).0, 34_000);
    // A refund that is kept aside has paid its cash out all the same.
    ev1.record.balance_after = lost.record.balance_after;
    let refund = desk.refund(&mut ev1, later(1_500), 30_000, End::Written);
    assert_eq!(verdicts(&city.upload_actions(&[refund])), [Verdict::MacWrong]);
    assert_eq!(balance(&mut city, &desk).0, 4_000);
    let ask = Ask::Transfer { lost: Lost::Card(lost.token()), card: Card::new(2, 0).token() };
    assert_eq!(grant(desk.ask(&mut city, ask, later(1_600))).amount_minor.minor(), 4_000);
    city.verify();

    // The newest proof decides again, whatever was said before it.
    let mut city = City::new();
    let (mut desk, mut card) = (Desk::new(), Card::new(1, 0));
    city.upload_actions(&desk.issue(&mut card, MORNING, 50_000, Some(7)));
    let ride = Validator::new(1, 1).unproven(&mut card.clone(), later(600));
    assert_eq!(verdicts(&city.upload(&[ride])), [Verdict::MacWrong]);
    assert_eq!(balance(&mut city, &desk).0, 42_000);
    city.upload_actions(&desk.load(&mut card, later(700), 10_000));
    assert_eq!(balance(&mut city, &desk).0, 60_000);
}

/// The rides of a card that proves nothing are not in the books' sight: its balance of the last desk visit is too much.
#[test]
fn the_value_of_a_card_that_proves_nothing_is_not_granted() {
    let (mut desk, mut city) = (Desk::new(), City::new());
    let mut lost = Card::new(1, 0);
    let mut steps = desk.issue(&mut lost, MORNING, 50_000, Some(7));
    let proven = steps.pop().unwrap();
    let unproven = transit::action::Action { transaction_mac: None, ..proven.open().unwrap() };
    let sign = |bytes: &[u8]| desk_key(0x44).sign(bytes).as_ref().try_into().unwrap();
    steps.push(unproven.seal(&proven.previous_hash(), sign).unwrap());
    assert_eq!(verdicts(&city.upload_actions(&steps)), [Verdict::Accepted; 2]);
    let ask = Ask::Transfer { lost: Lost::Card(lost.token()), card: Card::new(2, 0).token() };
    let said = why(desk.ask(&mut city, ask, later(60)));
    assert!(said.contains("EV1"), "{said}");
}

/// A right Transaction MAC covers the credit, and not what the desk says that it took.
#[test]
fn a_card_that_is_made_with_more_on_it_than_the_desk_says_counts_with_what_is_on_it() {
    let (mut desk, mut city) = (Desk::new(), City::new());
    assert_eq!(desk.allowance(&mut city, MORNING), DAILY_LOAD_LIMIT);
    let steps = desk.issue(&mut Card::new(1, 0), MORNING, 600_000, None);
    let action = steps.last().unwrap().open().unwrap();
    assert_eq!(action.credited.map(transit::money::Amount::minor), Some(600_000), "the test's desk credits");
    let said_nothing = transit::action::Action { amount: transit::money::Amount::ZERO, ..action };
    assert_eq!(clearing_house::ledger::moved(&said_nothing), clearing_house::ledger::moved(&action));
    assert_eq!(said_nothing.takes_of_allowance(), action.takes_of_allowance());
}

#[test]
fn a_transfer_that_cannot_be_granted_is_refused_with_the_reason() {
    let (mut desk, mut city) = (Desk::new(), City::new());
    let (mut card, mut second) = (Card::new(1, 0), Card::new(2, 0));
    city.upload_actions(&desk.issue(&mut card, MORNING, 10_000, Some(1)));
    city.upload_actions(&desk.issue(&mut second, MORNING, 10_000, Some(1)));
    city.upload_actions(&[desk.block(&second, later(10))]);
    let holder = |number: u64| Lost::Holder(HolderReference(number.try_into().unwrap()));
    let (unknown, mut unregistered) = (Card::new(9, 0), Card::new(8, 0));
    city.upload_actions(&desk.issue(&mut unregistered, later(20), 10_000, None));
    let table = [
        (holder(2), &unknown, "no card was issued to this holder"),
        (holder(1), &unknown, "several cards were issued to this holder"),
        (Lost::Card(card.token()), &card, "the lost card and the new one are the same"),
        (Lost::Card(card.token()), &second, "the new card is on the deny list"),
        (Lost::Card(unknown.token()), &card, "this card is registered to nobody"),
        (Lost::Card(unregistered.token()), &card, "this card is registered to nobody"),
    ];
    for (lost, new, expected) in table {
        let said = why(desk.ask(&mut city, Ask::Transfer { lost, card: new.token() }, later(60)));
        assert!(said.contains(expected), "`{said}` does not say `{expected}`");
    }
    let promised: u32 = city.sql().query_row("SELECT count(*) FROM desk_answer", [], |row| row.get(0)).unwrap();
    assert_eq!(promised, 0, "a refusal promises nothing");
}

#[test]
fn the_deny_list_s_version_grows_with_its_cards_only() {
    let (mut desk, mut city) = (Desk::new(), City::new());
    let list = |city: &mut City| {
        let list = city.clearing_house.deny_list(MORNING).unwrap();
        (list.version, list.cards.len())
    };
    assert_eq!((list(&mut city), list(&mut city)), ((1, 0), (1, 0)));
    let block = desk.block(&Card::new(1, 0), MORNING);
    city.upload_actions(std::slice::from_ref(&block));
    assert_eq!((list(&mut city), list(&mut city)), ((2, 1), (2, 1)));
    city.upload_actions(&[block, desk.block(&Card::new(1, 0), later(1))]);
    assert_eq!(list(&mut city), (2, 1), "blocked twice is blocked");
    city.upload_actions(&[desk.block(&Card::new(2, 0), later(2))]);
    assert_eq!(list(&mut city), (3, 2));
    let written = city.clearing_house.deny_list(MORNING).unwrap();
    let read = transit::config::parse(std::path::Path::new("deny-list.toml"), &written.to_string());
    assert_eq!(read, Ok(written), "what is handed out is what validators read");
    city.verify();
}

/// A desk gives cash back only after a no, and a no is the card's.
#[test]
fn whether_a_card_took_a_step_is_the_card_s_to_say() {
    let (mut desk, mut city) = (Desk::new(), City::new());
    let said = |desk: &Desk, city: &mut City, step: &str| {
        let reply = desk.ask(city, Ask::Step { step: step.to_owned() }, later(3_600));
        let Reply::Step(state) = reply else { return Err(why(reply)) };
        assert_eq!(state.step, step);
        Ok(state.written)
    };
    for committed in [true, false] {
        let mut card = Card::new(u8::from(committed), 50_000);
        let paid = desk.paid(ActionKind::TopUp, &card, MORNING, 10_000);
        let names = paid.open().unwrap().id;
        let unknown = desk.top_up(names, &mut card, later(10), 10_000, End::Unknown { committed });
        let step = unknown.open().unwrap().id.to_string();
        assert!(said(&desk, &mut city, &step).unwrap_err().contains("send it first"));
        city.upload_actions(&[paid, unknown]);
        assert_eq!(said(&desk, &mut city, &step), Ok(None));
        city.upload_actions(&desk.load(&mut card, later(60), 1_000));
        assert_eq!(said(&desk, &mut city, &step), Ok(Some(committed)));
        let other = Desk::numbered(901, 2, 0x45);
        assert!(said(&other, &mut city, &step).is_err(), "another desk's step is none of its business");
    }
    assert!(said(&desk, &mut city, "900-1-99").is_err());
    assert!(said(&desk, &mut city, "nonsense").is_err());
}
