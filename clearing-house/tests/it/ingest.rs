//! A verdict for every tap; one bad tap never blocks the good ones.

use transit::id::{DeviceId, OperatorId, TapId};
use transit::money::Amount;
use transit::sync::TAPS_PER_BATCH_MAX;
use transit::sync::Verdict::{self, *};
use transit::tap::{CHAIN_START, SealedTap, TAP_LEN, Tap};

use crate::support::{Card, City, MORNING, Validator, body, later, monday, verdicts};

/// Taps of one validator, each by another card.
fn log_of(validator: &mut Validator, count: u8) -> Vec<SealedTap> {
    (0..count).map(|number| validator.done(&mut Card::new(number, 50_000), later(u32::from(number)))).collect()
}

fn resealed(tap: &SealedTap, change: impl FnOnce(&mut Tap)) -> SealedTap {
    let mut opened = tap.open().unwrap();
    change(&mut opened);
    opened.seal(&tap.previous_hash()).unwrap()
}

fn flipped(tap: &SealedTap, at: usize) -> SealedTap {
    let mut bytes = *tap.as_bytes();
    bytes[at] ^= 1;
    SealedTap::from_bytes(&bytes).unwrap()
}

/// Uploads `before`, then `tap`, and checks what is said of it.
fn check(before: &[SealedTap], tap: &SealedTap, expected: Verdict, detail: &str) {
    let mut city = City::new();
    city.upload(before);
    let acknowledgement = city.upload(std::slice::from_ref(tap));
    let said = &acknowledgement.taps[0];
    assert_eq!(said.verdict, expected, "{:?}", said.detail);
    assert_eq!(said.hash, hex::encode(tap.hash()));
    let text = said.detail.clone().unwrap_or_default();
    assert!(text.contains(detail), "`{text}` does not say `{detail}`");
    if !expected.is_booked() {
        assert!(text.contains("device") && text.contains("sequence"), "`{text}` names no device and sequence");
        let kept: Vec<u8> = city.sql().query_row("SELECT bytes FROM kept_aside", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, tap.as_bytes());
    }
    city.verify();
}

#[test]
fn accepted() {
    let mut validator = Validator::new(1, 1);
    check(&[], &validator.done(&mut Card::new(1, 50_000), MORNING), Accepted, "");
}

#[test]
fn known() {
    let tap = Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING);
    check(std::slice::from_ref(&tap), &tap, Known, "");
}

#[test]
fn changed() {
    let tap = Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING);
    check(&[], &flipped(&tap, 100), Changed, "device 1 epoch 1 sequence 1: the bytes were changed");
}

#[test]
fn malformed_version() {
    let tap = Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING);
    check(&[], &flipped(&tap, 0), Malformed, "sequence 1: sealed-tap version 0 is unknown");
}

#[test]
fn conflict_is_alarmed_once() {
    let tap = Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING);
    let other = Validator::new(1, 1).done(&mut Card::new(2, 50_000), MORNING);
    check(std::slice::from_ref(&tap), &other, Conflict, "sequence 1: another tap of this name");

    let mut city = City::new();
    city.upload(&[tap]);
    for _ in 0..3 {
        city.upload(std::slice::from_ref(&other));
    }
    let status = city.clearing_house.status().unwrap();
    assert_eq!(status.alarms["conflict"], 1);
    assert_eq!(status.verdicts["conflict"], 1);
    assert_eq!(city.balance("operator:1:payable"), 8_000);
}

/// The second of them is no later tap of the log than the first.
#[test]
fn two_taps_of_one_name_in_one_upload_are_a_conflict() {
    let tap = Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING);
    let other = Validator::new(1, 1).done(&mut Card::new(2, 50_000), MORNING);
    assert_eq!(verdicts(&City::new().upload(&[tap, other])), [Accepted, Conflict]);
}

