//! The counts of a tap on a card in memory: exchanges, bytes, chained frames.

use benches::{
    Failure,
    bus::{Bus, MORNING, Presented, memory_folder},
    replay::Recording,
    rf_model::{Case, tap_ms},
    transcript::{bytes_on_air, chained_frames},
};
use transit::{screen::State, time::Moment};
use virtual_card::{CardInField, Fault};

fn first_tap(name: &str) -> Result<Presented, Failure> {
    let folder = memory_folder()?;
    let mut bus = Bus::new(folder.path())?;
    let mut field = CardInField::new(bus.card(name)?);
    bus.tap(&mut field, MORNING)
}

#[test]
fn a_tap_stays_in_its_budget() {
    // Card, exchanges, most bytes on air; the host is given 1 ms.
    let table = [("adult", 7, 400), ("student-pass", 7, 465), ("expired", 8, 500)];
    for (name, exchanges, bytes) in table {
        let presented = first_tap(name).unwrap();
        assert!(matches!(presented.state, State::Accepted { .. }), "{name}: {:?}", presented.state);
        assert_eq!(presented.exchanges.len(), exchanges, "{name}");
        assert!(bytes_on_air(&presented.exchanges) <= bytes, "{name}: {}", bytes_on_air(&presented.exchanges));
        assert_eq!(chained_frames(&presented.exchanges), 0, "{name}");
        assert!(tap_ms(&presented.exchanges, 1.0, Case::Typical).unwrap() <= 150.0, "{name}");
        assert!(tap_ms(&presented.exchanges, 1.0, Case::High).unwrap() < 300.0, "{name}");
    }
}

#[test]
fn a_card_that_comes_back_takes_four_exchanges() {
    let commit_lost = Fault::LoseAfter(7);
    for fault in [None, Some(commit_lost)] {
        let folder = memory_folder().unwrap();
        let mut bus = Bus::new(folder.path()).unwrap();
        let mut field = CardInField::new(bus.card("adult").unwrap());
        if let Some(fault) = fault {
            field = field.with_fault(fault);
        }
        bus.tap(&mut field, MORNING).unwrap();
        let mut again = CardInField::new(field.remove());
        let presented = bus.tap(&mut again, Moment(MORNING.0 + 20)).unwrap();
        assert_eq!(presented.exchanges.len(), 4, "{fault:?}: {:?}", presented.state);
    }
}

/// Frames that only carry on another are told from the second half of an authentication.
#[test]
fn older_records_are_chained_and_an_authentication_is_not() {
    let folder = memory_folder().unwrap();
    let mut bus = Bus::new(folder.path()).unwrap();
    let mut card = bus.card("adult").unwrap();
    for tap in 0..4 {
        let mut field = CardInField::new(card);
        let presented = bus.tap(&mut field, Moment(MORNING.0 + tap * 3600)).unwrap();
        assert_eq!(chained_frames(&presented.exchanges), 0);
        if tap == 3 {
            // Two records of 60 bytes after the decision do not fit a frame of 128.
            assert_eq!(chained_frames(field.transcript()), 1);
        }
        card = field.remove();
    }
}

#[test]
fn a_recorded_tap_is_accepted_again_and_again() {
    let folder = memory_folder().unwrap();
    let mut bus = Bus::new(folder.path()).unwrap();
    let recording = Recording::of_purse_tap(&mut bus).unwrap();
    for _ in 0..3 {
        let answer = bus.accept(recording.replay(), &recording.uid, MORNING).unwrap();
        assert_eq!(answer.exchanges, 7);
    }
}

#[test]
fn a_desk_issues_and_loads_a_card_in_as_many_exchanges_as_the_readme_says() {
    let counted = benches::desk::exchanges().unwrap();
    assert_eq!(counted, benches::desk::DeskExchanges { issue: 63, top_up: 14 });
}
