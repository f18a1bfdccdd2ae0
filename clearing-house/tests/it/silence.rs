//! Silent validators: named by their own history, and never without one.

use std::convert::Infallible;
use std::num::{NonZeroU8, NonZeroU32};

use clearing_house::silence::{Judgement, SilenceRule, Stretch, judge};
use proptest::prelude::*;
use transit::id::StopNumber;
use transit::tap::{Outcome, Reason, SealedTap, Tap};
use transit::time::Moment;

use crate::support::{Card, City, DAY_S, MORNING, Validator};

const HOUR_S: u32 = 3_600;
const WEEK_S: u32 = 7 * DAY_S;
/// Six weeks after the first Monday, 08:00 in Hanoi.
const NOW: Moment = Moment(MORNING.0 + 6 * WEEK_S);

/// The judgement on a validator that took taps at `taps`, at the moment `at`.
fn judged(taps: &[Moment], at: Moment, rule: SilenceRule) -> Judgement {
    let last = *taps.iter().filter(|tap| **tap <= at).max().unwrap();
    let count = |stretch: Stretch| {
        let within = taps.iter().filter(|tap| stretch.after < **tap && **tap <= stretch.until);
        Ok::<_, Infallible>(u32::try_from(within.count()).unwrap())
    };
    judge(last, at, rule, count).unwrap()
}

fn rule(weeks: u8, one_in: u32, shortest_minutes: u32) -> SilenceRule {
    SilenceRule {
        weeks: NonZeroU8::new(weeks).unwrap(),
        one_in: NonZeroU32::new(one_in).unwrap(),
        shortest_minutes: NonZeroU32::new(shortest_minutes).unwrap(),
    }
}

/// Taps every day of `weeks` weeks before [`NOW`], from 06:00 to 22:00, each `every_s` seconds; the last at `last`.
fn service(weeks: u32, every_s: u32, last: Moment) -> Vec<Moment> {
    let first = NOW.0 - weeks * WEEK_S;
    let taps = (first..last.0).step_by(every_s as usize).map(Moment);
    let open = |tap: &Moment| (6 * HOUR_S..22 * HOUR_S).contains(&((tap.0 + 7 * HOUR_S) % DAY_S));
    taps.filter(open).chain([last]).collect()
}

#[derive(Debug, PartialEq)]
enum Said {
    Usual,
    TooLittle,
    Silent,
}

fn said(judgement: &Judgement) -> Said {
    match judgement {
        Judgement::Usual => Said::Usual,
        Judgement::TooLittleHistory => Said::TooLittle,
        Judgement::Silent(_) => Said::Silent,
    }
}

#[test]
fn a_quiet_stretch_is_compared_with_the_same_of_the_weeks_before() {
    let before = |seconds| Moment(NOW.0 - seconds);
    // History in weeks, a tap every so many seconds, the last tap before now, now; what is to be said.
    let cases = [
        // A tap a minute: an hour and a half without one is no chance.
        (6, 60, 90 * 60, NOW, Said::Silent),
        (6, 60, 61 * 60, NOW, Said::Silent),
        // Shorter than is judged.
        (6, 60, 59 * 60, NOW, Said::Usual),
        // A tap in ten minutes: one hour lacks 6, two hours 12. At 08:00 the service has run for two hours.
        (6, 600, HOUR_S, NOW, Said::Usual),
        (6, 600, 2 * HOUR_S, NOW, Said::Silent),
        // From 22:00 to 06:00 nothing was to be expected.
        (6, 60, 10 * HOUR_S, before(2 * HOUR_S), Said::Usual),
        (6, 60, 10 * HOUR_S, before(2 * HOUR_S - 10 * 60), Said::Silent),
        // Two taps a day: a day lacks 2, four days lack 8.
        (6, 8 * HOUR_S, DAY_S, NOW, Said::Usual),
        (6, 8 * HOUR_S, 4 * DAY_S, NOW, Said::Silent),
        // Four weeks and the one before them are needed.
        (4, 60, 2 * HOUR_S, NOW, Said::TooLittle),
        (5, 60, 2 * HOUR_S, NOW, Said::Silent),
        // A clock that was set back: looked at before the last tap.
        (6, 60, 0, NOW, Said::Usual),
    ];
    for (weeks, every_s, quiet_s, at, expected) in cases {
        let taps = service(weeks, every_s, before(quiet_s));
        let found = judged(&taps, at, SilenceRule::default());
        assert_eq!(said(&found), expected, "{weeks} weeks, every {every_s} s, quiet for {quiet_s} s: {found:?}");
    }
}

