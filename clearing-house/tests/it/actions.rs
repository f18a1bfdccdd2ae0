//! A verdict for every step of a desk; one bad step never blocks the good ones.

use transit::action::{ACTION_LEN, Action, ActionKind, SealedAction, Step};
use transit::desk::ACTIONS_PER_BATCH_MAX;
use transit::id::{DeviceId, OperatorId, TapId};
use transit::money::Amount;
use transit::sync::Verdict::{self, *};
use transit::tap::CHAIN_START;

use crate::desk_support::{Desk, End};
use crate::support::{Card, City, MORNING, Validator, desk_key, later, verdicts};

fn resealed(action: &SealedAction, change: impl FnOnce(&mut Action)) -> SealedAction {
    let mut opened = action.open().unwrap();
    change(&mut opened);
    opened.seal(&action.previous_hash(), |bytes| desk_key(0x44).sign(bytes).as_ref().try_into().unwrap()).unwrap()
}

fn flipped(action: &SealedAction, at: usize) -> SealedAction {
    let mut bytes = *action.as_bytes();
    bytes[at] ^= 1;
    SealedAction::from_bytes(&bytes).unwrap()
}

/// Uploads `before`, then `action`, and checks what is said of it.
fn check(before: &[SealedAction], action: &SealedAction, expected: Verdict, detail: &str) {
    let mut city = City::new();
    city.upload_actions(before);
    let acknowledgement = city.upload_actions(std::slice::from_ref(action));
    let said = &acknowledgement.taps[0];
    assert_eq!(said.verdict, expected, "{:?}", said.detail);
    assert_eq!(said.hash, hex::encode(action.hash()));
    let text = said.detail.clone().unwrap_or_default();
    assert!(text.contains(detail), "`{text}` does not say `{detail}`");
    if !expected.is_booked() {
        let kept: Vec<u8> = city.sql().query_row("SELECT bytes FROM kept_aside", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, action.as_bytes());
    }
    city.verify();
}

fn load() -> Vec<SealedAction> {
    Desk::new().load(&mut Card::new(1, 50_000), MORNING, 100_000)
}

#[test]
fn accepted_and_known() {
    let load = load();
    check(&load[..1], &load[1], Accepted, "");
    check(&load, &load[1], Known, "");
}

/// The card's proof is of one step: a desk that signs it anew is not believed twice.
#[test]
fn a_refund_that_is_signed_again_under_another_name_is_kept_aside() {
    let mut desk = Desk::new();
    let refund = desk.refund(&mut Card::new(1, 50_000), MORNING, 20_000, End::Written);
    let again = desk.seal(&Action { id: desk.next, ..refund.open().unwrap() });
    check(&[refund], &again, MacWrong, "sequence 2: its card made this transaction for another step");
}

#[test]
fn changed_malformed_and_not_signed_by_its_desk() {
    let load = load();
    check(&[], &flipped(&load[0], 100), Changed, "device 900 epoch 1 sequence 1: the bytes were changed");
    check(&[], &flipped(&load[0], 0), Malformed, "sealed-action version 0 is unknown");
    check(&[], &flipped(&load[0], ACTION_LEN - 1), SignatureWrong, "sequence 1: it is not signed by this desk");
    let other = desk_key(0x45);
    let forged = load[0].open().unwrap().seal(&CHAIN_START, |bytes| other.sign(bytes).as_ref().try_into().unwrap());
    check(&load, &forged.unwrap(), SignatureWrong, "not signed by this desk");
}

#[test]
fn conflict_is_alarmed() {
    let load = load();
    let other = resealed(&load[0], |action| action.staff += 1);
    check(&load, &other, Conflict, "another tap of this name is in the books");
    let mut city = City::new();
    city.upload_actions(&load);
    city.upload_actions(&[other]);
    assert_eq!(city.clearing_house.status().unwrap().alarms["conflict"], 1);
}

