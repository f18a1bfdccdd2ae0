//! What holds for every upload.

use proptest::prelude::*;
use transit::tap::{SealedTap, TAP_LEN};

use crate::support::{Card, City, MORNING, Validator, body, later, monday};

/// A morning of two validators: rides, free rides, refusals, and unknown taps of both ends.
fn morning() -> Vec<Vec<SealedTap>> {
    let mut validators = [Validator::new(1, 1), Validator::new(3, 2)];
    let mut cards = [Card::new(1, 90_000), Card::new(2, 90_000), Card::sixty_plus(3)];
    let mut logs = vec![Vec::new(), Vec::new()];
    for step in 0..12_u32 {
        let at = later(step * 400);
        let index = usize::try_from(step).unwrap();
        let (log, card) = (index % 2, &mut cards[index % 3]);
        let validator = &mut validators[log];
        logs[log].push(match step % 5 {
            1 => validator.unknown(card, at, true),
            3 => validator.unknown(card, at, false),
            4 => validator.declined(&Card::new(9, 1_000), at),
            _ => validator.done(card, at),
        });
    }
    logs
}

/// The balances, and the digest of the day's statements.
fn books(city: &mut City) -> (Vec<(String, i64)>, String) {
    city.verify();
    let balances = city.clearing_house.status().unwrap().balances_minor.into_iter().collect();
    (balances, city.clearing_house.settle(monday(), later(10_000)).unwrap().digest)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the logs are cut into uploads, interleaved, repeated and turned around: the same money, the same
    /// statements.
    #[test]
    fn any_uploads_of_the_same_logs_give_the_same_books(
        mut pieces in prop::collection::vec((0..2_usize, 0..6_usize, 1..4_usize), 0..12),
        backwards in any::<bool>(),
    ) {
        let logs = morning();
        let mut whole = City::new();
        for log in &logs {
            whole.upload(log);
        }
        let mut city = City::new();
        if backwards {
            pieces.sort_by_key(|(_, first, _)| std::cmp::Reverse(*first));
        }
        for (log, first, count) in pieces {
            city.upload(&logs[log][first..(first + count).min(6)]);
        }
        for log in logs.iter().rev() {
            city.upload(log);
        }
        prop_assert_eq!(books(&mut city), books(&mut whole));
    }

    #[test]
    fn arbitrary_bytes_get_a_verdict_each(
        junk in prop::collection::vec(any::<u8>(), 0..3 * TAP_LEN),
        at in 0..TAP_LEN,
        xor in 1..=255_u8,
    ) {
        let tap = Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING);
        let mut changed = body(std::slice::from_ref(&tap));
        changed[at] ^= xor;
        changed.extend(&junk);
        let mut city = City::new();
        let acknowledgement = city.upload_bytes(&changed, MORNING);
        prop_assert_eq!(acknowledgement.taps.len(), changed.len().div_ceil(TAP_LEN));
        prop_assert!(acknowledgement.taps.iter().all(|said| !said.verdict.is_booked()));
        city.verify();
    }

    /// A field changed and the tap sealed again, as a thief with a validator would: never a panic, and without the
    /// card's Transaction MAC never money.
    #[test]
    fn a_forged_tap_pays_nobody(at in 1..TAP_LEN - 64, xor in 1..=255_u8) {
        let tap = Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING);
        let mut bytes = *tap.as_bytes();
        bytes[at] ^= xor;
        let hash = ring::digest::digest(&ring::digest::SHA256, &bytes[..TAP_LEN - 32]);
        bytes[TAP_LEN - 32..].copy_from_slice(hash.as_ref());
        let mut city = City::new();
        let acknowledgement = city.upload_bytes(&bytes, later(60));
        let forged = SealedTap::from_bytes(&bytes).unwrap();
        let transaction_untouched = forged.open().is_ok_and(|forged| {
            let tap = tap.open().unwrap();
            (forged.card, forged.debited, forged.transaction_mac, forged.outcome)
                == (tap.card, tap.debited, tap.transaction_mac, tap.outcome)
                && (forged.record_read, forged.issuer_read, forged.record_written)
                    == (tap.record_read, tap.issuer_read, tap.record_written)
        });
        if !transaction_untouched {
            prop_assert_eq!(city.balance("operator:1:payable"), 0, "{:?}", acknowledgement);
        }
        city.verify();
    }
}
