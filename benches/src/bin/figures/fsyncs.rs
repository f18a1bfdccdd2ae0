//! fsync and fdatasync calls of a purse tap, counted by strace in a process of its own on a real file system.

use std::{env, fs, path::Path, process::Command};

use benches::{
    Failure,
    bus::{Bus, MORNING},
};
use transit::{screen::State, time::Moment};
use virtual_card::CardInField;

use crate::{
    figure::{Bound, Figure},
    tools,
};

const FEW: u32 = 10;
const MANY: u32 = 60;
/// The fixture holds the money for six rides.
const TAPS_PER_CARD: u32 = 5;
const HOUR_S: u32 = 3600;

pub(crate) fn measure(output: &Path) -> Result<Figure, Failure> {
    let (few, many) = (calls(output, FEW)?, calls(output, MANY)?);
    // Start-up and shutdown cancel out.
    let per_tap = (f64::from(many) - f64::from(few)) / f64::from(MANY - FEW);
    Ok(Figure::new("fsyncs_per_tap", per_tap, Bound::Exactly(1.0)))
}

/// Purse taps on a new log, with no pause in which a validator would flush.
pub(crate) fn make_taps(count: u32, log_folder: &Path) -> Result<(), Failure> {
    let mut bus = Bus::new(log_folder)?;
    let mut card = bus.card("adult")?;
    for tap in 0..count {
        if tap % TAPS_PER_CARD == 0 {
            card = bus.card("adult")?;
        }
        let mut field = CardInField::new(card);
        let presented = bus.tap(&mut field, Moment(MORNING.0 + (tap % TAPS_PER_CARD) * HOUR_S))?;
        if !matches!(presented.state, State::Accepted { .. }) {
            return Err(format!("tap {tap} was not accepted: {:?}", presented.state).into());
        }
        card = field.remove();
    }
    Ok(())
}

fn calls(output: &Path, count: u32) -> Result<u32, Failure> {
    let trace = output.join(format!("strace-{count}.txt"));
    let log_folder = tempfile::tempdir_in(output)?;
    let mut command = Command::new("strace");
    command.args(["-f", "-e", "trace=fsync,fdatasync", "-o"]).arg(&trace);
    command.arg(env::current_exe()?).args(["taps", "--count", &count.to_string(), "--log-folder"]);
    command.arg(log_folder.path());
    tools::run(&mut command, "strace")?;
    // A call that another thread interrupts has two lines, of which only the first has a parenthesis.
    let is_call = |line: &&str| line.contains("fsync(") || line.contains("fdatasync(");
    let calls = fs::read_to_string(&trace)?.lines().filter(is_call).count();
    Ok(u32::try_from(calls)?)
}
