//! What a fare officer should look at in a tariff that can be read: rules that never count, prices that surprise.

use serde::Serialize;

use super::{DayType, Tariff, TimeBand};
use crate::card::{ProductKind, Profile};
use crate::money::Amount;

/// Something to look at. Fares are decided all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TariffFinding {
    /// What kind of thing.
    pub kind: TariffFindingKind,
    /// For people: which rule, and what would be right.
    pub detail: String,
}

/// The kinds of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TariffFindingKind {
    /// Routes of some length, or journeys between some stops, have no fare.
    Hole,
    /// Two time bands count at one moment; the first of the file is taken.
    Overlap,
    /// A rule never counts.
    Unreachable,
    /// A longer route costs less than a shorter one, or a ride further along a line less than one less far.
    FallsWithDistance,
    /// There is no line, a line without stops, or one that a rule for lines leaves out.
    MissingLine,
    /// A tap-in debits more than the cheapest journey costs.
    TapInFare,
    /// A pass costs what nobody would pay.
    PassPrice,
}

impl Tariff {
    /// What to look at, in the order of `docs/tariff.md`; empty where all is well.
    pub fn check(&self) -> Vec<TariffFinding> {
        let mut findings = Vec::new();
        let mut find = |kind, detail| findings.push(TariffFinding { kind, detail });
        self.check_lines(&mut find);
        self.check_bands_of_length(&mut find);
        self.check_journeys(&mut find);
        self.check_discounts(&mut find);
        self.check_time_bands(&mut find);
        self.check_caps(&mut find);
        self.check_passes(&mut find);
        findings
    }

    fn check_lines(&self, find: &mut impl FnMut(TariffFindingKind, String)) {
        if self.lines.is_empty() {
            find(TariffFindingKind::MissingLine, "there is no [[line]]: every ride is refused".to_owned());
        }
        for line in &self.lines {
            let number = line.number.0;
            if line.stops.is_empty() {
                find(TariffFindingKind::MissingLine, format!("line {number} has no stops: no validator can be on it"));
            }
            let has_pass =
                |line| self.passes.iter().any(|pass| pass.kind == ProductKind::OneRoutePass && pass.line == line);
            if self.passes.iter().any(|pass| pass.kind == ProductKind::OneRoutePass) && !has_pass(line.number) {
                let detail = format!("line {number} has no one_route_pass, and other lines have one");
                find(TariffFindingKind::MissingLine, detail);
            }
        }
    }

    fn check_bands_of_length(&self, find: &mut impl FnMut(TariffFindingKind, String)) {
        if let Some(below) = self.route_length_bands.last().and_then(|band| band.below) {
            let detail = format!(
                "routes of {below} km and more have no fare: the last [[route_length_band]] should be without `below_km`"
            );
            find(TariffFindingKind::Hole, detail);
        }
        for pair in self.route_length_bands.windows(2) {
            if let Some(below) = pair[0].below.filter(|_| pair[1].fare < pair[0].fare) {
                let (long, short) = (self.money(pair[1].fare), self.money(pair[0].fare));
                let detail = format!("a route of {below} km costs {long}, less than a shorter one, {short}");
                find(TariffFindingKind::FallsWithDistance, detail);
            }
        }
    }

    fn check_discounts(&self, find: &mut impl FnMut(TariffFindingKind, String)) {
        for discount in &self.discounts {
            if self.free_profiles.contains(&discount.profile) {
                let name = discount.profile.name();
                let detail = format!("the discount of {name} never counts: {name} is one of `free_profiles`");
                find(TariffFindingKind::Unreachable, detail);
            }
        }
    }

    fn check_time_bands(&self, find: &mut impl FnMut(TariffFindingKind, String)) {
        for (index, band) in self.time_bands.iter().enumerate() {
            let earlier = &self.time_bands[..index];
            let mut days = DayType::ALL.into_iter().filter(|day| band.days.contains(*day) && self.has_day(*day));
            if days.all(|day| is_covered(band, day, earlier)) {
                let detail = format!(
                    "the time band {} never counts: bands before it are taken, or its days do not come",
                    words(band)
                );
                find(TariffFindingKind::Unreachable, detail);
                continue;
            }
            for other in earlier.iter().filter(|other| overlap(band, other)) {
                let detail = format!("time bands {} and {} overlap: the first is taken", words(other), words(band));
                find(TariffFindingKind::Overlap, detail);
            }
        }
    }

    /// Whether the calendar has such days.
    fn has_day(&self, day: DayType) -> bool {
        day != DayType::Holiday || !self.holidays.is_empty()
    }

    fn check_caps(&self, find: &mut impl FnMut(TariffFindingKind, String)) {
        if let (Some(day), Some(month)) = (self.caps.day, self.caps.month)
            && day >= month
        {
            let (day, month) = (self.money(day), self.money(month));
            let detail = format!("the cap of a day, {day}, never counts: that of a month is {month}");
            find(TariffFindingKind::Unreachable, detail);
        }
    }

    fn check_passes(&self, find: &mut impl FnMut(TariffFindingKind, String)) {
        let all_routes = self.passes.iter().find(|pass| pass.kind == ProductKind::AllRoutePass);
        for pass in &self.passes {
            let name = match pass.kind {
                ProductKind::OneRoutePass => format!("the one_route_pass of line {}", pass.line.0),
                ProductKind::AllRoutePass | ProductKind::None => "the all_route_pass".to_owned(),
            };
            let ordinary = pass.prices.get(&Profile::Ordinary).copied();
            for (profile, price) in &pass.prices {
                let said = self.money(*price);
                if self.free_profiles.contains(profile) {
                    let detail = format!("{name} is sold to {}, who rides at 0", profile.name());
                    find(TariffFindingKind::PassPrice, detail);
                }
                if ordinary.is_some_and(|ordinary| ordinary < *price) {
                    let detail = format!("{name} costs {} {said}, more than without a profile", profile.name());
                    find(TariffFindingKind::PassPrice, detail);
                }
                let of_all = all_routes.filter(|_| pass.kind == ProductKind::OneRoutePass);
                let of_all = of_all.and_then(|all| all.prices.get(profile).or(all.prices.get(&Profile::Ordinary)));
                if of_all.is_some_and(|all| all <= price) {
                    let detail = format!("{name} costs {} {said}, and one for all routes no more", profile.name());
                    find(TariffFindingKind::PassPrice, detail);
                }
            }
        }
    }

    pub(super) fn money(&self, amount: Amount) -> String {
        self.currency.display(amount.minor()).to_string()
    }
}

/// Whether the bands of `earlier` together take every moment of `band` on `day`.
fn is_covered(band: &TimeBand, day: DayType, earlier: &[TimeBand]) -> bool {
    let (mut reached, end) = band.span_s();
    while reached < end {
        let next = earlier.iter().filter(|other| other.days.contains(day));
        let next = next.map(TimeBand::span_s).filter(|(from, until)| (*from..*until).contains(&reached));
        match next.map(|(_, until)| until).max() {
            Some(until) => reached = until,
            None => return false,
        }
    }
    true
}

fn overlap(one: &TimeBand, other: &TimeBand) -> bool {
    let ((from, until), (other_from, other_until)) = (one.span_s(), other.span_s());
    !one.days.and(other.days).is_empty() && from < other_until && other_from < until
}

fn words(band: &TimeBand) -> String {
    format!("{}–{} ({} %)", band.from.strftime("%H:%M"), band.until.strftime("%H:%M"), band.percent_of_fare)
}
