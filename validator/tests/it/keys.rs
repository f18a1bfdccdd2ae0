//! Two versions of a key live at once, and keys in a SAM.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use card_crypto::{Aid, Card, FrameSize, Key, KeyNumber, KeySetNumber, Lost, NewKey, Transport};
use key_store::{KeyRole, KeySet, Keys, SamEntries, SamKeyStore, SamTransport};
use transit::card::APPLICATION_ID;
use transit::config::KeysClass;
use transit::screen::{DeclineReason, OutOfServiceReason, State};
use transit::time::Moment;
use virtual_card::Fault;
use virtual_card::sam::{KeyEntry, Sam};

use crate::world::{Bus, Cards, KEY_ROLLS_PER_HOUR, NOW, counting_random, test_keys};

/// The test keys as version 1, and another validate key as version 2.
fn while_keys_are_rolled(newest_is_on_the_card: bool) -> KeySet {
    let test = test_keys();
    let key = |role| *test.master(role, 0).unwrap().expose_secret();
    let mut keys = KeySet::new(KeysClass::Test);
    keys.insert(KeyRole::Token, 1, Key::new(key(KeyRole::Token))).unwrap();
    let of_card = if newest_is_on_the_card { 2 } else { 1 };
    keys.insert(KeyRole::Validate, of_card, Key::new(key(KeyRole::Validate))).unwrap();
    keys.insert(KeyRole::Validate, 3 - of_card, Key::new([0x0D; 16])).unwrap();
    keys
}

fn bus(keys: impl Into<Keys>) -> Bus {
    Bus::with_keys(101, 23, 8, keys.into())
}

fn accepted(state: &State) -> bool {
    matches!(state, State::Accepted { .. })
}

#[test]
fn a_card_with_the_newest_key_costs_what_it_always_did() {
    let mut cards = Cards::new();
    let presented = bus(while_keys_are_rolled(true)).tap(&mut cards, "adult", NOW);
    assert!(accepted(presented.state()));
    assert_eq!(presented.exchanges, 7);
}

#[test]
fn a_card_with_the_older_key_costs_two_exchanges_more() {
    let mut cards = Cards::new();
    let presented = bus(while_keys_are_rolled(false)).tap(&mut cards, "adult", NOW);
    assert!(accepted(presented.state()));
    assert_eq!(presented.exchanges, 9);
    assert_eq!(
        presented.instructions[1..5],
        ["AuthenticateEV2First", "AdditionalFrame", "AuthenticateEV2First", "AdditionalFrame"]
    );
}

#[test]
fn a_clone_knows_neither() {
    let mut cards = Cards::new();
    let presented = bus(while_keys_are_rolled(false)).tap(&mut cards, "clone", NOW);
    let not_genuine = State::Declined { reason: DeclineReason::NotGenuine, balance: None, fare: None };
    assert_eq!(*presented.state(), not_genuine);
    assert_eq!(presented.exchanges, 5);
}

/// A SAM whose exchanges are counted, and which does not answer these.
struct Counted {
    sam: Sam,
    exchanges: Arc<AtomicU32>,
    silent: std::ops::Range<u32>,
}

impl Transport for Counted {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        let number = self.exchanges.fetch_add(1, Ordering::Relaxed) + 1;
        if self.silent.contains(&number) { Err(Lost::Reader) } else { self.sam.exchange(command) }
    }
}

/// The test keys in a SAM.
pub(crate) fn sam() -> Sam {
    let keys = test_keys();
    let key = |role| [(1, *keys.master(role, 0).unwrap().expose_secret())];
    let mut sam = Sam::new(counting_random());
    sam.load(2, KeyEntry::picc(&key(KeyRole::Validate)));
    sam.load(3, KeyEntry::offline_crypto(&key(KeyRole::Token)));
    sam
}

fn keys_in_a_sam(silent: std::ops::Range<u32>) -> (Keys, Arc<AtomicU32>) {
    let exchanges = Arc::new(AtomicU32::new(0));
    let counted = Counted { sam: sam(), exchanges: Arc::clone(&exchanges), silent };
    let entries = SamEntries { validate: Some(2), token: Some(3), ..SamEntries::default() };
    let store = SamKeyStore::open(SamTransport::new(counted), &entries).unwrap();
    (Keys::Sam(Box::new(store)), exchanges)
}

#[test]
fn a_tap_with_a_sam_costs_four_exchanges_with_it_and_none_more_with_the_card() {
    let (keys, exchanges) = keys_in_a_sam(0..0);
    let (mut bus, mut cards) = (bus(keys), Cards::new());
    bus.tap(&mut cards, "student-pass", NOW);
    let before = exchanges.load(Ordering::Relaxed);
    let presented = bus.tap(&mut cards, "adult", NOW);
    assert!(accepted(presented.state()));
    assert_eq!(presented.exchanges, 7);
    assert_eq!(exchanges.load(Ordering::Relaxed) - before, 4);

    // The taps name the cards as keys in memory do.
    let (mut other, mut again) = (Bus::new(101, 23), Cards::new());
    other.tap(&mut again, "student-pass", NOW);
    other.tap(&mut again, "adult", NOW);
    let names = |bus: &Bus| bus.taps().into_iter().map(|tap| tap.card).collect::<Vec<_>>();
    assert_eq!(names(&bus), names(&other));
}

