//! Purse taps in which one answer of the card is changed on its way: how many of them were green.

use benches::{
    Failure,
    bus::{Bus, MORNING, memory_folder},
};
use transit::{screen::State, time::Moment};
use virtual_card::{CardInField, distortion::distorted};

use crate::figure::{Bound, Figure};

/// Select, two halves of the authentication, ReadRecords, Debit, WriteRecord, CommitTransaction.
const EXCHANGES: u32 = 7;
const ANSWERS_PER_EXCHANGE: u32 = 150_000;
/// Commits whose answers are changed are charged, and logs grow: so many taps one bus and one card serve.
const TAPS_PER_BUS: u32 = 200;
const TEN_MINUTES_S: u32 = 600;
const FARE_MINOR: i32 = 8_000;

pub(crate) fn measure() -> Result<[Figure; 2], Failure> {
    let (mut answers, mut green) = (0_u32, 0_u32);
    for exchange in 1..=EXCHANGES {
        for first in (0..ANSWERS_PER_EXCHANGE).step_by(TAPS_PER_BUS as usize) {
            green += green_taps(exchange, first..first + TAPS_PER_BUS)?;
            answers += TAPS_PER_BUS;
        }
    }
    Ok([
        Figure::new("mutated_answers", f64::from(answers), Bound::AtLeast(1e6)),
        Figure::new("mutated_answers_green", f64::from(green), Bound::Exactly(0.0)),
    ])
}

/// Taps of one bus, each with another change of the answer to this exchange.
fn green_taps(exchange: u32, numbers: std::ops::Range<u32>) -> Result<u32, Failure> {
    let folder = memory_folder()?;
    let mut bus = Bus::with_torn_taps(folder.path(), u32::MAX)?;
    let mut card = bus.card("adult")?;
    let mut green = 0;
    for number in numbers {
        if bus.purse_minor(&card).is_none_or(|purse| purse < FARE_MINOR) {
            card = bus.card("adult")?;
        }
        let seed = u64::from(exchange) << 32 | u64::from(number);
        let mut field = CardInField::new(card)
            .with_mutation(Box::new(move |at, answer| if at == exchange { distorted(&answer, seed) } else { answer }));
        let presented = bus.tap(&mut field, Moment(MORNING.0 + number * TEN_MINUTES_S))?;
        card = field.remove();
        green += match presented.state {
            // The tap before was charged and its rider not let in: this is its one admission, in four exchanges.
            State::Accepted { recovered: true, .. } if exchange > 4 => 0,
            State::Accepted { .. } => 1,
            State::Idle
            | State::Attention { .. }
            | State::Declined { .. }
            | State::PresentAgain
            | State::OutOfService { .. } => 0,
        };
    }
    Ok(green)
}
