//! Validators that take no taps when their stop should.
//!
//! Nothing but its own history says what a validator should take. From its last tap on it is quiet; the same stretch of
//! the week, in each of the `weeks` weeks before that tap, took so many taps at the same stop, and their mean is what was
//! expected. Were taps independent, so many would fail to come with the chance e^−mean (Poisson). Where that is under
//! one in `one_in`, the validator is *silent*.
//!
//! - A stretch shorter than `shortest_minutes` is not judged: riders come in groups, and a busy stop would be named
//!   between two buses.
//! - No more than the first week of a quiet stretch is compared, and always with the weeks before the last tap: the
//!   silence itself never becomes the history, and a validator stays named until it takes a tap.
//! - A validator without a tap at this stop in the week before the compared weeks is not judged, nor one that has just been
//!   moved: it has too little history.
//! - Moments are those of the validator's clock. A tap of a moment to come does not count.
//!
//! With the defaults a validator is named from 6.9 expected taps on. A thousand quiet stretches of an honest stop name it
//! about once. What has been made and not sent is not known here: a validator without network looks the same.

use std::fmt;
use std::num::{NonZeroU8, NonZeroU32};

use serde::{Deserialize, Serialize};
use transit::id::{DeviceId, LineNumber, OperatorId, StopNumber};
use transit::time::Moment;

use crate::clearing_house::ClearingHouse;
use crate::config::Config;
use crate::store::{Books, StoreError};

const WEEK_S: u32 = 7 * 86_400;

/// When a validator counts as silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SilenceRule {
    /// With how many weeks before its last tap a quiet stretch is compared.
    pub weeks: NonZeroU8,
    /// It is silent where the chance of no tap is under one in so many.
    pub one_in: NonZeroU32,
    /// The shortest quiet stretch that is judged.
    pub shortest_minutes: NonZeroU32,
}

impl Default for SilenceRule {
    fn default() -> Self {
        const WEEKS: NonZeroU8 = NonZeroU8::new(4).expect("4 is not 0");
        const ONE_IN: NonZeroU32 = NonZeroU32::new(1_000).expect("1,000 is not 0");
        const SHORTEST_MINUTES: NonZeroU32 = NonZeroU32::new(60).expect("60 is not 0");
        Self { weeks: WEEKS, one_in: ONE_IN, shortest_minutes: SHORTEST_MINUTES }
    }
}

/// A stretch of time: later than `after`, to `until` and with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// What is before it.
    pub after: Moment,
    /// Its last moment.
    pub until: Moment,
}

/// What is to be said of one validator.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// It took a tap lately, or no tap was to be expected since.
    Usual,
    /// It is too new at its stop to be judged.
    TooLittleHistory,
    /// It takes no taps where it should.
    Silent(Quiet),
}

/// How a quiet stretch compares.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quiet {
    /// How many taps the same stretch took in each of the weeks before, the nearest first.
    pub taps_in_weeks: Vec<u32>,
    /// Their mean.
    pub expected: f64,
    /// The chance of no tap where so many are expected, 0 to 1.
    pub chance: f64,
}

/// Judges a validator at the moment `at` whose newest tap was made at `last`; `taps` says how many it took in a stretch,
/// at the stop of that tap.
///
/// # Errors
/// That of `taps`.
pub fn judge<E>(
    last: Moment,
    at: Moment,
    rule: SilenceRule,
    mut taps: impl FnMut(Stretch) -> Result<u32, E>,
) -> Result<Judgement, E> {
    let quiet_s = at.0.saturating_sub(last.0);
    if u64::from(quiet_s) < u64::from(rule.shortest_minutes.get()) * 60 {
        return Ok(Judgement::Usual);
    }
    let weeks = u32::from(rule.weeks.get());
    let week_before = |weeks: u32| last.0.checked_sub(weeks * WEEK_S).map(Moment);
    let (Some(first), Some(second)) = (week_before(weeks + 1), week_before(weeks)) else {
        return Ok(Judgement::TooLittleHistory);
    };
    if taps(Stretch { after: first, until: second })? == 0 {
        return Ok(Judgement::TooLittleHistory);
    }
    let mut taps_in_weeks = Vec::new();
    for after in (1..=weeks).filter_map(week_before) {
        let until = Moment(after.0 + quiet_s.min(WEEK_S));
        taps_in_weeks.push(taps(Stretch { after, until })?);
    }
    let expected = taps_in_weeks.iter().copied().map(f64::from).sum::<f64>() / f64::from(weeks);
    let chance = (-expected).exp();
    if chance < 1.0 / f64::from(rule.one_in.get()) {
        Ok(Judgement::Silent(Quiet { taps_in_weeks, expected, chance }))
    } else {
        Ok(Judgement::Usual)
    }
}