#[test]
fn unknown_device() {
    let tap = Validator::new(9, 1).done(&mut Card::new(1, 50_000), MORNING);
    check(&[], &tap, UnknownDevice, "device 9 epoch 1 sequence 1: this device is not registered");
    let tap = Validator::new(1, 2).done(&mut Card::new(1, 50_000), MORNING);
    check(&[], &tap, UnknownDevice, "registered to operator 1, and the tap says 2");
}

#[test]
fn broken_chain_with_the_tap_before() {
    let taps = log_of(&mut Validator::new(1, 1), 2);
    let other = taps[1].open().unwrap().seal(&[9; 32]).unwrap();
    check(&taps[..1], &other, BrokenChain, "sequence 2: does not continue the tap before it");
}

#[test]
fn broken_chain_with_the_tap_after() {
    let taps = log_of(&mut Validator::new(1, 1), 2);
    let other = resealed(&taps[0], |tap| tap.deny_list_version += 1);
    check(&taps[1..], &other, BrokenChain, "sequence 1: the tap after it does not continue it");
}

#[test]
fn broken_chain_at_its_start() {
    let tap = Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING);
    let other = tap.open().unwrap().seal(&[9; 32]).unwrap();
    check(&[], &other, BrokenChain, "the first tap of a device's first epoch names a tap before it");
}

#[test]
fn transaction_mac_wrong_or_missing() {
    let tap = Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING);
    let missing = resealed(&tap, |tap| tap.transaction_mac = None);
    check(&[], &missing, MacWrong, "it carries no Transaction MAC");
    let foreign = "its card token is not made with this system's token key";
    check(&[], &resealed(&tap, |tap| tap.card.0[0] ^= 1), MacWrong, foreign);
    let changes: [fn(&mut Tap); 5] = [
        |tap| tap.debited = Some(Amount::from(1)),
        |tap| tap.record_read = tap.record_written,
        |tap| tap.record_written = tap.record_read,
        |tap| tap.issuer_read = Some([0; 64]),
        |tap| tap.transaction_mac.as_mut().unwrap().counter += 1,
    ];
    for change in changes {
        check(&[], &resealed(&tap, change), MacWrong, "does not belong to this card and this transaction");
    }
}

/// The card's proof is of one tap. An operator that seals it anew, as the next tap or in another validator's log, is not paid
/// for it twice.
#[test]
fn a_ride_that_is_billed_again_under_another_name_is_kept_aside() {
    let mut validator = Validator::new(1, 1);
    let tap = validator.done(&mut Card::new(1, 50_000), MORNING);
    let again = validator.seal(&Tap { id: validator.next, ..tap.open().unwrap() });
    check(std::slice::from_ref(&tap), &again, MacWrong, "sequence 2: its card made this transaction for another tap");
    let mut other = Validator::new(3, 2);
    let elsewhere = other.seal(&Tap { id: other.next, operator: OperatorId(2), ..tap.open().unwrap() });
    check(&[tap], &elsewhere, MacWrong, "device 3 epoch 1 sequence 1: its card made this transaction for another tap");
}

/// Cards and validators come to a new key one by one: until then the older one proves.
#[test]
fn after_a_roll_the_older_keys_still_prove() {
    let tap = Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING);
    let mut city = City::after_a_roll();
    assert_eq!(verdicts(&city.upload(std::slice::from_ref(&tap))), [Accepted]);
    let forged = resealed(&tap, |tap| tap.transaction_mac.as_mut().unwrap().value[0] ^= 1);
    assert_eq!(verdicts(&City::after_a_roll().upload(&[forged])), [MacWrong]);
}

#[test]
fn a_policy_that_does_not_enforce_books_what_is_unproven() {
    let tap = Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING);
    let unproven = resealed(&tap, |tap| tap.transaction_mac = None);
    for (policy, warns) in [("observe", false), ("warn", true)] {
        let mut city = City::with_policy(policy);
        let acknowledgement = city.upload(std::slice::from_ref(&unproven));
        assert_eq!(verdicts(&acknowledgement), [Accepted]);
        assert_eq!(acknowledgement.taps[0].detail.is_some(), warns);
        let status = city.clearing_house.status().unwrap();
        assert_eq!((status.findings["unproven"], status.transaction_macs_right), (1, 0));
        assert_eq!(city.balance("operator:1:payable"), 8_000);
        city.verify();
    }
}

