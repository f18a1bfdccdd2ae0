//! What one fare decision costs: nanoseconds of the pure function, without card, log or network.

use std::{fs, hint::black_box, path::Path, time::Instant};

use transit::{
    card::{Issuer, Product, Profile, Record, RecordKind},
    fare::{Boarding, CardView, Decision, Gate, decide},
    id::{DeviceId, LineNumber, StopNumber, TapId},
    money::{Amount, Balance},
    tariff::Tariff,
    time::{Moment, ServiceDay},
};

use crate::Failure;

/// 2026-11-24, a Tuesday, 07:00 in Hanoi and 08:00 in the city of `fixtures/every-rule`: its rush hour.
const RUSH_HOUR: Moment = Moment(1_795_478_400);

const BATCHES: usize = 51;
const DECISIONS_PER_BATCH: u32 = 2_000;

/// The medians of the batches, in nanoseconds a decision.
#[derive(Clone, Copy, Debug)]
pub struct DecideNs {
    /// Hanoi's tariff: the fare of the line.
    pub flat: f64,
    /// The slower of two: `fixtures/every-rule`, a time band, a discount, rounding, a transfer, both caps; and
    /// `fixtures/lagoon`, a tap-in that finds a journey unfinished, whose end is priced like that too.
    pub worst: f64,
}

/// Measures both on the tariffs of the folder `fixtures`.
///
/// # Errors
/// [`Failure`] where a tariff cannot be read, or refuses the ride.
pub fn decide_ns(fixtures: &Path) -> Result<DecideNs, Failure> {
    let read = |name: &str| -> Result<Tariff, Failure> {
        let path = fixtures.join(name).join("tariff.toml");
        Ok(Tariff::parse(&path, &fs::read_to_string(&path)?)?)
    };
    let flat = ride(Profile::Ordinary)?;
    let worst = ride(Profile::Student)?;
    let unfinished = after_a_tap_in(worst);
    let flat = median_ns(&flat, &read("hanoi")?)?;
    let worst = median_ns(&worst, &read("every-rule")?)?.max(median_ns(&unfinished, &read("lagoon")?)?);
    Ok(DecideNs { flat, worst })
}

fn median_ns(ride: &(CardView, Boarding), tariff: &Tariff) -> Result<f64, Failure> {
    let (view, boarding) = ride;
    if !matches!(decide(view, tariff, boarding), Decision::Accept(_)) {
        return Err("the fare decision refuses the ride that is measured".into());
    }
    let mut batches_ns: Vec<f64> = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let started = Instant::now();
        for _ in 0..DECISIONS_PER_BATCH {
            black_box(decide(black_box(view), black_box(tariff), black_box(boarding)));
        }
        batches_ns.push(started.elapsed().as_secs_f64() * 1e9 / f64::from(DECISIONS_PER_BATCH));
    }
    batches_ns.sort_by(f64::total_cmp);
    Ok(batches_ns[BATCHES / 2])
}

/// A boarding of line 1 in the rush hour, a quarter of an hour after another one.
fn ride(profile: Profile) -> Result<(CardView, Boarding), Failure> {
    let device = DeviceId::try_from(101)?;
    let tap = |sequence| TapId { device, epoch: 1, sequence };
    let at = RUSH_HOUR;
    let mut record = Record {
        kind: RecordKind::Boarding,
        card_sequence: 7,
        tap: Some(tap(1)),
        previous: None,
        time: Moment(at.0 - 900),
        line: LineNumber(2),
        stop: StopNumber(1),
        amount: Amount::ZERO,
        balance_after: Balance::from_minor(500_000),
        has_pass: false,
        has_profile: profile != Profile::Ordinary,
        profile,
        carried: Default::default(),
        recovered: false,
    };
    record.carried.transfer = (10, 1, 100);
    let profile_valid_until = ServiceDay(u16::MAX);
    let issuer = Issuer { profile, profile_valid_until, products: [Product::NONE; 5] };
    let view = CardView { record, issuer: record.has_profile.then_some(issuer), denied: false };
    Ok((view, Boarding { tap: tap(2), line: LineNumber(1), stop: StopNumber(1), at, gate: Gate::ENTRY }))
}

/// The same in the rush hour of the lagoon, where the card has a journey open that began on line 4, as a transfer.
fn after_a_tap_in((mut view, boarding): (CardView, Boarding)) -> (CardView, Boarding) {
    let at = Moment(RUSH_HOUR.0 + 7 * 3_600 + 1_800);
    view.record.kind = RecordKind::TapIn;
    view.record.time = Moment(at.0 - 300);
    (view.record.line, view.record.stop) = (LineNumber(4), StopNumber(5));
    view.record.carried.journey = (5, 0, 180);
    view.record.carried.transfer = (10, 2, 300);
    (view, Boarding { at, ..boarding })
}
