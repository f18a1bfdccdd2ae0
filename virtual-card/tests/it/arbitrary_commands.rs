//! Whatever is sent, the card answers, never panics, and never has more money than before.

use proptest::{collection::vec, prelude::*};
use virtual_card::{CardInField, Picc, field::Step};

use crate::{
    raw_reader::{AID, LOAD, PURSE, RawReader, Refusal, VALIDATE, card, card_key, wrap},
    secure_reader::{Messaging, Protection, Session},
};

fn instruction() -> impl Strategy<Value = u8> {
    let known =
        [0x5A, 0x60, 0x64, 0x6F, 0xF5, 0x71, 0x77, 0xBD, 0x3D, 0x6C, 0x0C, 0xDC, 0x1C, 0xBB, 0x3B, 0xC7, 0xA7, 0xAF];
    prop_oneof![4 => prop::sample::select(known.to_vec()), 1 => any::<u8>()]
}

/// Parameters that often name our files, so that commands get past the first check.
fn parameters() -> impl Strategy<Value = Vec<u8>> {
    let small = prop_oneof![4 => 0..16u8, 1 => any::<u8>()];
    prop_oneof![vec(small, 0..16), vec(any::<u8>(), 0..130), Just(AID.to_vec())]
}

fn apdu() -> impl Strategy<Value = Vec<u8>> {
    let wrapped = (instruction(), parameters()).prop_map(|(code, data)| wrap(code, &data));
    prop_oneof![6 => wrapped, 1 => vec(any::<u8>(), 0..300)]
}

/// Every command byte that some DESFire knows.
const EVERY: [u8; 57] = [
    0x0A, 0x1A, 0xAA, 0x71, 0x77, 0x60, 0x51, 0x6E, 0x3C, 0xFC, 0x5C, 0x5A, 0x6A, 0x6D, 0xCA, 0xDA, 0x45, 0x54, 0x64,
    0xC4, 0xC6, 0x56, 0x57, 0x55, 0x6F, 0x61, 0xF5, 0x5F, 0xCD, 0xCB, 0xCC, 0xC1, 0xC0, 0xCE, 0xDF, 0xBD, 0x3D, 0x6C,
    0x0C, 0xDC, 0x1C, 0xBB, 0x3B, 0xDB, 0xEB, 0xC7, 0xA7, 0xC8, 0xF0, 0xF2, 0xFD, 0xAF, 0xAD, 0x8D, 0xAB, 0x8B, 0xBA,
];

fn any_command() -> impl Strategy<Value = (u8, Vec<u8>)> {
    (prop::sample::select(EVERY.to_vec()), parameters())
}

/// How a step of a session under a key is protected.
fn protection() -> impl Strategy<Value = Protection> {
    prop::sample::select(vec![Protection::Parameters, Protection::Mac, Protection::Full, Protection::Key])
}

