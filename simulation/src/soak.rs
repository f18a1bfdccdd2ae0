//! The programs as built under fire: calls to the file system that fail, SIGKILL at any moment and at named steps, a bad
//! network: `make soak`.
//!
//! What is expected every time, whatever happened: nothing that was acknowledged is lost, nothing is there twice, nobody
//! is let in who has not paid, the books verify, nothing panics, and the program starts again. `docs/soak.md`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use virtual_card::pcscd::PrivatePcscd;

use crate::Failed;
use crate::process::programs;
use crate::soak_books::Books;
use crate::soak_cards::Deck;
use crate::soak_clearing_house::ClearingHouse;
use crate::soak_proxy::FaultProxy;
pub use crate::soak_report::{Report, Target};
use crate::soak_restart::restarts_ms;
use crate::soak_shim::{FailingCall, How, Shim, build_poll_shim};
use crate::soak_site::Site;
use crate::soak_taps::seal_taps;
use crate::soak_validator::Lane;

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// SIGKILLs of the clearing house at random moments.
    pub kills: u32,
    /// Every call from the first to this one fails once in each way.
    pub nth: u32,
    /// The taps that are uploaded to the clearing house while it is under fire.
    pub taps: usize,
    /// SIGKILLs of `validator core` at named steps and at random moments.
    pub kills_validator: u32,
    /// Each of so many calls of `validator core`, and of `validator sync`, fails once in each way.
    pub nth_validator: u32,
    /// 1, or of these calls only every so manyth.
    pub nth_validator_step: u32,
    /// Taps of cards while the network is bad and the clearing house is killed.
    pub taps_on_bad_network: u32,
    /// Jumps of a validator's wall clock, by up to ten years either way.
    pub clock_jumps: u32,
    /// Logs of a validator with flipped bits.
    pub damaged_logs: u32,
    /// For how long pcscd hangs the first time, in s; `None`: the card path never dies.
    pub dead_pcscd_s: Option<u64>,
    /// How long a log is when starts on it are timed; 0: none are.
    pub restart_rows: u32,
    /// What everything random follows from.
    pub seed: u64,
}

const RESTARTS: usize = 15;
/// Half of the restarts take no longer; a machine that others use as well may stall for longer once in a while.
const RESTART_MS_MAX: f64 = 1_000.0;
/// Enough taps to make more than 300 calls.
pub const TAPS: usize = 60;

/// Puts everything under fire in `folder`, which is emptied first, and tells on `out` how far it is.
///
/// # Errors
/// Something is not installed, not built, or does not start even without a fault.
pub fn run(extent: Extent, folder: &Path, fixtures: &Path, out: &mut dyn Write) -> Result<Report, Failed> {
    let programs = programs(&["clearing-house", "validator"])?;
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Failed::system(format!("emptying {}", folder.display()))(error));
        }
        Ok(()) | Err(_) => {}
    }
    let making = || Failed::system(format!("making {}", folder.display()));
    fs::create_dir_all(folder).map_err(making())?;
    let folder = folder.canonicalize().map_err(making())?;
    let fixtures = fixtures.canonicalize().map_err(Failed::system(format!("finding {}", fixtures.display())))?;
    let shim = Shim::build(&folder)?;
    let mut report = Report::default();
    clearing_house(extent, &programs, &folder, &fixtures, shim.clone(), out, &mut report)?;
    validators(extent, &programs, &folder, &fixtures, shim, out, &mut report)?;
    let medians = [report.restart_ms_p50, report.restart_ms_long_log.unwrap_or_default()];
    for median in medians.into_iter().filter(|median| *median > RESTART_MS_MAX) {
        report.problems.push(format!("half of the restarts took {median:.0} ms or more"));
    }
    Ok(report)
}

fn clearing_house(
    extent: Extent,
    programs: &Path,
    folder: &Path,
    fixtures: &Path,
    shim: Shim,
    out: &mut dyn Write,
    report: &mut Report,
) -> Result<(), Failed> {
    if extent.nth == 0 && extent.kills == 0 {
        return Ok(());
    }
    let taps = seal_taps(extent.taps, &folder.join("taps"), fixtures)?;
    let house = ClearingHouse::new(programs, &folder.join("clearing-house"), fixtures, shim, taps)?;
    for how in How::ALL {
        let mut reached = 0;
        for nth in 1..=extent.nth {
            if !house.under_failing_call(FailingCall { nth, how }, report)? {
                break;
            }
            reached = nth;
        }
        tell(out, &format!("clearing house, {how}: at each of the first {reached} calls"))?;
    }
    house.under_random_kills(extent.kills, extent.seed, report)?;
    let (kills, speed) = (extent.kills, report.kills_per_second);
    tell(out, &format!("clearing house, SIGKILL at {kills} random moments, {speed:.1} a second"))
}