/// Cards on EV1 chips have no Transaction MAC: an operator that made such rides up would be paid so much a day.
#[test]
fn rides_that_no_card_can_prove_are_paid_up_to_a_limit() {
    let unproven = |validator: &mut Validator, number, at| validator.unproven(&mut Card::new(number, 50_000), at);
    let (mut first, mut second, mut other) = (Validator::new(1, 1), Validator::new(2, 1), Validator::new(3, 2));
    let taps = [
        unproven(&mut first, 1, MORNING),
        unproven(&mut first, 2, MORNING),
        unproven(&mut first, 3, MORNING),
        unproven(&mut second, 4, MORNING),
        unproven(&mut other, 5, MORNING),
    ];
    let mut city = City::with_unproven_daily_limit(16_000);
    let acknowledgement = city.upload(&taps);
    assert_eq!(verdicts(&acknowledgement), [Accepted, Accepted, MacWrong, MacWrong, Accepted]);
    let said = acknowledgement.taps[2].detail.as_ref().unwrap();
    assert!(said.contains("sequence 3: it carries no Transaction MAC, and operator 1 is paid at most 16000"), "{said}");
    let balances = (city.balance("operator:1:payable"), city.balance("operator:2:payable"));
    assert_eq!(balances, (16_000, 8_000));
    assert_eq!(city.clearing_house.status().unwrap().findings["unproven"], 3);
    // The next day has its own, and a wrong MAC is no missing one.
    let next_day = later(24 * 3600);
    assert_eq!(verdicts(&city.upload_at(&[unproven(&mut second, 6, next_day)], next_day)), [Accepted]);
    let forged = resealed(&other.done(&mut Card::new(7, 50_000), MORNING), |tap| {
        tap.transaction_mac.as_mut().unwrap().value[0] ^= 1;
    });
    assert_eq!(verdicts(&city.upload(&[forged])), [MacWrong]);
    city.verify();
}

#[test]
fn out_of_order_within_an_upload_and_then_sent_again() {
    let taps = log_of(&mut Validator::new(1, 1), 4);
    let mut city = City::new();
    let shuffled = [taps[0].clone(), taps[2].clone(), taps[1].clone(), taps[3].clone()];
    let acknowledgement = city.upload(&shuffled);
    assert_eq!(verdicts(&acknowledgement), [Accepted, Accepted, OutOfOrder, Accepted]);
    assert!(acknowledgement.taps[2].detail.as_ref().unwrap().contains("device 1 epoch 1 sequence 2"));
    assert_eq!(city.clearing_house.status().unwrap().coverage[0].gaps.len(), 1);
    assert_eq!(verdicts(&city.upload(&taps)), [Known, Accepted, Known, Known]);
    assert_eq!(city.clearing_house.status().unwrap().coverage[0].gaps, []);
    assert_eq!(city.balance("operator:1:payable"), 32_000);
    city.verify();
}

#[test]
fn a_part_of_a_tap_at_the_end_is_one_malformed_verdict() {
    let taps = log_of(&mut Validator::new(1, 1), 2);
    let bytes = body(&taps);
    for cut in [1, 100, TAP_LEN - 1] {
        let mut city = City::new();
        let acknowledgement = city.upload_bytes(&bytes[..bytes.len() - cut], MORNING);
        assert_eq!(verdicts(&acknowledgement), [Accepted, Malformed]);
        assert_eq!(acknowledgement.taps[1].tap, None);
        city.verify();
    }
}

#[test]
fn nothing_is_an_upload_of_nothing() {
    let mut city = City::new();
    assert_eq!(city.upload_bytes(&[], MORNING).taps, []);
    let receipts: u32 = city.sql().query_row("SELECT count(*) FROM receipt", [], |row| row.get(0)).unwrap();
    assert_eq!(receipts, 0);
}

