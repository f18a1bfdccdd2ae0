//! What one boarding or one journey costs alone: its fare, the time of day, the rider's profile, rounding.

use super::{ChargePath, Free};
use crate::card::Issuer;
use crate::money::Amount;
use crate::tariff::{Line, Tariff};
use crate::time::ServiceTime;

/// The path of a ride that a pass or a profile makes free.
pub(super) fn free(tariff: &Tariff, priced: (&Line, Amount), free: Free) -> ChargePath {
    ChargePath { free: Some(free), single_fare: Amount::ZERO, charge: Amount::ZERO, ..whole(tariff, priced) }
}

/// The path to what this costs alone. `None` on overflow, which no parsed tariff has.
pub(super) fn single(
    tariff: &Tariff,
    priced: (&Line, Amount),
    issuer: Option<&Issuer>,
    now: ServiceTime,
) -> Option<ChargePath> {
    let time_band = tariff.time_band(now).copied();
    let discount = issuer
        .filter(|issuer| now.day <= issuer.profile_valid_until)
        .and_then(|issuer| tariff.discount(issuer.profile))
        .copied();
    if time_band.is_none() && discount.is_none() {
        return Some(whole(tariff, priced));
    }
    let of_fare = time_band.map_or(100, |band| band.percent_of_fare);
    let left = discount.map_or(100, |discount| 100_u16.saturating_sub(discount.percent_off.into()));
    let single_fare = tariff.rounding.apply(priced.1, [of_fare, left])?;
    Some(ChargePath { time_band, discount, single_fare, charge: single_fare, ..whole(tariff, priced) })
}

/// The fare as it stands.
fn whole(tariff: &Tariff, (line, fare): (&Line, Amount)) -> ChargePath {
    ChargePath {
        tariff_version: tariff.version,
        line: line.number,
        line_fare: fare,
        fare_rule: line.fare_rule,
        free: None,
        time_band: None,
        discount: None,
        rounding: tariff.rounding,
        single_fare: fare,
        transfer: None,
        caps: None,
        journey: None,
        unfinished: None,
        credit: Amount::ZERO,
        charge: fare,
    }
}