#[test]
fn the_chance_is_that_of_a_poisson_distribution() {
    // One tap a week of history before, then so many in the one compared week's stretch.
    let taps = |count: u32| -> Vec<Moment> {
        let last = Moment(NOW.0 - 2 * HOUR_S);
        let week = Moment(last.0 - WEEK_S);
        let compared = (1..=count).map(|number| Moment(week.0 + number));
        [Moment(week.0 - 1), last].into_iter().chain(compared).collect()
    };
    // Known answers: e^−6 = 0.002479, e^−7 = 0.000912, e^−9 = 0.0001234, e^−10 = 0.0000454.
    for (count, one_in, silent) in
        [(6, 1_000, false), (7, 1_000, true), (6, 403, true), (6, 404, false), (9, 10_000, false), (10, 10_000, true)]
    {
        let found = judged(&taps(count), NOW, rule(1, one_in, 60));
        assert_eq!(matches!(found, Judgement::Silent(_)), silent, "{count} expected, one in {one_in}: {found:?}");
    }
    let Judgement::Silent(quiet) = judged(&taps(7), NOW, rule(1, 1_000, 60)) else { panic!("not silent") };
    assert_eq!((&*quiet.taps_in_weeks, quiet.expected), (&[7][..], 7.0));
    assert!((quiet.chance - 0.000_911_88).abs() < 1e-8, "{}", quiet.chance);
}

#[test]
fn a_week_without_service_lowers_what_is_expected() {
    let mut taps = service(6, 420, Moment(NOW.0 - HOUR_S));
    assert_eq!(said(&judged(&taps, NOW, SilenceRule::default())), Said::Silent);
    let holiday = |tap: &Moment| (NOW.0 - 2 * WEEK_S - DAY_S..NOW.0 - 2 * WEEK_S + DAY_S).contains(&tap.0);
    taps.retain(|tap| !holiday(tap));
    assert_eq!(said(&judged(&taps, NOW, SilenceRule::default())), Said::Usual);
}

#[test]
fn the_silence_itself_is_no_history() {
    let taps = service(6, 600, NOW);
    for weeks in [1, 2, 5, 20] {
        let Judgement::Silent(quiet) = judged(&taps, Moment(NOW.0 + weeks * WEEK_S), SilenceRule::default()) else {
            panic!("forgotten after {weeks} weeks");
        };
        // Sixteen hours a day, seven days.
        assert_eq!(quiet.taps_in_weeks, [6 * 16 * 7; 4], "after {weeks} weeks");
    }
}

#[test]
fn the_first_weeks_of_time_are_too_little_history() {
    assert_eq!(said(&judged(&[Moment(WEEK_S)], Moment(2 * WEEK_S), rule(1, 1, 1))), Said::TooLittle);
    assert_eq!(said(&judged(&[Moment(u32::MAX)], Moment(u32::MAX), rule(255, 1, 1))), Said::Usual);
}

proptest! {
    /// Whatever the taps: nobody is named who took none before the compared weeks, or whose stretch took none.
    #[test]
    fn nobody_is_named_without_history(
        taps in proptest::collection::vec(0..8 * WEEK_S, 1..60),
        at in (7 * WEEK_S..9 * WEEK_S).prop_map(Moment),
        weeks in 1_u8..5,
    ) {
        let taps: Vec<_> = taps.into_iter().map(Moment).collect();
        prop_assume!(taps.iter().any(|tap| *tap <= at));
        if let Judgement::Silent(quiet) = judged(&taps, at, rule(weeks, 10, 60)) {
            let last = *taps.iter().filter(|tap| **tap <= at).max().unwrap();
            prop_assert!(taps.iter().any(|tap| tap.0 <= last.0 - u32::from(weeks) * WEEK_S));
            prop_assert!(at.0 - last.0 >= HOUR_S);
            prop_assert!(quiet.expected > 10_f64.ln());
        }
    }
}

