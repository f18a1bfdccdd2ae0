//! The programs as built under fire: calls to the file system that fail, and SIGKILL at any moment: `make soak`.
//!
//! What is expected every time, whatever happened: nothing that was acknowledged is lost, nothing is there twice, the
//! books verify, nothing panics, and the program starts again. `docs/soak.md`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Failed;
use crate::process::programs;
use crate::soak_clearing_house::ClearingHouse;
use crate::soak_shim::{FailingCall, How, Shim};
use crate::soak_taps::seal_taps;

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// SIGKILLs at random moments.
    pub kills: u32,
    /// Every call from the first to this one fails once in each way.
    pub nth: u32,
    /// The taps that are uploaded.
    pub taps: usize,
    /// What the random moments follow from.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// SIGKILLs, at random moments and at a named call.
    pub kills: u32,
    /// The part of them that the shim sent, at a named call.
    pub kills_at_calls: u32,
    /// Taps that were acknowledged before and missing after.
    pub acknowledged_taps_lost: u32,
    /// Runs in which a call failed; a run that ends before its call is none.
    pub nth_call_failures: u32,
    /// Runs after which a program's standard error tells of a panic.
    pub panics: u32,
    /// SIGKILLs at random moments in a second, restart and second upload included.
    pub kills_per_second: f64,
    /// From starting a program on what was left to its first word, in ms: the median.
    pub restart_ms_p50: f64,
    /// The longest.
    pub restart_ms_max: f64,
    /// What was not as expected, each with what was done.
    pub problems: Vec<String>,
    /// Every restart.
    #[serde(skip)]
    pub restarts_ms: Vec<f64>,
}

impl Report {
    /// Notes how long a restart took.
    pub fn restarted(&mut self, ms: f64) {
        self.restarts_ms.push(ms);
        self.restarts_ms.sort_unstable_by(f64::total_cmp);
        self.restart_ms_p50 = self.restarts_ms[self.restarts_ms.len() / 2];
        self.restart_ms_max = self.restarts_ms.last().copied().unwrap_or(0.0);
    }

    /// Prints the report as JSON.
    ///
    /// # Errors
    /// It cannot be printed, or something was not as expected.
    pub fn conclude(&self, out: &mut dyn Write) -> Result<(), Failed> {
        let printing = |error: serde_json::Error| Failed::system("printing the report")(error.into());
        let text = serde_json::to_string_pretty(self).map_err(printing)?;
        writeln!(out, "{text}").map_err(Failed::system("printing the report"))?;
        match self.problems.len() {
            0 => Ok(()),
            count => Err(Failed::Unexpected(format!("{count} times it was not as expected"))),
        }
    }

    /// Writes the figures into `figures.json` in `folder`; figures of others that are there stay.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds something else than figures.
    pub fn merge_into(&self, folder: &Path) -> Result<(), Failed> {
        let path = folder.join("figures.json");
        let doing = || format!("merging figures into {}", path.display());
        fs::create_dir_all(folder).map_err(Failed::system(doing()))?;
        let mut figures: Map<String, Value> = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| Failed::system(doing())(error.into()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Map::new(),
            Err(error) => return Err(Failed::system(doing())(error)),
        };
        let own = [
            ("kills", Value::from(self.kills)),
            ("kills_acknowledged_taps_lost", Value::from(self.acknowledged_taps_lost)),
            ("nth_call_failures_clearing_house", Value::from(self.nth_call_failures)),
            ("nth_call_panics_clearing_house", Value::from(self.panics)),
        ];
        figures.extend(own.map(|(name, value)| (name.to_owned(), value)));
        let text = serde_json::to_string_pretty(&figures).map_err(|error| Failed::system(doing())(error.into()))?;
        // Whoever reads meanwhile finds the old figures or the new ones.
        let next = path.with_extension("json.next");
        fs::write(&next, text + "\n").and_then(|()| fs::rename(&next, &path)).map_err(Failed::system(doing()))
    }
}

/// Enough taps to make more than 300 calls.
pub const TAPS: usize = 60;

/// Puts the clearing house under fire in `folder`, which is emptied first, and tells on `out` how far it is.
///
/// # Errors
/// Something is not installed, not built, or does not start even without a fault.
pub fn run(extent: Extent, folder: &Path, fixtures: &Path, out: &mut dyn Write) -> Result<Report, Failed> {
    let programs = programs(&["clearing-house"])?;
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

    let shim = Shim::build(&programs)?;
    let taps = seal_taps(extent.taps, &folder.join("taps"), &fixtures)?;
    let house = ClearingHouse::new(&programs, &folder.join("clearing-house"), &fixtures, shim, taps)?;
    let mut report = Report::default();
    for how in How::ALL {
        let mut reached = 0;
        for nth in 1..=extent.nth {
            if !house.under_failing_call(FailingCall { nth, how }, &mut report)? {
                break;
            }
            reached = nth;
        }
        tell(out, &format!("{how}: at each of the first {reached} calls"))?;
    }
    house.under_random_kills(extent.kills, extent.seed, &mut report)?;
    tell(out, &format!("SIGKILL at {} random moments, {:.1} a second", extent.kills, report.kills_per_second))?;
    Ok(report)
}

fn tell(out: &mut dyn Write, what: &str) -> Result<(), Failed> {
    writeln!(out, "clearing house, {what}").map_err(Failed::system("telling how far it is"))
}
