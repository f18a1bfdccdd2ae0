//! Any sequence of APDUs to a virtual card: it answers each, and nobody who knows no key raises a purse.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use fuzz::counting;
use libfuzzer_sys::fuzz_target;
use virtual_card::{CardInField, Fixture, Moment, TestKeys, field::Step};

static CARDS: LazyLock<Vec<Fixture>> = LazyLock::new(|| {
    let fixtures = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures"));
    let keys = TestKeys::load(&fixtures.join("keys/test-card-keys.toml")).expect("the test keys");
    let moment = Moment { now: 1_795_395_600, today: 9823 };
    Fixture::load_directory(&fixtures.join("cards"), &keys, moment).expect("the project's cards")
});

// The first byte chooses the card; then come APDUs, each behind a byte with its length.
fuzz_target!(|bytes: &[u8]| {
    let Some((card, mut rest)) = bytes.split_first() else { return };
    let fixture = &CARDS[usize::from(*card) % CARDS.len()];
    let card = fixture.card(counting());
    let purse = fixture.purse(&card);
    // Two cards at once answer nothing.
    let is_clash = fixture.name() == "clash";
    let mut field = CardInField::new(card);
    while let Some((length, more)) = rest.split_first() {
        let (apdu, more) = more.split_at(usize::from(*length).min(more.len()));
        rest = more;
        match field.step(apdu) {
            Step::Answered(answer) => assert!(!answer.is_empty()),
            Step::Lost => assert!(is_clash, "nothing loses the card"),
            Step::Held(_) | Step::Torn(..) => unreachable!("nothing holds or tears the answer"),
        }
    }
    assert!(fixture.purse(field.card()) <= purse);
});