/// What `validator` declines, once for each of `taps`: a card was there, which is what counts.
fn declined(validator: &mut Validator, stop: u16, taps: &[Moment]) -> Vec<SealedTap> {
    let card = Card::new(1, 0);
    let seal = |at: &Moment| {
        let outcome = Outcome::Declined(Reason::Denied);
        let tap = Tap { outcome, stop: StopNumber(stop), ..validator.blank(&card, *at) };
        validator.seal(&tap)
    };
    taps.iter().map(seal).collect()
}

fn upload(city: &mut City, taps: &[SealedTap]) {
    for taps in taps.chunks(400) {
        city.upload_at(taps, NOW);
    }
}

#[test]
fn the_books_name_the_silent_validator_and_no_other() {
    let mut city = City::new();
    let quiet = service(6, 1_800, Moment(NOW.0 - 10 * HOUR_S));
    let busy = service(6, 1_800, Moment(NOW.0 - 600));
    upload(&mut city, &declined(&mut Validator::new(1, 1), 2, &quiet));
    upload(&mut city, &declined(&mut Validator::new(2, 1), 1, &busy));
    let at = Moment(NOW.0 + 2 * HOUR_S);
    let silence = city.clearing_house.silence(at).unwrap();
    let silent = &silence.silent[0];
    assert_eq!((silence.silent.len(), silence.judged), (1, 2));
    assert_eq!((silent.device.number(), silent.operator.0, silent.line.0, silent.stop.0), (1, 1, 1, 2));
    assert_eq!(silent.last_tap_at, Moment(NOW.0 - 10 * HOUR_S));
    // From 06:00 to 10:00, both included: nine half hours.
    assert_eq!(silent.quiet.taps_in_weeks, [9; 4]);
    assert_eq!(silence.too_little_history.iter().map(|device| device.number()).collect::<Vec<_>>(), [3]);
    let text = silence.to_string();
    let expected = "\
Silent at 2027-01-04T03:00:00Z: 1 of 2 validator(s) judged; no tap for 60 minutes or more, at a chance under 1 in 1000
  Device 1 of operator 1 at line 1 stop 2: none since 2027-01-03T15:00:00Z, where the weeks before took 9, 9, 9, 9 \
(mean 9.0, chance 1.2e-4)
Too little history to judge: 3
";
    assert_eq!(text, expected);
    // At 08:00 five were to be expected, which is not enough.
    assert!(city.clearing_house.silence(NOW).unwrap().silent.is_empty());
}

#[test]
fn a_validator_that_was_moved_has_too_little_history() {
    let mut city = City::new();
    let (mut validator, taps) = (Validator::new(1, 1), service(6, 1_800, Moment(NOW.0 - 10 * HOUR_S)));
    let (there, here) = taps.split_at(taps.len() - 3);
    upload(&mut city, &declined(&mut validator, 1, there));
    upload(&mut city, &declined(&mut validator, 2, here));
    let silence = city.clearing_house.silence(Moment(NOW.0 + 2 * HOUR_S)).unwrap();
    assert_eq!((silence.silent.len(), silence.too_little_history.len()), (0, 3));
}

#[test]
fn later_looks_and_moments_to_come_are_no_taps() {
    let mut city = City::new();
    let mut validator = Validator::new(1, 1);
    let mut taps = declined(&mut validator, 2, &service(6, 1_800, Moment(NOW.0 - 10 * HOUR_S)));
    let card = Card::new(1, 0);
    taps.push(validator.look(&card, Moment(NOW.0 + HOUR_S), Outcome::Evidence));
    taps.extend(declined(&mut validator, 2, &[Moment(NOW.0 + 365 * DAY_S)]));
    upload(&mut city, &taps);
    let silence = city.clearing_house.silence(Moment(NOW.0 + 2 * HOUR_S)).unwrap();
    assert_eq!(silence.silent[0].last_tap_at, Moment(NOW.0 - 10 * HOUR_S));
}
