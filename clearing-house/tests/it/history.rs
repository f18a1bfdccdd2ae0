//! Unknown taps that no Transaction MAC reaches: what others read on their card decides, and nobody's word about itself.

use clearing_house::history::{Claim, History, Look, follows};
use proptest::prelude::*;
use transit::card::{Record, RecordKind};
use transit::id::{OperatorId, TapId};
use transit::money::{Amount, Balance};
use transit::tap::{Outcome, SealedTap, Tap};

use crate::support::{Card, City, MORNING, Validator, later};

/// Payable to operator 1, to operator 2, and in suspense.
fn money(city: &mut City) -> [i64; 3] {
    city.verify();
    ["operator:1:payable", "operator:2:payable", "suspense:unknown"].map(|account| city.balance(account))
}

fn findings(city: &mut City, kind: &str) -> u64 {
    city.clearing_house.status().unwrap().findings.get(kind).copied().unwrap_or(0)
}

/// The older records of `card`, newest first, as `validator` reads them after its green.
fn evidence(validator: &mut Validator, card: &Card, at: u32, records: &[Record]) -> SealedTap {
    let bytes = |index: usize| records.get(index).map(|record| record.encode().unwrap());
    let blank = validator.blank(card, later(at));
    let [record_read, record_written] = [bytes(0), bytes(1)];
    validator.seal(&Tap { outcome: Outcome::Evidence, record_read, record_written, ..blank })
}

fn every_order<T: Clone>(things: &[T]) -> Vec<Vec<T>> {
    if things.is_empty() {
        return vec![Vec::new()];
    }
    let mut orders = Vec::new();
    for first in 0..things.len() {
        let mut others = things.to_vec();
        let chosen = others.remove(first);
        orders.extend(every_order(&others).into_iter().map(|order| [vec![chosen.clone()], order].concat()));
    }
    orders
}

/// A card that has one proven ride at operator 1.
fn ridden() -> (Card, Validator, SealedTap) {
    let (mut card, mut first) = (Card::new(1, 100_000), Validator::new(1, 1));
    let anchor = first.done(&mut card, MORNING);
    (card, first, anchor)
}

#[test]
fn a_row_of_torn_taps_of_two_operators_is_paid_in_every_order_of_uploads() {
    let (mut card, mut first, anchor) = ridden();
    let mut second = Validator::new(3, 2);
    // Void: the card left before it acted, and went on to the other operator's validator.
    let void = first.unknown(&mut card, later(1_000), false);
    let torn = [
        second.unknown(&mut card, later(2_000), true),
        first.unknown(&mut card, later(3_000), true),
        second.unknown(&mut card, later(4_000), true),
        first.unknown(&mut card, later(5_000), true),
    ];
    let later = Validator::new(2, 1).done(&mut card, later(9_000));
    let uploads: Vec<_> = [vec![anchor], vec![void], torn.to_vec(), vec![later]].concat();
    for order in every_order(&uploads).iter().step_by(43) {
        let mut city = City::new();
        for tap in order {
            city.upload(std::slice::from_ref(tap));
        }
        assert_eq!(money(&mut city), [4 * 8_000, 2 * 8_000, 0]);
        assert_eq!(findings(&mut city, "evidence_differs"), 0);
    }
}

#[test]
fn a_row_of_one_operator_waits_until_another_operator_reads_it() {
    let (mut card, mut first, anchor) = ridden();
    let mut second = Validator::new(2, 1);
    let torn = first.unknown(&mut card, later(1_000), true);
    let records = [card.record];
    let next = second.unknown(&mut card, later(2_000), true);
    let records = [card.record, records[0]];
    let last = first.unknown(&mut card, later(3_000), true);
    let mut own = Validator { next: TapId { epoch: 2, ..Validator::new(2, 1).next }, ..Validator::new(2, 1) };
    let own = [own.done(&mut card, later(4_000)), evidence(&mut own, &card, 4_001, &records)];
    let mut city = City::new();
    city.upload(&[anchor, torn, last]);
    city.upload(&[next]);
    city.upload(&own);
    assert_eq!(money(&mut city), [4 * 8_000, 0, 8_000]);

    // Read elsewhere, right after a proven tap of the card.
    let mut other = Validator::new(3, 2);
    let looks = [
        evidence(&mut other, &card, 5_000, &records),
        other.done(&mut card, later(5_001)),
        evidence(&mut other, &card, 5_002, &records),
    ];
    city.upload(&looks[..2]);
    assert_eq!(money(&mut city), [4 * 8_000, 8_000, 8_000]);
    city.upload(&looks[2..]);
    assert_eq!(money(&mut city), [5 * 8_000, 8_000, 0]);
}

#[test]
fn a_made_up_tap_is_not_paid_on_its_own_operators_word() {
    let (mut card, mut first, anchor) = ridden();
    let made_up = first.clone().unknown(&mut card.clone(), later(1_000), true);
    // What really was there; the log comes late.
    let (mut records, mut late) = (Vec::new(), Vec::new());
    let mut other = Validator::new(3, 2);
    for at in [1_100, 2_000, 3_000] {
        late.push(other.done(&mut card, later(at)));
        records.insert(0, card.record);
    }
    let forged = Record { previous: Some(made_up.open().unwrap().id), ..records[1] };
    let made_up_record = Record::decode(&made_up.open().unwrap().record_written.unwrap()).unwrap();
    assert!(follows(&forged, &made_up_record) && follows(&records[0], &forged));
    (first.next.sequence, first.hash) = (first.next.sequence + 1, made_up.hash());
    let mine = [first.done(&mut card, later(5_000)), evidence(&mut first, &card, 5_001, &[forged, made_up_record])];
    let mut city = City::new();
    city.upload(&[anchor, made_up]);
    city.upload(&mine);
    // It fills the gap to the last đồng.
    assert_eq!(money(&mut city), [2 * 8_000, 0, 8_000]);
    // The other operator reads the truth, and would gain by it: that decides nothing either.
    let mut third = Validator { next: TapId { epoch: 2, ..other.next }, ..Validator::new(3, 2) };
    third.next.sequence = 1;
    let looks = [third.done(&mut card, later(6_000)), evidence(&mut third, &card, 6_001, &records[1..])];
    city.upload(&looks);
    assert_eq!(money(&mut city), [2 * 8_000, 8_000, 8_000]);
    city.upload(&late);
    assert_eq!(money(&mut city), [2 * 8_000, 4 * 8_000, 0]);
}