#[test]
fn only_registered_desks_are_taken_and_only_as_desks() {
    let load = load();
    let foreign = resealed(&load[0], |action| action.id.device = DeviceId::new(902).unwrap());
    check(&[], &foreign, UnknownDevice, "device 902 epoch 1 sequence 1: this device is not registered");
    let validator = resealed(&load[0], |action| action.id.device = DeviceId::new(1).unwrap());
    check(&[], &validator, UnknownDevice, "device 1 epoch 1 sequence 1: this device is not registered");
    let of_other = resealed(&load[0], |action| action.operator = OperatorId(2));
    check(&[], &of_other, UnknownDevice, "registered to operator 1, and the tap says 2");
    // A desk sends no taps.
    let tap = Validator::new(900, 1).done(&mut Card::new(1, 50_000), MORNING);
    assert_eq!(verdicts(&City::new().upload(&[tap])), [UnknownDevice]);
}

#[test]
fn broken_chain_and_order() {
    let load = load();
    let other = load[1].open().unwrap();
    let cut = other.seal(&[9; 32], |bytes| desk_key(0x44).sign(bytes).as_ref().try_into().unwrap()).unwrap();
    check(&load[..1], &cut, BrokenChain, "sequence 2: does not continue the tap before it");
    let mut city = City::new();
    let backwards = [load[1].clone(), load[0].clone()];
    assert_eq!(verdicts(&city.upload_actions(&backwards)), [Accepted, OutOfOrder]);
    assert_eq!(verdicts(&city.upload_actions(&load)), [Accepted, Known]);
    assert_eq!(city.clearing_house.status().unwrap().coverage[0].gaps, []);
    city.verify();
}

#[test]
fn a_changed_transaction_is_not_what_the_card_made() {
    let load = load();
    let changes: [fn(&mut Action); 6] = [
        |action| action.credited = Some(Amount::from(1)),
        |action| action.debited = Some(Amount::from(1)),
        |action| action.record_read = action.record_written,
        |action| action.issuer_read = Some([0; 64]),
        |action| action.issuer_written = Some([0; 64]),
        |action| action.transaction_mac.as_mut().unwrap().counter += 1,
    ];
    for change in changes {
        let changed = resealed(&load[1], change);
        check(&load[..1], &changed, MacWrong, "does not belong to this card and this transaction");
    }
}

/// Without a Transaction MAC nobody gets cash; what the desk owes anyway is booked and found.
#[test]
fn without_a_transaction_mac() {
    let mut desk = Desk::new();
    let (mut card, at) = (Card::new(1, 500_000), MORNING);
    let mut steps = desk.load(&mut card, at, 100_000);
    steps.extend(desk.sell(&mut card, at, End::Written));
    steps.push(desk.refund(&mut card, at, 50_000, End::Written));
    let mut taken_off = Desk::new().exchange(&mut Card::new(2, 9_000), &mut Card::new(3, 0), at);
    taken_off.truncate(1);
    for (step, expected) in
        [(&steps[1], Accepted), (&steps[3], Accepted), (&steps[4], MacWrong), (&taken_off[0], Accepted)]
    {
        let bare = resealed(step, |action| action.transaction_mac = None);
        let mut city = City::new();
        assert_eq!(verdicts(&city.upload_actions(std::slice::from_ref(&bare))), [expected], "{step:?}");
        let status = city.clearing_house.status().unwrap();
        let unproven = status.findings.get("unproven").copied().unwrap_or(0);
        assert_eq!((unproven, status.actions_proven), (u64::from(expected == Accepted), 0));
        city.verify();

        let mut lenient = City::with_policy("warn");
        let acknowledgement = lenient.upload_actions(&[bare]);
        assert_eq!(verdicts(&acknowledgement), [Accepted]);
        assert!(acknowledgement.taps[0].detail.is_some());
        lenient.verify();
    }
}

