//! The rules of a tariff that charge what the feed charges: fares of lines, percentages of times and of profiles.

use std::collections::{BTreeMap, BTreeSet};

use transit::card::Profile;
use transit::money::Amount;
use transit::tariff::{Rounding, RoundingDirection};

use super::charge::{Charger, Charges, Rider, Rides};
use super::fares::Fares;
use super::network::Network;
use super::remark::{Place, Remarks};
use super::times::TimeClass;

/// What was found.
pub(super) struct Fit<'a> {
    /// Of each route, what its rides cost at most times; in the order of [`Rides::pairs`].
    pub(super) lines: Vec<(Rides<'a>, Charges)>,
    /// Of each route, the one in `lines` that has its charges: itself, or the first that it is joined with.
    pub(super) first_of: Vec<usize>,
    /// Of each time class, the percentage of that.
    pub(super) percents: Vec<u16>,
    pub(super) rounding: Rounding,
    pub(super) free: Vec<Profile>,
    pub(super) discounts: Vec<(Profile, u8)>,
    /// Prices that some ride has.
    pub(super) used: BTreeSet<usize>,
}

impl Fit<'_> {
    /// The rides that the fare of a route is for, and what they cost.
    pub(super) fn of(&self, route: usize) -> Option<&(Rides<'_>, Charges)> {
        self.lines.get(*self.first_of.get(route)?)
    }
}

/// A kind of riders and the profile that it is in the tariff.
pub(super) struct Profiled<'a> {
    pub(super) category: &'a str,
    pub(super) place: Place,
    pub(super) profile: Profile,
}

/// All charges of one rider: for each time class, for each line.
type Table = Vec<Vec<Charges>>;

/// Finds them. `ordinary` rides without a profile, `classes` are those of the week, the longest first.
pub(super) fn fit<'a>(
    fares: &'a Fares,
    network: &'a Network,
    classes: &[TimeClass<'_>],
    ordinary: Rider<'_>,
    profiles: &[Profiled<'_>],
    remarks: &mut Remarks,
) -> Fit<'a> {
    let charger = Charger::new(fares);
    let mut joined: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, route) in network.routes.iter().enumerate().filter(|(_, route)| fares.is_joined(&route.network)) {
        joined.entry(&route.network).or_default().push(index);
    }
    let together: Vec<Vec<usize>> = network
        .routes
        .iter()
        .enumerate()
        .map(|(index, route)| joined.get(&*route.network).cloned().unwrap_or_else(|| vec![index]))
        .collect();
    let lines: Vec<Rides<'_>> =
        together.iter().enumerate().map(|(index, routes)| Rides::of(index, routes, network)).collect();
    let first_of = together.iter().map(|routes| routes.first().copied().unwrap_or_default()).collect();
    let table = |rider| -> Table {
        let at = |class: &TimeClass<'_>| lines.iter().map(|line| charger.charges(line, &class.groups, rider)).collect();
        classes.iter().map(at).collect()
    };
    let of_ordinary = table(ordinary);
    let of_profiles: Vec<Table> =
        profiles.iter().map(|profiled| table(Rider { profile: Some(profiled.category), ..ordinary })).collect();
    let mut best: Option<(usize, Found)> = None;
    for rounding in roundings() {
        let found = with_rounding(rounding, &of_ordinary, &of_profiles);
        let misses = found.misses();
        if best.as_ref().is_none_or(|(fewest, _)| misses < *fewest) {
            best = Some((misses, found));
        }
        if misses == 0 {
            break;
        }
    }
    let found = best.map_or_else(|| with_rounding(Rounding::MINOR_UNIT, &[], &[]), |(_, found)| found);
    for (class, percent) in classes.iter().zip(&found.percents) {
        if let Err(line) = percent {
            say_time_missed(network, class, *line, remarks);
        }
    }
    let (mut free, mut discounts) = (Vec::new(), Vec::new());
    for (profiled, fitted) in profiles.iter().zip(&found.profiles) {
        match fitted {
            Ok(0) => {}
            Ok(100) => free.push(profiled.profile),
            Ok(percent_off) => discounts.push((profiled.profile, *percent_off)),
            Err(line) => {
                let name = network.routes.get(*line).map_or("", |route| &route.name);
                let detail = format!(
                    "what `{}` pays is no single percentage less, first on line `{name}`; {} has no discount",
                    profiled.category,
                    profiled.profile.name()
                );
                remarks.not_expressed(profiled.place, detail);
            }
        }
    }
    let all = of_profiles.iter().chain([&of_ordinary]).flatten().flatten();
    let used = all.flat_map(|charges| charges.prices.iter().copied()).collect();
    let base = of_ordinary.into_iter().next().unwrap_or_default();
    let percents = found.percents.iter().map(|percent| percent.unwrap_or(100)).collect();
    Fit {
        lines: lines.into_iter().zip(base).collect(),
        first_of,
        percents,
        rounding: found.rounding,
        free,
        discounts,
        used,
    }
}