/// Wherever the SAM stops answering, no money moves, nothing is logged, and the next tap is served.
#[test]
fn a_sam_that_fails_is_no_fault_of_the_card() {
    // 3 exchanges to open, 2 for the first token, 3 for the handshake.
    for silent in 4..9 {
        let (keys, _) = keys_in_a_sam(silent..silent + 1);
        let (mut bus, mut cards) = (bus(keys), Cards::new());
        let before = cards.purse("adult");
        let presented = bus.tap(&mut cards, "adult", NOW);
        assert_eq!(*presented.state(), State::OutOfService { reason: OutOfServiceReason::Reader }, "{silent}");
        assert_eq!((cards.purse("adult"), bus.taps().len()), (before, 0));
        assert!(accepted(bus.tap(&mut cards, "adult", NOW).state()), "{silent}");
    }
}

/// Lays the newer keys in the spare key set of a card, as a desk does.
fn lay_spare_keys(cards: &mut Cards, name: &str, newer: &KeySet) {
    let uid = cards.uid(name);
    let master = card_key(&MASTER, &uid, 0);
    cards.with_card(name, |field| {
        let mut card = Card::new(field, FrameSize::Bytes128);
        card.select_application(Aid(APPLICATION_ID)).unwrap();
        let mut card = card.authenticate_ev2_first(KeyNumber::MASTER, &master, [9; 16]).unwrap();
        let spare = KeySetNumber::new(1).unwrap();
        card.initialize_key_set(spare).unwrap();
        for number in 0..4 {
            let key = match number {
                2 => newer.card_key(KeyRole::Validate, 2, &uid).unwrap(),
                _ => Key::new([number; 16]),
            };
            let number = KeyNumber::new(number).unwrap();
            let new = NewKey { key: &key, version: 2 };
            card.change_key_ev2(spare, number, &Key::new([0; 16]), new).unwrap();
        }
        card.finalize_key_set(spare, 2).unwrap();
    });
}

/// The application master of the test keys.
const MASTER: [u8; 16] = 0x7E57_7E57_0000_0000_0000_0000_0000_00A0_u128.to_be_bytes();

fn card_key(master: &[u8; 16], uid: &[u8; 7], number: u8) -> Key {
    let input = [&uid[..], &APPLICATION_ID, &[number], b"CHAM"].concat();
    Key::new(virtual_card::diversify_aes128(master, &input).unwrap())
}

#[test]
fn a_card_whose_spare_keys_are_laid_is_rolled_after_the_green() {
    let mut cards = Cards::new();
    lay_spare_keys(&mut cards, "adult", &while_keys_are_rolled(false));
    let mut bus = bus(while_keys_are_rolled(false));
    let first = bus.tap(&mut cards, "adult", NOW);
    assert!(accepted(first.state()));
    assert_eq!((first.exchanges, first.instructions.last()), (9, Some(&"RollKeySet")));
    let next = bus.tap(&mut cards, "adult", Moment(NOW.0 + 7200));
    assert!(accepted(next.state()));
    assert_eq!(next.exchanges, 7, "the newest key is on the card");
}

#[test]
fn a_card_without_spare_keys_is_served_with_the_older() {
    let mut cards = Cards::new();
    let mut bus = bus(while_keys_are_rolled(false));
    for hours in 0..3 {
        let presented = bus.tap(&mut cards, "adult", Moment(NOW.0 + 7200 * hours));
        assert!(accepted(presented.state()), "{hours}");
        assert_eq!(presented.exchanges, 9);
    }
}

#[test]
fn no_more_cards_are_rolled_than_the_configuration_says() {
    let mut cards = Cards::new();
    let names = ["adult", "student-pass", "elderly"];
    names.iter().for_each(|name| lay_spare_keys(&mut cards, name, &while_keys_are_rolled(false)));
    let mut bus = bus(while_keys_are_rolled(false));
    let mut rolled = |at: u32| {
        let taps = names.iter().map(|name| bus.tap(&mut cards, name, Moment(at)));
        taps.filter(|tap| tap.instructions.contains(&"RollKeySet")).count()
    };
    assert_eq!(rolled(NOW.0), KEY_ROLLS_PER_HOUR as usize);
    assert_eq!(rolled(NOW.0 + 7200), 1, "the one that is left");
}

#[test]
fn a_card_torn_while_it_is_rolled_is_served_next_time() {
    let mut untorn = Cards::new();
    lay_spare_keys(&mut untorn, "adult", &while_keys_are_rolled(false));
    let whole = bus(while_keys_are_rolled(false)).tap(&mut untorn, "adult", NOW);
    let roll = u32::try_from(whole.instructions.len()).unwrap();
    for (fault, exchanges) in [(Fault::LoseBefore(roll), 9), (Fault::LoseAfter(roll), 7)] {
        let mut cards = Cards::new();
        lay_spare_keys(&mut cards, "adult", &while_keys_are_rolled(false));
        let mut bus = bus(while_keys_are_rolled(false));
        assert!(accepted(bus.torn_tap(&mut cards, "adult", NOW, fault).state()), "the rider has paid and goes");
        let next = bus.tap(&mut cards, "adult", Moment(NOW.0 + 7200));
        assert!(accepted(next.state()), "{fault:?}");
        assert_eq!(next.exchanges, exchanges, "{fault:?}");
    }
}