type Poison<'a> = &'a dyn Fn(&SealedTap) -> SealedTap;

#[test]
fn poison_at_any_place_stops_nothing_else() {
    const TAPS: u8 = 50;
    let taps = log_of(&mut Validator::new(1, 1), TAPS);
    let foreign = |tap: &SealedTap| resealed(tap, |tap| tap.id.device = DeviceId::new(9).unwrap());
    let of_other = |tap: &SealedTap| resealed(tap, |tap| tap.operator = OperatorId(2));
    let unproven = |tap: &SealedTap| resealed(tap, |tap| tap.transaction_mac = None);
    let poisons: [(Poison<'_>, Verdict); 5] = [
        (&|tap| flipped(tap, 200), Changed),
        (&|_| SealedTap::from_bytes(&[0xFF; TAP_LEN]).unwrap(), Malformed),
        (&foreign, UnknownDevice),
        (&of_other, UnknownDevice),
        (&unproven, MacWrong),
    ];
    for index in 0..usize::from(TAPS) {
        let (poison, expected) = &poisons[index % poisons.len()];
        let mut poisoned = taps.clone();
        poisoned[index] = poison(&taps[index]);
        let mut city = City::new();
        let mut all = vec![Accepted; usize::from(TAPS)];
        all[index] = *expected;
        assert_eq!(verdicts(&city.upload(&poisoned)), all, "poison at {index}");
        assert_eq!(city.balance("operator:1:payable"), 8_000 * (i64::from(TAPS) - 1));
        // The true tap comes later, and the books are whole.
        assert_eq!(city.upload(&taps).taps[index].verdict, Accepted);
        assert_eq!(city.balance("operator:1:payable"), 8_000 * i64::from(TAPS));
    }
}

#[test]
fn the_same_upload_again_adds_no_row() {
    let mut validator = Validator::new(1, 1);
    let mut taps = log_of(&mut validator, 5);
    taps[2] = flipped(&taps[2], 150);
    let mut city = City::new();
    city.upload(&taps);
    let rows = |city: &City| -> Vec<u32> {
        ["tap", "kept_aside", "receipt", "entry", "posting", "evidence", "finding"]
            .map(|table| city.sql().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap())
            .to_vec()
    };
    let before = rows(&city);
    assert_eq!(verdicts(&city.upload(&taps)), [Known, Known, Changed, Known, Known]);
    assert_eq!(rows(&city), before);
}

#[test]
fn a_fare_of_nothing_moves_no_money_and_counts() {
    let mut city = City::new();
    let tap = Validator::new(1, 1).done(&mut Card::sixty_plus(1), MORNING);
    assert_eq!(verdicts(&city.upload(&[tap])), [Accepted]);
    let status = city.clearing_house.status().unwrap();
    assert!(status.balances_minor.is_empty() && status.findings.is_empty());
    let day = city.clearing_house.settle(monday(), later(7_200)).unwrap();
    let statement = &day.statements[0].statement;
    assert_eq!((statement.rides, statement.amount_minor), (1, Amount::ZERO));
    city.verify();
}

#[test]
fn a_decision_that_differs_is_a_finding_and_is_paid() {
    let mut validator = Validator::new(1, 1);
    let mut card = Card::new(1, 50_000);
    let (tap, accept) = validator.intend(&card, MORNING);
    let dearer = Amount::from(9_000);
    let record = transit::card::Record { amount: dearer, ..accept.record };
    let tap = Tap {
        outcome: transit::tap::Outcome::Done,
        fare: dearer,
        debited: Some(dearer),
        record_written: Some(record.encode().unwrap()),
        ..tap
    };
    let sealed = validator.seal(&card.prove(tap));
    let poor = validator.declined(&Card::new(2, 3_000), later(10));
    let rich = validator.declined(&Card::new(3, 30_000), later(20));
    let mut city = City::new();
    assert_eq!(verdicts(&city.upload(&[sealed, poor, rich])), [Accepted; 3]);
    assert_eq!(city.clearing_house.status().unwrap().findings["decision_differs"], 2);
    assert_eq!(city.balance("operator:1:payable"), 9_000);
    city.verify();
}

#[test]
fn rides_of_one_card_one_after_the_other_have_no_finding() {
    let (mut first, mut second, mut card) = (Validator::new(1, 1), Validator::new(3, 2), Card::new(1, 50_000));
    let mut city = City::new();
    for ride in 0..4 {
        let validator = if ride % 2 == 0 { &mut first } else { &mut second };
        city.upload(&[validator.done(&mut card, later(ride * 1_000))]);
    }
    assert_eq!(city.clearing_house.status().unwrap().findings, Default::default());
}

#[test]
fn two_cards_of_one_name_are_found() {
    let mut validator = Validator::new(1, 1);
    let mut card = Card::new(1, 50_000);
    let mut copy = card.clone();
    let taps = [
        validator.done(&mut card, MORNING),
        validator.done(&mut copy, later(1_000)),
        validator.done(&mut card, later(2_000)),
    ];
    let mut city = City::new();
    city.upload(&taps);
    let status = city.clearing_house.status().unwrap();
    assert!(status.findings["record_twice"] >= 1, "{:?}", status.findings);
    assert!(status.findings["counter_twice"] >= 1, "{:?}", status.findings);
    city.verify();
}

#[test]
fn an_epoch_begins_its_own_chain() {
    let mut validator = Validator::new(1, 1);
    let first = validator.done(&mut Card::new(1, 50_000), MORNING);
    let mut replaced = Validator { next: TapId { epoch: 2, sequence: 1, ..validator.next }, ..validator };
    replaced.hash = CHAIN_START;
    let second = replaced.done(&mut Card::new(2, 50_000), later(60));
    let mut city = City::new();
    assert_eq!(verdicts(&city.upload(&[first, second])), [Accepted, Accepted]);
    city.verify();
}

/// After damage a validator's new log goes on from the last head that it kept, whether that tap came here or not.
#[test]
fn a_log_begun_anew_goes_on_from_the_head_of_the_one_before() {
    let mut validator = Validator::new(1, 1);
    let first = validator.done(&mut Card::new(1, 50_000), MORNING);
    let lost = validator.done(&mut Card::new(2, 50_000), later(30));
    for (head, said) in [(&first, "goes on from tap 1-1-1;"), (&lost, "goes on from a tap that is not here;")] {
        let mut anew = Validator { next: TapId { epoch: 2, sequence: 1, ..validator.next }, ..Validator::new(1, 1) };
        anew.hash = head.hash();
        let (third, fourth) =
            (anew.done(&mut Card::new(3, 50_000), later(60)), anew.done(&mut Card::new(4, 50_000), later(90)));
        let mut city = City::new();
        assert_eq!(verdicts(&city.upload(&[first.clone(), third, fourth])), [Accepted, Accepted, Accepted]);
        assert_eq!(city.clearing_house.status().unwrap().alarms["log_begun_anew"], 1);
        let detail: String = city.sql().query_row("SELECT detail FROM finding", [], |row| row.get(0)).unwrap();
        assert!(detail.contains(said), "{detail}");
        city.verify();
    }
}

#[test]
fn an_upload_has_a_most_that_it_may_carry() {
    let mut city = City::new();
    let most = vec![0xFF; TAPS_PER_BATCH_MAX * TAP_LEN];
    assert_eq!(verdicts(&city.upload_bytes(&most, MORNING)), [Malformed; TAPS_PER_BATCH_MAX]);
    for more in [1, TAP_LEN] {
        let error = city.clearing_house.receive(&[&most[..], &vec![0; more]].concat(), MORNING).unwrap_err();
        let expected =
            format!("an upload has at most 500 taps of 352 bytes, and this one has {} bytes", most.len() + more);
        assert_eq!(error.to_string(), expected);
    }
}