/// What one way of rounding makes of the charges. An error is the first line that does not fit.
struct Found {
    rounding: Rounding,
    percents: Vec<Result<u16, usize>>,
    /// Percent less, 0 to 100.
    profiles: Vec<Result<u8, usize>>,
}

impl Found {
    fn misses(&self) -> usize {
        self.percents.iter().filter(|percent| percent.is_err()).count()
            + self.profiles.iter().filter(|percent| percent.is_err()).count()
    }
}

fn with_rounding(rounding: Rounding, of_ordinary: &[Vec<Charges>], of_profiles: &[Table]) -> Found {
    let base = of_ordinary.first().map(Vec::as_slice).unwrap_or_default();
    let mut percents = Vec::new();
    for (class, charges) in of_ordinary.iter().enumerate() {
        // The percentage that people would write is taken where several make the same amounts.
        let candidates = (0..=1000_u16).filter(|percent| misfit(rounding, [*percent, 100], base, charges).is_none());
        let percent = candidates.min_by_key(|percent| (percent % 5 != 0, percent.abs_diff(100)));
        let line = || misfit(rounding, [100, 100], base, charges).unwrap_or(0);
        percents.push(if class == 0 { Ok(100) } else { percent.ok_or_else(line) });
    }
    let mut profiles = Vec::new();
    for table in of_profiles {
        let misfit_of = |percent_off: u8| {
            let mut classes = percents.iter().zip(table);
            classes.find_map(|(percent, charges)| {
                // A profile that rides at 0 does so at all times, and one without a discount is not rounded.
                let percent = percent.unwrap_or(100);
                misfit(rounding, [percent, 100 - u16::from(percent_off)], base, charges)
            })
        };
        let candidates = (0..=100_u8).filter(|percent_off| misfit_of(*percent_off).is_none());
        let percent = candidates.min_by_key(|percent_off| (percent_off % 5 != 0, *percent_off));
        profiles.push(percent.ok_or_else(|| misfit_of(0).unwrap_or(0)));
    }
    Found { rounding, percents, profiles }
}

/// The first line whose `charges` are not those of `base` with these percentages.
fn misfit(rounding: Rounding, percents: [u16; 2], base: &[Charges], charges: &[Charges]) -> Option<usize> {
    base.iter().zip(charges).position(|(base, charges)| {
        base.minor.iter().zip(&charges.minor).any(|(base, charge)| match (base, charge) {
            (Some(base), Some(charge)) => {
                let made = if percents == [100, 100] {
                    Some(*base)
                } else {
                    Amount::from_minor(*base).and_then(|base| rounding.apply(base, percents)).map(Amount::minor)
                };
                made != Some(*charge)
            }
            (None, None) => false,
            (Some(_), None) | (None, Some(_)) => true,
        })
    })
}

/// Ways of rounding that cities use, the plainest first.
fn roundings() -> impl Iterator<Item = Rounding> {
    let directions = [RoundingDirection::HalfUp, RoundingDirection::Up, RoundingDirection::Down];
    [1_u32, 5, 10, 50, 100, 500, 1_000]
        .into_iter()
        .flat_map(move |to| directions.map(|direction| Rounding { to: Amount::from(to), direction }))
}

fn say_time_missed(network: &Network, class: &TimeClass<'_>, line: usize, remarks: &mut Remarks) {
    let groups = class.groups.iter().copied().collect::<Vec<_>>().join(", ");
    let name = network.routes.get(line).map_or("", |route| &route.name);
    let when = if groups.is_empty() { "outside all timeframes".to_owned() } else { format!("in timeframe {groups}") };
    let detail = format!(
        "what rides cost {when} is no single percentage of what they cost at most times, first on line `{name}`; the \
         tariff charges as at most times"
    );
    remarks.not_expressed(Place::of("timeframes.txt"), detail);
}