/// The validators that take no taps where they should.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Silence {
    /// As of when.
    pub at: Moment,
    /// The rule in force.
    pub rule: SilenceRule,
    /// How many of the configured validators could be judged.
    pub judged: u64,
    /// The silent ones, in order of their numbers.
    pub silent: Vec<SilentDevice>,
    /// Those that took no tap so far, or are too new at their stop to be judged.
    pub too_little_history: Vec<DeviceId>,
}

/// A validator that takes no taps where it should.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SilentDevice {
    /// The validator.
    pub device: DeviceId,
    /// Whose.
    pub operator: OperatorId,
    /// The line of its last tap.
    pub line: LineNumber,
    /// The stop of its last tap.
    pub stop: StopNumber,
    /// When it took its last tap, by its clock.
    pub last_tap_at: Moment,
    /// What was to be expected since.
    #[serde(flatten)]
    pub quiet: Quiet,
}

impl ClearingHouse {
    /// The validators that take no taps at `at` where they should, by the taps that have come until now.
    ///
    /// # Errors
    /// [`StoreError`] where the books cannot be read.
    pub fn silence(&mut self, at: Moment) -> Result<Silence, StoreError> {
        let Self { store, config } = self;
        let books = store.view()?;
        silence(&books, config, at)
    }
}

pub(crate) fn silence(books: &Books<'_>, config: &Config, at: Moment) -> Result<Silence, StoreError> {
    let rule = config.silence;
    let mut silence = Silence { at, rule, judged: 0, silent: Vec::new(), too_little_history: Vec::new() };
    for (&device, &operator) in &config.devices {
        let Some((last, place)) = books.last_tap(device, at)? else {
            silence.too_little_history.push(device);
            continue;
        };
        match judge(last, at, rule, |stretch| books.taps_in(device, place, stretch))? {
            Judgement::Usual => silence.judged += 1,
            Judgement::TooLittleHistory => silence.too_little_history.push(device),
            Judgement::Silent(quiet) => {
                silence.judged += 1;
                let (line, stop) = place;
                silence.silent.push(SilentDevice { device, operator, line, stop, last_tap_at: last, quiet });
            }
        }
    }
    Ok(silence)
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = self.rule;
        writeln!(
            f,
            "Silent at {}: {} of {} validator(s) judged; no tap for {} minutes or more, at a chance under 1 in {}",
            self.at,
            self.silent.len(),
            self.judged,
            rule.shortest_minutes,
            rule.one_in
        )?;
        for silent in &self.silent {
            let weeks: Vec<_> = silent.quiet.taps_in_weeks.iter().map(ToString::to_string).collect();
            writeln!(
                f,
                "  Device {} of operator {} at line {} stop {}: none since {}, where the weeks before took {} (mean {:.1}, \
                 chance {:.1e})",
                silent.device,
                silent.operator.0,
                silent.line.0,
                silent.stop.0,
                silent.last_tap_at,
                weeks.join(", "),
                silent.quiet.expected,
                silent.quiet.chance
            )?;
        }
        if !self.too_little_history.is_empty() {
            let devices: Vec<_> = self.too_little_history.iter().map(ToString::to_string).collect();
            writeln!(f, "Too little history to judge: {}", devices.join(" "))?;
        }
        Ok(())
    }
}
