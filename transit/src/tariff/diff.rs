//! What another version of a tariff changes.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{DayType, FareRule, JourneyFare, JourneyPrices, RoundingDirection, Tariff, TransferFare};
use crate::card::ProductKind;
use crate::money::Amount;

/// One thing that differs between two tariffs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TariffChange {
    /// Which: `line 1 BRT 01: fare`.
    pub what: String,
    /// What it was; `None` where it was not there.
    pub before: Option<String>,
    /// What it is; `None` where it is gone.
    pub after: Option<String>,
}

impl Tariff {
    /// What `after` changes, in the order of its file; what is gone comes last. Empty where both charge alike.
    pub fn diff(&self, after: &Self) -> Vec<TariffChange> {
        let (old, new) = (self.facts(), after.facts());
        // By name: a table of stops has many facts.
        let by_name = |facts: &[(String, String)]| facts.iter().cloned().collect::<BTreeMap<_, _>>();
        let (was, is) = (by_name(&old), by_name(&new));
        let changed = new.iter().filter_map(|(what, value)| {
            let before = was.get(what).cloned();
            let is_other = before.as_ref() != Some(value);
            is_other.then(|| TariffChange { what: what.clone(), before, after: Some(value.clone()) })
        });
        let gone = old.iter().filter(|(what, _)| !is.contains_key(what)).map(|(what, value)| TariffChange {
            what: what.clone(),
            before: Some(value.clone()),
            after: None,
        });
        changed.chain(gone).collect()
    }

    /// Everything that a charge or a sale depends on, by a name that stays the same from one version to the next.
    fn facts(&self) -> Vec<(String, String)> {
        let money = |amount: Amount| self.currency.display(amount.minor()).to_string();
        let mut facts = vec![
            ("version".to_owned(), self.version.to_string()),
            ("currency".to_owned(), format!("{} with {} minor digits", self.currency.code, self.currency.minor_digits)),
            ("service day".to_owned(), self.service_day_words()),
            ("pass-back window".to_owned(), format!("{} s", self.pass_back_window_s)),
        ];
        let mut add = |what: String, value: String| facts.push((what, value));
        for (what, day) in [("first day", self.valid_from), ("last day", self.valid_until)] {
            day.iter().for_each(|day| add(what.to_owned(), day.to_string()));
        }
        for profile in &self.free_profiles {
            add(format!("free profile {}", profile.name()), "rides at 0".to_owned());
        }
        for discount in &self.discounts {
            add(format!("discount of {}", discount.profile.name()), format!("{} % off", discount.percent_off));
        }
        for (index, band) in self.time_bands.iter().enumerate() {
            let days = DayType::ALL.into_iter().filter(|day| band.days.contains(*day)).map(DayType::name);
            let (from, until) = (band.from.strftime("%H:%M"), band.until.strftime("%H:%M"));
            let value = format!(
                "{from}–{until}, {} % of the fare, {}",
                band.percent_of_fare,
                days.collect::<Vec<_>>().join(" ")
            );
            add(format!("time band {}", index + 1), value);
        }
        for holiday in &self.holidays {
            add(format!("holiday {holiday}"), "is one".to_owned());
        }
        let direction = match self.rounding.direction {
            RoundingDirection::Up => "up",
            RoundingDirection::Down => "down",
            RoundingDirection::HalfUp => "half up",
        };
        add("rounding".to_owned(), format!("{direction} to {}", money(self.rounding.to)));
        if let Some(rule) = &self.transfer {
            let fare = match rule.fare {
                TransferFare::Free => "free".to_owned(),
                TransferFare::Discount(discount) => format!("{} less", money(discount)),
                TransferFare::HighestFare => "the highest fare of the chain".to_owned(),
            };
            let lines = match rule.lines.as_slice() {
                [] => "all lines".to_owned(),
                lines => format!("lines {}", lines.iter().map(|line| line.0.to_string()).collect::<Vec<_>>().join(" ")),
            };
            let (window, most) = (rule.window_minutes, rule.most_transfers);
            add("transfer".to_owned(), format!("{fare}, {window} min, at most {most}, {lines}"));
        }
        for (name, cap) in [("cap of a day", self.caps.day), ("cap of a month", self.caps.month)] {
            if let Some(cap) = cap {
                add(name.to_owned(), money(cap));
            }
        }
        for fare in &self.journey_fares {
            add_journey_fare(fare, &money, &mut add);
        }
        for line in &self.lines {
            let named = format!("line {}", line.number.0);
            let rule = match line.fare_rule {
                FareRule::Flat => String::new(),
                FareRule::RouteLength(length) => format!(" ({length} km)"),
                FareRule::Journey(_) => {
                    let name = self.journey_fare(line).map_or("?", |fare| &fare.name);
                    format!(" at the tap-in, then by journey_fare {name}")
                }
            };
            add(format!("{named}: name"), line.name.clone());
            add(format!("{named}: fare"), format!("{}{rule}", money(line.fare)));
            for stop in &line.stops {
                let zone = stop.zone.map_or_else(String::new, |zone| format!(", zone {zone}"));
                let km = stop.km.map_or_else(String::new, |km| format!(", km {km}"));
                let value = format!("{} ({}){zone}{km}", stop.name, stop.gtfs_stop_id);
                add(format!("{named}: stop {}", stop.number.0), value);
            }
        }
        for pass in &self.passes {
            let named = match pass.kind {
                ProductKind::OneRoutePass => format!("one_route_pass of line {}", pass.line.0),
                ProductKind::AllRoutePass | ProductKind::None => "all_route_pass".to_owned(),
            };
            add(format!("{named}: next month from day"), pass.next_month_from_day.to_string());
            for (profile, price) in &pass.prices {
                add(format!("{named}: price for {}", profile.name()), money(*price));
            }
        }
        facts
    }

    fn service_day_words(&self) -> String {
        let zone = self.calendar.time_zone.iana_name().unwrap_or("a zone without a name");
        format!("from {} in {zone}", self.calendar.day_starts_at.strftime("%H:%M:%S"))
    }
}

fn add_journey_fare(fare: &JourneyFare, money: &dyn Fn(Amount) -> String, add: &mut dyn FnMut(String, String)) {
    let named = format!("journey_fare {}", fare.name);
    add(format!("{named}: tap-in"), money(fare.tap_in));
    add(format!("{named}: maximum"), money(fare.maximum));
    add(format!("{named}: free exit"), format!("{} min", fare.free_exit_minutes));
    add(format!("{named}: longest journey"), format!("{} min", fare.longest_minutes));
    match &fare.prices {
        JourneyPrices::ZonesCounted(fares) => {
            for (index, fare) in fares.iter().enumerate() {
                add(format!("{named}: zones counted {}", index + 1), money(*fare));
            }
        }
        JourneyPrices::ZonePairs(table) => {
            for (from, to, fare) in table.iter() {
                add(format!("{named}: zone {from} to {to}"), money(fare));
            }
        }
        JourneyPrices::StopPairs(table) => {
            for (from, to, fare) in table.iter() {
                add(format!("{named}: stop {from} to {to}"), money(fare));
            }
        }
        JourneyPrices::DistanceSteps(steps) => {
            for step in steps {
                let below = step.below.map_or_else(|| "longer".to_owned(), |below| format!("below {below} km"));
                add(format!("{named}: {below}"), money(step.fare));
            }
        }
        JourneyPrices::Distance(rate) => {
            add(format!("{named}: to {} km", rate.base_length), money(rate.base));
            add(format!("{named}: each km more"), money(rate.per_km));
        }
    }
}