/// Every value file of the card.
fn values(card: &Picc) -> Vec<i32> {
    card.memory()
        .applications
        .iter()
        .flat_map(|application| application.files.iter().map(|file| (application.aid, file.number)))
        .filter_map(|(aid, file)| card.value(aid, file))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn without_a_session(apdus in vec(apdu(), 1..20)) {
        let mut field = CardInField::new(card("adult"));
        for apdu in apdus {
            match field.step(&apdu) {
                Step::Answered(answer) => {
                    // An unwrapped native command is answered with a status of one byte.
                    let shortest = if matches!(apdu.first(), Some(0x00 | 0x90 | 0xFF)) { 2 } else { 1 };
                    prop_assert!(answer.len() >= shortest);
                }
                Step::Held(_) | Step::Torn(..) | Step::Lost => prop_assert!(false, "nothing holds or loses the card here"),
            }
        }
        prop_assert_eq!(purse_of(&field), 50_000);
    }

    /// Under the validate key, with right MACs, whatever is asked: the purse never rises.
    #[test]
    fn under_the_validate_key(commands in vec((instruction(), parameters()), 1..20)) {
        let mut reader = RawReader::authenticated("adult", VALIDATE);
        let mut purse = 50_000;
        for (instruction, data) in commands {
            let refused = if data.len() > 100 || matches!(instruction, 0xAF | 0x71 | 0x77 | 0x5A | 0x60 | 0x3D | 0x3B) {
                reader.send(instruction, &data).is_err()
            } else {
                matches!(reader.maced(instruction, &data), Err(Refusal::Status(_)))
            };
            let now = purse_of(&reader.field);
            prop_assert!(now <= purse);
            purse = now;
            if refused {
                reader = RawReader::new(reader.field);
                reader.select().expect("our application");
                reader.authenticate(VALIDATE).expect("the right key");
            }
        }
    }

    /// A blank card of each generation, to which anybody may do anything: whatever is made, locked, changed and formatted,
    /// it answers. APDUs are wrapped, native and of ISO/IEC 7816-4.
    #[test]
    fn blank_cards(
        name in prop::sample::select(vec!["blank-ev1", "blank-ev2", "blank-ev3", "adult-ev1", "adult-listed", "classic"]),
        commands in vec((any_command(), 0..3u8), 1..40),
    ) {
        let mut card = card(name);
        // An application without a lock, so that what follows has something to work on.
        card.handle(&wrap(0xCA, &[1, 2, 3, 0x0F, 0x93, 0x03, 0, 2, 16, 0]));
        card.handle(&wrap(0x5A, &[1, 2, 3]));
        for ((instruction, data), kind) in commands {
            let apdu = match kind {
                0 => wrap(instruction, &data),
                1 => [&[instruction], &data[..]].concat(),
                _ => [&[0x00, 0xA4 | instruction & 0x42, 0x04, 0x00], &data[..]].concat(),
            };
            prop_assert!(!card.handle(&apdu).is_empty());
        }
    }

    /// Whoever holds the validate key, and no other, in EV1 and EV2, with whatever protection: no value rises, and none
    /// appears.
    #[test]
    fn every_command_under_the_validate_key(
        name in prop::sample::select(vec!["adult", "adult-ev1"]),
        ev1 in any::<bool>(),
        steps in vec((any_command(), protection(), 0..9usize), 1..25),
    ) {
        let messaging = if ev1 || name == "adult-ev1" { Messaging::Ev1 } else { Messaging::Ev2 };
        let mut card = card(name);
        let key = card_key(card.identity().uid, VALIDATE);
        let select = wrap(0x5A, &AID);
        let mut before = values(&card);
        let mut session = None;
        for ((instruction, data), protection, header) in steps {
            let mut open = match session.take() {
                Some(open) => open,
                None => {
                    card.power_off();
                    prop_assert_eq!(card.handle(&select), [0x91, 0x00]);
                    Session::open(&mut card, messaging, VALIDATE, key)
                }
            };
            let (header, data) = data.split_at(header.min(data.len()));
            let data = if protection == Protection::Parameters || data.is_empty() { &[][..] } else { &data[..data.len().min(40)] };
            let enciphers_nothing = data.is_empty() && protection != Protection::Parameters;
            let protection = if enciphers_nothing { Protection::Parameters } else { protection };
            let command = open.command(protection, instruction, header, data);
            let answer = card.handle(&command);
            let now = values(&card);
            prop_assert_eq!(now.len(), before.len());
            prop_assert!(now.iter().zip(&before).all(|(now, before)| now <= before), "{:02X}: {:?} {:?}", instruction, now, before);
            before = now;
            // What follows is only worth its while in a session whose counters agree.
            let goes_on = answer.ends_with(&[0x91, 0x00]) && answer.len() > 2 && instruction != 0x51 && instruction != 0x5A;
            session = goes_on.then(|| {
                open.accept(&answer);
                open
            });
        }
    }

    /// Debits, credits, commits and aborts in any order against plain arithmetic.
    #[test]
    fn value_against_a_model(changes in vec((any::<bool>(), 0..40_000i32, 0..4u8), 1..30)) {
        let mut reader = RawReader::authenticated("adult", LOAD);
        let (mut committed, mut pending) = (50_000, 50_000);
        for (is_debit, amount, then) in changes {
            let answer = if is_debit { reader.debit(amount) } else { reader.credit(amount) };
            let changed = if is_debit { pending - amount } else { pending + amount };
            if (0..=2_000_000).contains(&changed) {
                prop_assert_eq!(answer, Ok(vec![]));
                pending = changed;
                match then {
                    0 => { reader.commit().expect("something to commit"); committed = pending; }
                    1 => { reader.maced(0xA7, &[]).expect("something to abort"); pending = committed; }
                    _ => {}
                }
            } else {
                prop_assert_eq!(answer, Err(Refusal::Status(0xBE)));
                pending = committed;
                reader.authenticate(LOAD).expect("the right key");
            }
            prop_assert_eq!(purse_of(&reader.field), committed);
        }
    }
}

fn purse_of(field: &CardInField) -> i32 {
    field.card().value(AID, PURSE).expect("our card")
}

/// The card waits for the rest of a command, and the reader has none: one that asked on for more of an answer would do so
/// for ever.
#[test]
fn a_command_that_stays_unfinished_is_given_up() {
    const UPDATE_RECORD: u8 = 0xDB;
    let mut reader = RawReader::authenticated("adult", VALIDATE);
    let answer = reader.maced(UPDATE_RECORD, &[3, 0, 0, 0, 0, 0, 0, 60, 0, 0, 1, 2, 3]);
    assert_eq!(answer, Err(Refusal::Status(0xCA)));
}