#[test]
fn a_part_of_an_action_at_the_end_is_one_malformed_verdict() {
    let load = load();
    let bytes: Vec<u8> = load.iter().flat_map(|action| *action.as_bytes()).collect();
    for cut in [1, 100, ACTION_LEN - 1] {
        let mut city = City::new();
        let text = city.clearing_house.receive_actions(&bytes[..bytes.len() - cut], MORNING).unwrap().text;
        let acknowledgement = serde_json::from_str(&text).unwrap();
        assert_eq!(verdicts(&acknowledgement), [Accepted, Malformed]);
        city.verify();
    }
}

#[test]
fn an_upload_has_a_most_that_it_may_carry() {
    let mut city = City::new();
    let most = vec![0xFF; ACTIONS_PER_BATCH_MAX * ACTION_LEN];
    let text = city.clearing_house.receive_actions(&most, MORNING).unwrap().text;
    assert_eq!(verdicts(&serde_json::from_str(&text).unwrap()), [Malformed; ACTIONS_PER_BATCH_MAX]);
    for more in [1, ACTION_LEN] {
        let error = city.clearing_house.receive_actions(&[&most[..], &vec![0; more]].concat(), MORNING).unwrap_err();
        let expected =
            format!("an upload has at most 300 actions of 512 bytes, and this one has {} bytes", most.len() + more);
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_desk_s_record_that_does_not_add_up_is_found() {
    let mut desk = Desk::new();
    let mut card = Card::new(1, 500_000);
    let mut sold = desk.sell(&mut card, MORNING, End::Written);
    let sale = sold.pop().unwrap();
    let clean = [sold[0].clone(), sale.clone()];
    let mut city = City::new();
    city.upload_actions(&clean);
    assert_eq!(city.clearing_house.status().unwrap().findings.get("action_differs"), None);

    // Sold for less than the tariff says, and without having read the issuer file.
    let changes: [fn(&mut Action); 4] = [
        |action| action.amount = Amount::from(70_000),
        |action| action.issuer_read = None,
        |action| action.product = None,
        |action| action.tariff_version = 9,
    ];
    for change in changes {
        let mut city = City::with_policy("observe");
        city.upload_actions(&[sold[0].clone(), resealed(&sale, change)]);
        assert!(city.clearing_house.status().unwrap().findings["action_differs"] >= 1);
        city.verify();
    }
}

#[test]
fn a_poisoned_upload_costs_only_the_bad_steps() {
    let mut desk = Desk::new();
    let mut steps = Vec::new();
    for number in 0..5 {
        steps.extend(desk.load(&mut Card::new(number, 0), later(u32::from(number) * 60), 10_000));
    }
    for index in 0..steps.len() {
        let mut poisoned = steps.clone();
        poisoned[index] = flipped(&steps[index], 200);
        let mut expected = vec![Accepted; steps.len()];
        expected[index] = Changed;
        let mut city = City::new();
        assert_eq!(verdicts(&city.upload_actions(&poisoned)), expected);
        assert_eq!(city.upload_actions(&steps).taps[index].verdict, Accepted);
        assert_eq!(city.balance("desk:900:cash"), -50_000);
        assert_eq!(city.balance("cards:float"), 50_000);
    }
}

#[test]
fn the_same_upload_again_adds_no_row() {
    let load = load();
    let mut city = City::new();
    city.upload_actions(&load);
    let rows = |city: &City| -> Vec<u32> {
        ["action", "kept_aside", "receipt", "entry", "posting", "evidence", "finding"]
            .map(|table| city.sql().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap())
            .to_vec()
    };
    let before = rows(&city);
    assert_eq!(verdicts(&city.upload_actions(&load)), [Known, Known]);
    assert_eq!(rows(&city), before);
}

#[test]
fn a_clock_that_runs_ahead_is_found() {
    let mut desk = Desk::new();
    let paid = desk.step((ActionKind::TopUp, Step::Paid), None::<TapId>, &Card::new(1, 0), later(200_000), 10_000);
    let mut city = City::new();
    city.upload_actions(&[paid]);
    assert_eq!(city.clearing_house.status().unwrap().findings["clock_ahead"], 1);
    city.verify();
}
