//! Counts over taps on cards in memory, and the time that the radio model gives them.

use benches::{
    Failure,
    bus::{Bus, MORNING, memory_folder},
    rf_model::{Case, tap_ms},
    transcript::{bytes_on_air, chained_frames},
};
use transit::{screen::State, time::Moment};
use virtual_card::{CardInField, Fault, field::Exchange};

use crate::figure::{Bound, Figure};

const TYPICAL_MS: Bound = Bound::AtMost(150.0);
const WORST_MS: Bound = Bound::Below(300.0);

pub(crate) fn counts_and_model(host_us: f64) -> Result<Vec<Figure>, Failure> {
    let purse = accepted("adult")?;
    let pass = accepted("student-pass")?;
    let concession = accepted("expired")?;
    let count = |exchanges: &[Exchange]| exchanges.len() as f64;
    let modelled = |exchanges: &[Exchange], case| tap_ms(exchanges, host_us / 1e3, case);
    Ok(vec![
        Figure::new("exchanges_purse", count(&purse), Bound::AtMost(7.0)),
        Figure::new("exchanges_pass", count(&pass), Bound::AtMost(7.0)),
        Figure::new("exchanges_concession_purse", count(&concession), Bound::AtMost(8.0)),
        Figure::new("exchanges_retap", count(&second_presentation(None)?), Bound::AtMost(4.0)),
        Figure::new("exchanges_recovery", count(&second_presentation(Some(COMMIT_LOST))?), Bound::AtMost(4.0)),
        Figure::new("bytes_on_air_purse", bytes_on_air(&purse) as f64, Bound::AtMost(400.0)),
        Figure::new("chained_frames_purse", chained_frames(&purse) as f64, Bound::Exactly(0.0)),
        Figure::new("modelled_tap_ms_typical", modelled(&purse, Case::Typical)?, TYPICAL_MS),
        Figure::new("modelled_tap_ms_worst", modelled(&purse, Case::High)?, WORST_MS),
        Figure::new("modelled_tap_ms_pass_typical", modelled(&pass, Case::Typical)?, TYPICAL_MS),
        Figure::new("modelled_tap_ms_pass_worst", modelled(&pass, Case::High)?, WORST_MS),
        Figure::new("modelled_tap_ms_concession_typical", modelled(&concession, Case::Typical)?, TYPICAL_MS),
        Figure::new("modelled_tap_ms_concession_worst", modelled(&concession, Case::High)?, WORST_MS),
    ])
}

/// The answer to the commit, the seventh exchange of a purse tap, does not arrive.
const COMMIT_LOST: Fault = Fault::LoseAfter(7);

/// The exchanges of a card's first tap.
fn accepted(name: &str) -> Result<Vec<Exchange>, Failure> {
    let folder = memory_folder()?;
    let mut bus = Bus::new(folder.path())?;
    let mut field = CardInField::new(bus.card(name)?);
    let presented = bus.tap(&mut field, MORNING)?;
    match presented.state {
        State::Accepted { .. } => Ok(presented.exchanges),
        State::Idle
        | State::Attention { .. }
        | State::Declined { .. }
        | State::PresentAgain
        | State::OutOfService { .. } => Err(format!("{name} was not accepted: {:?}", presented.state).into()),
    }
}

/// The exchanges of a purse card that is presented again twenty seconds after a first tap that may have been torn.
fn second_presentation(first: Option<Fault>) -> Result<Vec<Exchange>, Failure> {
    let folder = memory_folder()?;
    let mut bus = Bus::new(folder.path())?;
    let mut field = CardInField::new(bus.card("adult")?);
    if let Some(fault) = first {
        field = field.with_fault(fault);
    }
    bus.tap(&mut field, MORNING)?;
    let mut again = CardInField::new(field.remove());
    Ok(bus.tap(&mut again, Moment(MORNING.0 + 20))?.exchanges)
}