/// Two validators at a time, one on each reader of one pcscd, and one clearing house for all.
fn validators(
    extent: Extent,
    programs: &Path,
    folder: &Path,
    fixtures: &Path,
    shim: Shim,
    out: &mut dyn Write,
    report: &mut Report,
) -> Result<(), Failed> {
    if extent.nth_validator == 0
        && extent.kills_validator == 0
        && extent.taps_on_bad_network == 0
        && extent.clock_jumps == 0
        && extent.damaged_logs == 0
        && extent.dead_pcscd_s.is_none()
        && extent.restart_rows == 0
    {
        return Ok(());
    }
    let poll_shim = build_poll_shim(folder)?;
    let pcscd = PrivatePcscd::start(&folder.join("pcscd"), Some(&poll_shim));
    let pcscd = pcscd.map_err(Failed::system("starting a private pcscd"))?;
    let devices_max = extent.nth_validator * 8 + extent.kills_validator / 20 + 32;
    let books = Books::start(programs, &folder.join("books"), fixtures, devices_max)?;
    let devices = AtomicU32::new(0);
    let mut lanes = Vec::new();
    for reader in 0..2_u16 {
        let proxy = FaultProxy::start(books.address(), extent.seed.wrapping_add(u64::from(reader)))?;
        let site = Site::at(&pcscd, reader, programs, fixtures, proxy.address(), &shim);
        let lane_folder = folder.join(format!("lane-{reader}"));
        let deck = Deck::new(&lane_folder.join("cards"), fixtures, reader)?;
        let lane = Lane {
            reader,
            site,
            proxy,
            books: &books,
            deck,
            folder: lane_folder,
            devices: &devices,
            report: Report::default(),
            taps: 0,
            paid_minor: 0,
        };
        lanes.push(lane);
    }
    let (sender, progress) = channel();
    let lanes: Vec<Result<Lane<'_>, Failed>> = thread::scope(|scope| {
        let runs: Vec<_> = lanes
            .into_iter()
            .map(|mut lane| {
                let sender = sender.clone();
                scope.spawn(move || {
                    let reader = lane.reader;
                    let tell = |what: String| {
                        // Nobody listens any more where the other lane has failed.
                        let _ = sender.send(format!("reader {reader}, {what}"));
                    };
                    one_lane(extent, &mut lane, &tell).map(|()| lane)
                })
            })
            .collect();
        drop(sender);
        let told: Result<(), Failed> = progress.iter().try_for_each(|what| tell(out, &what));
        let ended = runs.into_iter().map(|run| {
            let ended = run.join().map_err(|_| Failed::Unexpected("a lane of the soak panicked".to_owned()));
            ended.and_then(|lane| lane)
        });
        ended.chain(told.err().map(Err)).collect()
    });
    let (mut taps, mut paid_minor) = (0, 0);
    for lane in lanes {
        let mut lane = lane?;
        // The clearing house is killed: only one lane at a time.
        if lane.reader == 0 && extent.taps_on_bad_network > 0 {
            lane.behind_bad_network(extent.taps_on_bad_network, extent.seed)?;
            tell(out, &format!("bad network: {:?}", lane.report.troubles))?;
        }
        if let Some(dead_s) = extent.dead_pcscd_s.filter(|_| lane.reader == 0) {
            lane.with_dead_card_path(Duration::from_secs(dead_s), pcscd.process_id())?;
            let (shown, silent) = (lane.report.out_of_service_ms, lane.report.card_silent_ms);
            tell(out, &format!("a pcscd that hangs is shown after {shown:.0?} ms, a card after {silent:.0?} ms"))?;
        }
        if lane.reader == 0 && extent.restart_rows > 0 {
            let mut restarts = restarts_ms(&mut lane.gate()?, extent.restart_rows, RESTARTS)?;
            restarts.sort_unstable_by(f64::total_cmp);
            let median = restarts[RESTARTS / 2];
            lane.report.restart_ms_long_log = Some(median);
            let rows = extent.restart_rows;
            tell(out, &format!("a log of {rows} taps: {median:.0} ms from start to service, median of {RESTARTS}"))?;
        }
        taps += lane.taps;
        paid_minor += lane.paid_minor;
        report.add(lane.report);
    }
    let problems = books.examine(taps, paid_minor, report.clock_jumps > 0)?;
    report.problems.extend(problems.into_iter().map(|problem| format!("the books of all validators: {problem}")));
    report.taps_through_readers = u32::try_from(taps).unwrap_or(u32::MAX);
    books.end()?;
    tell(out, &format!("{taps} taps of validators through pcscd, {paid_minor} paid: in cards, logs and books"))
}

fn one_lane(extent: Extent, lane: &mut Lane<'_>, tell: &impl Fn(String)) -> Result<(), Failed> {
    let calls = || (1..=extent.nth_validator).step_by(extent.nth_validator_step.max(1) as usize);
    let first = usize::from(lane.reader);
    for target in [Target::Core, Target::Sync] {
        for how in How::ALL {
            let mut reached = 0;
            for nth in calls().skip(first).step_by(2) {
                if !lane.under_failing_call(target, FailingCall { nth, how })? {
                    break;
                }
                reached = nth;
            }
            tell(format!("validator {target}, {how}: at every second of the calls up to {reached}"));
        }
    }
    let kills = extent.kills_validator / 2;
    lane.under_kills(kills, extent.seed.wrapping_add(u64::from(lane.reader)))?;
    tell(format!("validator core, SIGKILL {kills} times: {:?}", lane.report.kills_at_steps));
    let jumps = extent.clock_jumps / 2;
    lane.under_clock_jumps(jumps, extent.seed.wrapping_add(u64::from(lane.reader)))?;
    tell(format!("validator, {jumps} jumps of the clock"));
    lane.under_flipped_bits(extent.damaged_logs / 2, extent.seed.wrapping_add(u64::from(lane.reader)))?;
    tell(format!("validator, logs with flipped bits: {:?}", lane.report.damage_of_logs));
    Ok(())
}

/// The next of a sequence of numbers that looks random: SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut value = *state;
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

fn tell(out: &mut dyn Write, what: &str) -> Result<(), Failed> {
    writeln!(out, "{what}").map_err(Failed::system("telling how far it is"))
}
