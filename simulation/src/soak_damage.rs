//! Files with flipped bits: the log of a validator, and the books of the clearing house. Each start on one says so, or
//! goes on with everything that was there.

use std::fs;
use std::path::{Path, PathBuf};

use transit::tap::SealedTap;

use crate::Failed;
use crate::soak::{Target, splitmix64};
use crate::soak_gate::{Fire, Gate};
use crate::soak_validator::Lane;

const RIDERS: u32 = 8;
/// The most bits that are flipped at once.
const BITS_MAX: u64 = 64;

/// What came of starts on damaged files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Damage {
    /// Files with flipped bits.
    pub files: u32,
    /// The program said so: out of service, a new epoch, or books that do not verify.
    pub said: u32,
    /// Everything was there: the bits meant nothing.
    pub harmless: u32,
}

impl Lane<'_> {
    /// Flips bits in so many copies of a log and starts a core on each.
    ///
    /// # Errors
    /// The log cannot be made or copied.
    pub fn under_flipped_bits(&mut self, files: u32, seed: u64) -> Result<(), Failed> {
        if files == 0 {
            return Ok(());
        }
        let mut gate = self.gate()?;
        let mut riders = Vec::new();
        gate.start_core(Fire::None)?;
        gate.start_sync(Fire::None)?;
        for _ in 0..RIDERS {
            let mut rider = self.deck.rider()?;
            gate.tap(&mut rider)?;
            riders.push(rider);
        }
        let mut problems = Vec::new();
        self.agree(Target::Core, &gate, &riders, &mut problems)?;
        gate.kill_sync()?;
        // Half of the copies have their newest taps in the WAL, as after lost power.
        let (killed, ended) = (self.folder.join("killed"), self.folder.join("ended"));
        gate.kill_core()?;
        copy(&gate.state_path(), &killed)?;
        gate.start_core(Fire::None)?;
        gate.end()?;
        copy(&gate.state_path(), &ended)?;
        let before = gate.taps()?;

        let mut random = seed;
        for file in 0..files {
            let original = if file.is_multiple_of(2) { &killed } else { &ended };
            fs::remove_dir_all(gate.state_path()).map_err(Failed::system("taking a damaged log away"))?;
            copy(original, &gate.state_path())?;
            gate.forget_said()?;
            let what = flip(&gate.state_path(), &mut random)?;
            if let Some(problem) = self.start_on_damage(&mut gate, &before)? {
                problems.push(format!("{what}: {problem}"));
            }
        }
        self.report.problems.extend(problems.into_iter().map(|problem| format!("damage, seed {seed}: {problem}")));
        Ok(())
    }

    /// A core on a damaged log; what is wrong with what it does.
    fn start_on_damage(&mut self, gate: &mut Gate, before: &[SealedTap]) -> Result<Option<String>, Failed> {
        let started = gate.start_core(Fire::None)?.is_some();
        let in_service = started && gate.is_in_service();
        gate.kill_core()?;
        let damage = &mut self.report.damage_of_logs;
        damage.files += 1;
        let said = gate.said();
        let panics = gate.panics();
        if !panics.is_empty() {
            self.report.of(Target::Core).panics += 1;
            return Ok(Some(panics.concat()));
        }
        let names_it = said.lines().any(|line| line.contains("tap-log"));
        if !in_service {
            damage.said += u32::from(names_it);
            return Ok((!names_it).then(|| format!("out of service without a word of the log: {said}")));
        }
        let after = gate.taps()?;
        if after.get(..before.len()).is_some_and(|after| after == before) {
            damage.harmless += 1;
            return Ok(None);
        }
        // A new epoch, with the damaged file kept: nothing is lost where that is said.
        let other_epoch = after.first().is_none_or(|tap| tap.open().is_ok_and(|tap| tap.id.epoch != 1));
        if names_it && other_epoch {
            damage.said += 1;
            return Ok(None);
        }
        Ok(Some(format!("{} of {} taps are left, and it takes cards", after.len(), before.len())))
    }
}

/// Flips up to 64 bits, somewhere in one of the files; which.
pub(crate) fn flip(folder: &Path, random: &mut u64) -> Result<String, Failed> {
    let doing = || Failed::system(format!("flipping bits in {}", folder.display()));
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(doing())? {
        let path = entry.map_err(doing())?.path();
        // The index of the WAL is made anew by whoever opens the file first.
        let is_index = path.to_string_lossy().ends_with("-shm");
        if !is_index && fs::metadata(&path).map_err(doing())?.len() > 0 {
            files.push(path);
        }
    }
    files.sort();
    let path = &files[usize::try_from(splitmix64(random)).unwrap_or(0) % files.len()];
    let mut bytes = fs::read(path).map_err(doing())?;
    let bits = 1 + splitmix64(random) % BITS_MAX;
    let first = splitmix64(random);
    for _ in 0..bits {
        let at = usize::try_from(splitmix64(random)).unwrap_or(0) % (bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
    }
    fs::write(path, bytes).map_err(doing())?;
    Ok(format!("{bits} bits of {} (state {first:#x})", path.display()))
}

fn copy(from: &Path, to: &Path) -> Result<(), Failed> {
    let doing = || Failed::system(format!("copying {}", from.display()));
    fs::create_dir_all(to).map_err(doing())?;
    for entry in fs::read_dir(from).map_err(doing())? {
        let path = entry.map_err(doing())?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            fs::copy(&path, to.join(name)).map_err(doing())?;
        }
    }
    Ok(())
}
