//! What a fare officer should look at in the prices of journeys.

use std::collections::BTreeSet;

use super::{FareRule, JourneyFare, JourneyPrices, Line, Stop, Tariff, TariffFindingKind};
use crate::id::LineNumber;
use crate::money::Amount;

type Find<'a> = &'a mut dyn FnMut(TariffFindingKind, String);

impl Tariff {
    pub(super) fn check_journeys(&self, find: Find<'_>) {
        for (place, fare) in self.journey_fares.iter().enumerate() {
            let lines: Vec<_> = self.lines.iter().filter(|line| line.fare_rule == FareRule::Journey(place)).collect();
            if lines.is_empty() {
                let detail = format!("[[journey_fare]] `{}` never counts: no line names it", fare.name);
                find(TariffFindingKind::Unreachable, detail);
                continue;
            }
            check_rows(fare, &lines, find);
            if let JourneyPrices::ZonesCounted(fares) = &fare.prices
                && let Some(zones) = fares.windows(2).position(|pair| pair[1] < pair[0])
            {
                let (more, fewer) = (self.money(fares[zones + 1]), self.money(fares[zones]));
                let detail = format!(
                    "in [[journey_fare]] `{}` {} zones cost {more}, less than {}, {fewer}",
                    fare.name,
                    zones + 2,
                    zones + 1
                );
                find(TariffFindingKind::FallsWithDistance, detail);
            }
            let cheapest = self.check_pairs(fare, &lines, find);
            for line in &lines {
                self.check_further(fare, line, find);
            }
            if let Some(cheapest) = cheapest.filter(|cheapest| *cheapest < fare.tap_in) {
                let (tap_in, cheapest) = (self.money(fare.tap_in), self.money(cheapest));
                let detail = format!(
                    "a tap-in of [[journey_fare]] `{}` debits {tap_in}, and its cheapest journey costs {cheapest}",
                    fare.name
                );
                find(TariffFindingKind::TapInFare, detail);
            }
        }
    }

    /// Every stop to every other one: what has no price, and what is cheapest.
    fn check_pairs(&self, fare: &JourneyFare, lines: &[&Line], find: Find<'_>) -> Option<Amount> {
        let stops = || lines.iter().flat_map(|line| line.stops.iter().map(move |stop| (line.number, stop)));
        let (mut cheapest, mut first_hole, mut holes) = (None, None, 0_u64);
        for from in stops() {
            // Without a search for numbers: a table may have thousands of stops.
            let is_one_journey = |to: LineNumber| to == from.0 || !fare.prices.is_by_distance();
            for to in stops().filter(|to| to.1.number != from.1.number && is_one_journey(to.0)) {
                match self.price_between(fare, from.1, to.1) {
                    Some(price) => cheapest = Some(cheapest.map_or(price, |other: Amount| other.min(price))),
                    None => {
                        holes += 1;
                        first_hole.get_or_insert((from.1, to.1));
                    }
                }
            }
        }
        if let Some((from, to)) = first_hole {
            let detail = format!(
                "[[journey_fare]] `{}` has no price for {holes} pair(s) of stops, the first from {} {} to {} {}: such \
                 a journey costs what its tap-in debited",
                fare.name, from.number.0, from.name, to.number.0, to.name
            );
            find(TariffFindingKind::Hole, detail);
        }
        cheapest
    }

    /// Along a line, a stop further is never cheaper.
    fn check_further(&self, fare: &JourneyFare, line: &Line, find: Find<'_>) {
        let price = |from: &Stop, to: &Stop| self.price_between(fare, from, to);
        let (mut first, mut falls) = (None, 0_u64);
        for (index, from) in line.stops.iter().enumerate() {
            // From each stop in both directions, the nearer stop first.
            let backwards = line.stops[..index].windows(2).map(|pair| (&pair[1], &pair[0]));
            let forwards = line.stops[index + 1..].windows(2).map(|pair| (&pair[0], &pair[1]));
            for (near, far) in backwards.chain(forwards) {
                if let (Some(nearer), Some(further)) = (price(from, near), price(from, far))
                    && further < nearer
                {
                    falls += 1;
                    first.get_or_insert((from, near, nearer, far, further));
                }
            }
        }
        if let Some((from, near, nearer, far, further)) = first {
            let (nearer, further, number) = (self.money(nearer), self.money(further), line.number.0);
            let detail = format!(
                "on line {number} {falls} ride(s) are cheaper than shorter ones, the first from {} to {}, {further}: to \
                 {} it is {nearer}",
                from.name, far.name, near.name
            );
            find(TariffFindingKind::FallsWithDistance, detail);
        }
    }

    fn price_between(&self, fare: &JourneyFare, from: &Stop, to: &Stop) -> Option<Amount> {
        fare.between(from, to, self.rounding).map(|price| price.fare)
    }
}

/// Rows of a table that no stop asks for.
fn check_rows(fare: &JourneyFare, lines: &[&Line], find: Find<'_>) {
    let stops = || lines.iter().flat_map(|line| &line.stops);
    let (table, what, asked): (_, _, BTreeSet<u16>) = match &fare.prices {
        JourneyPrices::ZonePairs(table) => (table, "zone", stops().filter_map(|stop| stop.zone).collect()),
        JourneyPrices::StopPairs(table) => (table, "stop", stops().map(|stop| stop.number.0).collect()),
        JourneyPrices::ZonesCounted(_) | JourneyPrices::DistanceSteps(_) | JourneyPrices::Distance(_) => return,
    };
    let mut unknown = table.iter().flat_map(|(from, to, _)| [from, to]).filter(|number| !asked.contains(number));
    if let Some(number) = unknown.next() {
        let detail =
            format!("[[journey_fare]] `{}` has prices for {what} {number}, which no stop of its lines has", fare.name);
        find(TariffFindingKind::Unreachable, detail);
    }
}