#[test]
fn what_a_proof_says_later_is_found_and_the_books_stay_sound() {
    let (mut card, mut first, anchor) = ridden();
    let before = card.clone();
    let told = first.unknown(&mut card, later(1_000), true);
    let mut second = Validator::new(3, 2);
    let torn = [second.unknown(&mut card, later(2_000), true), first.unknown(&mut card, later(3_000), true)];
    let last = Validator::new(2, 1).done(&mut card, later(4_000));
    let mut city = City::new();
    city.upload(&[anchor, told, torn[1].clone()]);
    city.upload(&torn[..1]);
    city.upload(&[last]);
    assert_eq!(money(&mut city), [4 * 8_000, 8_000, 0]);
    // A copy of the card, as it was before: its chip proves another tap in the same place.
    let mut copy = before;
    let mut elsewhere = Validator { next: TapId { epoch: 3, ..Validator::new(3, 2).next }, ..Validator::new(3, 2) };
    city.upload(&[elsewhere.done(&mut copy, later(1_500))]);
    assert_eq!(findings(&mut city, "evidence_differs"), 1);
    assert_eq!(money(&mut city), [4 * 8_000, 2 * 8_000, 0]);
}

fn record(number: u32, device: u32, kind: RecordKind, amount: u32, balance: i64, previous: Option<TapId>) -> Record {
    let tap = Some(TapId { sequence: number, ..Validator::new(device, 1).next });
    let (amount, balance_after) = (Amount::from(amount), Balance::from_minor(balance));
    Record { kind, card_sequence: number, tap, previous, amount, balance_after, ..Card::new(1, 0).record }
}

#[test]
fn a_record_follows_another_where_name_number_and_purse_fit() {
    let older = record(4, 1, RecordKind::Boarding, 8_000, 50_000, None);
    let newer = |kind, amount, balance| record(5, 2, kind, amount, balance, older.tap);
    for (kind, amount, balance, expected) in [
        (RecordKind::Boarding, 8_000, 42_000, true),
        (RecordKind::Boarding, 0, 50_000, true),
        (RecordKind::Boarding, 8_000, 50_000, false),
        (RecordKind::TapIn, 8_000, 42_000, true),
        (RecordKind::TapOut, 8_000, 42_000, true),
        (RecordKind::Refund, 50_000, 0, true),
        (RecordKind::Load, 20_000, 70_000, true),
        (RecordKind::Load, 20_000, 30_000, false),
        (RecordKind::Sale, 140_000, 50_000, true),
        (RecordKind::Issued, 0, 50_000, false),
    ] {
        assert_eq!(follows(&newer(kind, amount, balance), &older), expected, "{kind:?} {amount} {balance}");
    }
    let good = newer(RecordKind::Boarding, 8_000, 42_000);
    assert!(!follows(&Record { card_sequence: 6, ..good }, &older));
    assert!(!follows(&Record { previous: good.tap, ..good }, &older));
    assert!(!follows(&Record { previous: None, ..good }, &Record { tap: None, ..older }));
}

/// Any few looks at a handful of records and taps, so that many fit each other.
fn any_look() -> impl Strategy<Value = Look> {
    (1_u16..4, 2_u32..6, 1_u32..4, 1_u32..4).prop_map(|(operator, number, device, before)| {
        let previous = Some(TapId { sequence: number - 1, ..Validator::new(before, 1).next });
        let balance = 100_000 - i64::from(number) * 8_000;
        Look {
            operator: OperatorId(operator),
            record: record(number, device, RecordKind::Boarding, 8_000, balance, previous),
        }
    })
}

proptest! {
    /// More that is told takes nothing back, and no word of an operator confirms a tap of its own.
    #[test]
    fn what_is_told_stays_and_never_pays_the_one_who_tells(
        looks in proptest::collection::vec(any_look(), 0..12),
        proven in proptest::collection::vec(any_look(), 0..3),
        claimed in any_look(),
        cut in 0_usize..12,
    ) {
        let proven: Vec<_> = proven.into_iter().map(|look| look.record).collect();
        let Look { operator, record } = claimed;
        let claim = Claim { tap: record.tap.unwrap(), operator, amount: record.amount, record };
        let whole = History { proven: proven.clone(), looks: looks.clone() };
        let part = History { proven: proven.clone(), looks: looks.iter().take(cut).cloned().collect() };
        let less = History { proven: proven.iter().take(1).copied().collect(), looks: looks.clone() };
        for part in [&part, &less] {
            prop_assert!(!part.confirms(&claim) || whole.confirms(&claim));
            let others = whole.others(&claim);
            prop_assert!(part.others(&claim).iter().all(|told| others.contains(told)));
        }
        let own = History { proven, looks: looks.into_iter().map(|look| Look { operator, ..look }).collect() };
        prop_assert!(!own.confirms(&claim));
    }
}
