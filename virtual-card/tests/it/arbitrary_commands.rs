//! Whatever is sent, the card answers, never panics, and never has more money than before.

use proptest::{collection::vec, prelude::*};
use virtual_card::{CardInField, field::Step};

use crate::raw_reader::{AID, LOAD, PURSE, RawReader, Refusal, VALIDATE, card};

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
    let wrapped = (instruction(), parameters()).prop_map(|(code, data)| crate::raw_reader::wrap(code, &data));
    prop_oneof![6 => wrapped, 1 => vec(any::<u8>(), 0..300)]
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
