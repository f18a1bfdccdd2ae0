//! Instructions of the card cryptography of one purse tap, counted by callgrind.

use std::{
    env, fs,
    io::{self, Write},
    path::Path,
    process::Command,
};

use benches::{
    Failure,
    bus::{Bus, memory_folder},
    replay::{Recording, purse_dialogue},
};
use card_crypto::Key;

use crate::{
    figure::{Bound, Figure},
    tools,
};

const DIALOGUES: u32 = 200;
const WITH_AES_INSTRUCTIONS: Bound = Bound::AtMost(25_000.0);
const IN_SOFTWARE: Bound = Bound::AtMost(420_000.0);

pub(crate) fn measure(output: &Path) -> Result<[Figure; 2], Failure> {
    let (once, _) = instructions(output, DIALOGUES)?;
    let (twice, has_aes) = instructions(output, 2 * DIALOGUES)?;
    // Start-up cancels out.
    let per_tap = (twice - once) / f64::from(DIALOGUES);
    let bound = if has_aes { WITH_AES_INSTRUCTIONS } else { IN_SOFTWARE };
    Ok([
        Figure::new("crypto_instructions_per_tap", per_tap, bound),
        Figure::unbounded("aes_ni", f64::from(u8::from(has_aes))),
    ])
}

pub(crate) fn hold_dialogues(count: u32) -> Result<(), Failure> {
    let folder = memory_folder()?;
    let mut bus = Bus::new(folder.path())?;
    let recording = Recording::of_purse_tap(&mut bus)?;
    let master = Key::new(bus.master_key);
    for _ in 0..count {
        purse_dialogue(&recording, &master)?;
    }
    writeln!(io::stdout(), "{}", u8::from(has_aes_instructions()))?;
    Ok(())
}

/// Instructions of a whole child, and whether it saw AES instructions: valgrind's processor is not quite this one.
fn instructions(output: &Path, count: u32) -> Result<(f64, bool), Failure> {
    let profile = output.join(format!("callgrind-{count}.out"));
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet"]).arg(format!("--callgrind-out-file={}", profile.display()));
    command.arg(env::current_exe()?).args(["dialogues", "--count", &count.to_string()]);
    let child = tools::run(&mut command, "valgrind")?;
    let has_aes = child.stdout.starts_with(b"1");
    let profile = fs::read_to_string(&profile)?;
    let total = profile.lines().find_map(|line| line.strip_prefix("totals:"));
    let total = total.ok_or("callgrind wrote no totals")?.trim().parse()?;
    Ok((total, has_aes))
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn has_aes_instructions() -> bool {
    std::arch::is_x86_feature_detected!("aes")
}

#[cfg(target_arch = "aarch64")]
fn has_aes_instructions() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
fn has_aes_instructions() -> bool {
    false
}
