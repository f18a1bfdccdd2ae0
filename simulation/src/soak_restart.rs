//! How long a validator with a long log takes from its start to taking cards.

use transit::time::Moment;
use validator::config::Core;
use virtual_card::{CardInField, Identity, Picc};

use crate::Failed;
use crate::soak_cards::counting_random;
use crate::soak_gate::{Fire, Gate};
use crate::soak_taps::engine;

/// Taps between two flushes: the WAL stays small.
const TAPS_PER_FLUSH: u32 = 2_000;
/// 2026-11-24 10:00 in Hanoi.
const MORNING: Moment = Moment(1_795_489_200);

/// Fills the log of a validator with so many taps, declined cards of strangers, which need no card and no sync of the disk
/// each; then kills and starts it so many times. How long each start took, in ms.
///
/// # Errors
/// The log cannot be written, or the validator does not start.
pub fn restarts_ms(gate: &mut Gate, rows: u32, times: usize) -> Result<Vec<f64>, Failed> {
    fill(gate, rows)?;
    let mut restarts = Vec::new();
    for _ in 0..times {
        let took = gate.start_core(Fire::None)?;
        let took = took.ok_or_else(|| Failed::Unexpected("core does not start on a long log".to_owned()))?;
        if !gate.is_in_service() {
            return Err(Failed::Unexpected("core is out of service on a long log".to_owned()));
        }
        restarts.push(took.as_secs_f64() * 1_000.0);
        gate.kill_core()?;
    }
    let taps = gate.status()?.taps;
    if taps != rows {
        return Err(Failed::Unexpected(format!("the long log has {taps} taps, not {rows}")));
    }
    Ok(restarts)
}

fn fill(gate: &Gate, rows: u32) -> Result<(), Failed> {
    let failed = |error: &dyn std::error::Error| Failed::Unexpected(format!("filling a log: {error}"));
    let core = Core::load(&gate.core_config_path(), None).map_err(|error| failed(&error))?;
    let (device, epoch, path) = (core.config.device, core.config.epoch, core.config.log.clone());
    let (log, _) = validator::log::TapLog::open(&path, device, epoch, None).map_err(|error| failed(&error))?;
    let mut engine = engine(core);
    engine.use_log(log);
    let identity = Identity {
        uid: [0x04, 0, 0, 0, 0, 0, 1],
        generation: virtual_card::Generation::Ev2,
        frame_size: virtual_card::framing::FrameSize::Bytes128,
    };
    let mut stranger = CardInField::new(Picc::new(identity, Vec::new(), counting_random()));
    for tap in 0..rows {
        // A short identifier belongs to no card of ours.
        let at = Moment(MORNING.0 + tap);
        engine.tap(&mut stranger, &tap.to_be_bytes(), at, [0x42; 16]).map_err(|error| failed(&error))?;
        if tap % TAPS_PER_FLUSH == 0
            && let Some(log) = engine.log()
        {
            log.flush().wait().map_err(|error| failed(&error))?;
        }
    }
    engine.close_log();
    Ok(())
}
