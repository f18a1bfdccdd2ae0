//! Lines, their stops, and what a boarding of them costs.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::JourneyFare;
use crate::id::{LineNumber, StopNumber};
use crate::money::Amount;

/// A line and the fare of a boarding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number.
    pub number: LineNumber,
    /// Its name, as passengers know it.
    pub name: String,
    /// What a boarding costs before any other rule; where journeys are charged, what a tap-in debits.
    pub fare: Amount,
    /// Where that comes from.
    pub fare_rule: FareRule,
    /// Its stops in order.
    pub stops: Vec<Stop>,
}

/// Where the fare of a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FareRule {
    /// It stands with the line.
    Flat,
    /// It is that of the [`RouteLengthBand`] that the length of the whole route falls into, however far one rides.
    RouteLength(Length),
    /// It depends on where the rider gets on and off, by the [`JourneyFare`](super::JourneyFare) at this place of
    /// [`Tariff::journey_fares`](super::Tariff::journey_fares).
    Journey(usize),
}

/// The fare of all routes from the band before it to just under a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteLengthBand {
    /// Routes shorter than this; `None` of the last band, which is for all that are longer.
    #[serde(rename = "below_km")]
    pub below: Option<Length>,
    /// What a boarding of such a route costs, in minor units.
    #[serde(rename = "fare_minor")]
    pub fare: Amount,
}

/// A stop of a line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Its number, from 1.
    pub number: StopNumber,
    /// Its name.
    pub name: String,
    /// Its `stop_id` in the city's GTFS feed.
    pub gtfs_stop_id: String,
    /// The zone that it lies in.
    pub zone: Option<u16>,
    /// How far along the line it is.
    pub km: Option<Position>,
}

/// The length of a route, in whole metres. Written in kilometres: `14.77`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Length {
    /// 1 to 9,999,999 metres.
    m: u32,
}

/// How far along a line something is, or how far apart two things are, in whole metres. Written in kilometres: `0`, `3.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Position {
    /// 0 to 9,999,999 metres.
    m: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LineEntry {
    pub(super) number: LineNumber,
    name: String,
    flat_fare_minor: Option<Amount>,
    length_km: Option<Length>,
    journey_fare: Option<String>,
    stop: Vec<Stop>,
}

impl Line {
    /// The stop of this number.
    pub fn stop(&self, number: StopNumber) -> Option<&Stop> {
        self.stops.iter().find(|stop| stop.number == number)
    }
}

impl LineEntry {
    pub(super) fn checked(self, bands: &[RouteLengthBand], journeys: &[JourneyFare]) -> Result<Line, String> {
        let number = self.number.0;
        let (fare, fare_rule) = match (self.flat_fare_minor, self.length_km, self.journey_fare) {
            (Some(fare), None, None) => (fare, FareRule::Flat),
            (None, Some(length), None) => match band_of(bands, length) {
                Some(band) => (band.fare, FareRule::RouteLength(length)),
                None => {
                    return Err(format!("line {number} is {length} km long, and no [[route_length_band]] is for that"));
                }
            },
            (None, None, Some(name)) => match journeys.iter().enumerate().find(|(_, fare)| fare.name == name) {
                Some((place, fare)) => (fare.tap_in, FareRule::Journey(place)),
                None => return Err(format!("line {number} names [[journey_fare]] `{name}`, which is not there")),
            },
            (None, None, None) => {
                return Err(format!(
                    "line {number} has no fare: give it a `flat_fare_minor`, a `length_km` or a `journey_fare`"
                ));
            }
            _ => {
                return Err(format!(
                    "line {number} has more than one of `flat_fare_minor`, `length_km` and `journey_fare`: one of \
                     them is its fare"
                ));
            }
        };
        for (index, stop) in self.stop.iter().enumerate() {
            if stop.number.0 == 0 || self.stop[..index].iter().any(|other| other.number == stop.number) {
                return Err(format!("stop {} of line {number} is 0 or there twice", stop.number.0));
            }
        }
        Ok(Line { number: self.number, name: self.name, fare, fare_rule, stops: self.stop })
    }
}

/// Bands from short to long, so that the first whose bound is above a length is its own.
pub(super) fn check_bands(bands: &[RouteLengthBand]) -> Result<(), String> {
    for pair in bands.windows(2) {
        match (pair[0].below, pair[1].below) {
            (None, _) => {
                return Err(
                    "only the last [[route_length_band]] may be without `below_km`: it is for all longer routes"
                        .to_owned(),
                );
            }
            (Some(shorter), Some(longer)) if longer <= shorter => {
                return Err(format!(
                    "[[route_length_band]] stand from short to long: one below {longer} km follows one below {shorter} km"
                ));
            }
            (Some(_), _) => {}
        }
    }
    Ok(())
}

fn band_of(bands: &[RouteLengthBand], length: Length) -> Option<&RouteLengthBand> {
    bands.iter().find(|band| band.below.is_none_or(|below| length < below))
}

impl FromStr for Length {
    type Err = InvalidLength;

    fn from_str(text: &str) -> Result<Self, InvalidLength> {
        match metres(text) {
            Some(m) if m > 0 => Ok(Self { m }),
            Some(_) | None => Err(InvalidLength(text.to_owned())),
        }
    }
}

impl Position {
    /// Whole metres.
    pub fn m(self) -> u32 {
        self.m
    }

    /// How far apart they are.
    pub fn distance_to(self, other: Self) -> Self {
        Self { m: self.m.abs_diff(other.m) }
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        metres(text).map(|m| Self { m }).ok_or_else(|| InvalidPosition(text.to_owned()))
    }
}

impl TryFrom<String> for Position {
    type Error = InvalidPosition;

    fn try_from(text: String) -> Result<Self, InvalidPosition> {
        text.parse()
    }
}

/// Metres, of kilometres as decimals with up to three digits after the point.
fn metres(text: &str) -> Option<u32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let are_digits =
        |part: &str, most: usize| (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole, 4) || !are_digits(decimals, 3) {
        return None;
    }
    format!("{whole}{decimals:0<3}").parse().ok()
}

fn write_km(f: &mut fmt::Formatter<'_>, m: u32) -> fmt::Result {
    let text = format!("{}.{:03}", m / 1000, m % 1000);
    f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
}

impl TryFrom<String> for Length {
    type Error = InvalidLength;

    fn try_from(text: String) -> Result<Self, InvalidLength> {
        text.parse()
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_km(f, self.m)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_km(f, self.m)
    }
}

/// A text that is no length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no length in kilometres, such as \"14.77\": more than 0, under 10000, to the metre")]
pub struct InvalidLength(pub String);

/// A text that is no place along a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no distance in kilometres, such as \"3.2\": 0 or more, under 10000, to the metre")]
pub struct InvalidPosition(pub String);
