//! Answers that no genuine card gives: never green, never a panic, always a reason.

use transit::screen::State;
use virtual_card::{distortion::distorted, field::Mutation};

use crate::world::{Bus, Cards, NOW};

const MUTATIONS: u32 = 100_000;

#[test]
fn changed_select_is_never_green() {
    never_green(1);
}

#[test]
fn changed_first_half_of_authenticate_is_never_green() {
    never_green(2);
}

#[test]
fn changed_second_half_of_authenticate_is_never_green() {
    never_green(3);
}

#[test]
fn changed_read_records_is_never_green() {
    never_green(4);
}

#[test]
fn changed_debit_is_never_green() {
    never_green(5);
}

#[test]
fn changed_write_record_is_never_green() {
    never_green(6);
}

#[test]
fn changed_commit_is_never_green() {
    never_green(7);
}

/// 10⁵ changes of the answer to one exchange.
fn never_green(exchange: u32) {
    let mut cards = Cards::new();
    let mut bus = Bus::with_torn_taps(101, 23, u32::MAX);
    for number in 0..MUTATIONS {
        // Commits whose answers are changed are charged, and logs grow: now and then another card and another bus.
        if number % 200 == 0 || cards.purse("adult") < 8000 {
            cards = Cards::new();
            bus = Bus::with_torn_taps(101, 23, u32::MAX);
        }
        let seed = u64::from(exchange) << 32 | u64::from(number);
        let mutation: Mutation =
            Box::new(move |at, answer| if at == exchange { distorted(&answer, seed) } else { answer });
        let at = transit::time::Moment(NOW.0 + number * 600);
        let presented = bus.present(&mut cards, "adult", at, None, Some(mutation));
        match presented.state() {
            State::PresentAgain | State::Declined { .. } | State::Attention { .. } => {}
            // The tap before may have been unknown and committed: this is its one admission, in four exchanges.
            State::Accepted { recovered: true, .. } if exchange > 4 => {}
            other => panic!("exchange {exchange}, mutation {number}: {other:?}"),
        }
    }
}
