//! What the feed charges for a ride: the rules of Fares v2, applied to a line, two places, a time and a rider.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::fares::{Fares, LegRule, Price};
use super::network::Network;

/// The fares of a feed, ready to be asked.
pub(super) struct Charger<'a> {
    fares: &'a Fares,
    rules: HashMap<[Option<&'a str>; 3], Vec<usize>>,
    /// What rules name: networks, areas of the start, areas of the end.
    named: [HashSet<&'a str>; 3],
    prices: HashMap<&'a str, Vec<usize>>,
}

/// The rides of a line that fares can tell apart: by the areas of start and end.
pub(super) struct Rides<'a> {
    network: Option<&'a str>,
    /// The areas of each kind of places.
    pub(super) areas: Vec<Vec<&'a str>>,
    /// Of each stop of the line, which of the areas are its.
    pub(super) class_of: Vec<usize>,
    /// Start and end, as places in `areas`.
    pub(super) pairs: Vec<(usize, usize)>,
}

/// Who rides: prices of these categories and of no category count.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rider<'a> {
    /// The category of riders without a profile, whose prices everybody may pay.
    pub(super) ordinary: Option<&'a str>,
    /// The category of their profile.
    pub(super) profile: Option<&'a str>,
}

impl Rider<'_> {
    fn pays(self, price: &Price) -> bool {
        let category = price.category.as_deref();
        category.is_none() || category == self.ordinary || category == self.profile
    }
}

/// What the rides of a line cost one rider at one time.
#[derive(Debug, Default)]
pub(super) struct Charges {
    /// In the order of [`Rides::pairs`], in minor units; `None` where no rule has a price.
    pub(super) minor: Vec<Option<i64>>,
    /// The rules and prices that made them.
    pub(super) rules: BTreeSet<usize>,
    pub(super) prices: BTreeSet<usize>,
}

impl<'a> Rides<'a> {
    /// Those of the stops of `routes`, on which rides that follow each other are one. The first of them has all, the
    /// others have stops alone.
    pub(super) fn of(index: usize, routes: &[usize], network: &'a Network) -> Self {
        let areas_of = |stop: &usize| -> Vec<&str> {
            network.areas_of.get(*stop).into_iter().flatten().map(String::as_str).collect()
        };
        let mut areas: Vec<Vec<&str>> = Vec::new();
        let mut known: BTreeMap<Vec<&str>, usize> = BTreeMap::new();
        let all: BTreeSet<usize> = routes
            .iter()
            .filter_map(|route| network.routes.get(*route))
            .flat_map(|route| route.stops.iter().copied())
            .collect();
        let mut count_of: Vec<usize> = Vec::new();
        for stop in &all {
            let of_stop = areas_of(stop);
            let next = areas.len();
            let class = *known.entry(of_stop.clone()).or_insert(next);
            if class == next {
                areas.push(of_stop);
                count_of.push(0);
            }
            if let Some(count) = count_of.get_mut(class) {
                *count += 1;
            }
        }
        let route = network.routes.get(index);
        let class_of =
            route.into_iter().flat_map(|route| &route.stops).filter_map(|stop| known.get(&areas_of(stop)).copied());
        let class_of = class_of.collect();
        if areas.is_empty() {
            // Nobody knows its stops: they are in no area.
            areas.push(Vec::new());
        }
        let is_ride =
            |from: usize, to: usize| from != to || all.len() < 2 || count_of.get(from).is_some_and(|count| *count > 1);
        let pairs = (0..areas.len()).flat_map(|from| (0..areas.len()).map(move |to| (from, to)));
        let pairs = pairs.filter(|(from, to)| routes.first() == Some(&index) && is_ride(*from, *to)).collect();
        let network = route.map(|route| &*route.network).filter(|network| !network.is_empty());
        Self { network, areas, class_of, pairs }
    }

    /// The areas of a class, for people.
    pub(super) fn words(&self, class: usize) -> String {
        self.areas
            .get(class)
            .filter(|areas| !areas.is_empty())
            .map_or_else(|| "no area".to_owned(), |areas| areas.join(" "))
    }
}

impl<'a> Charger<'a> {
    pub(super) fn new(fares: &'a Fares) -> Self {
        let mut rules: HashMap<_, Vec<usize>> = HashMap::new();
        let mut named: [HashSet<&str>; 3] = Default::default();
        for (index, rule) in fares.rules.iter().enumerate() {
            let key = [rule.network.as_deref(), rule.from_area.as_deref(), rule.to_area.as_deref()];
            rules.entry(key).or_default().push(index);
            for (named, value) in named.iter_mut().zip(key) {
                named.extend(value);
            }
        }
        let mut prices: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, price) in fares.prices.iter().enumerate() {
            prices.entry(&price.product).or_default().push(index);
        }
        Self { fares, rules, named, prices }
    }

    /// What the rides of a line cost `rider` while the timeframe groups `active` count.
    pub(super) fn charges(&self, rides: &Rides<'a>, active: &BTreeSet<&str>, rider: Rider<'_>) -> Charges {
        let mut charges = Charges::default();
        for (from, to) in &rides.pairs {
            let areas = |class: usize| rides.areas.get(class).map(Vec::as_slice).unwrap_or_default();
            let matching = self.matching(rides.network, areas(*from), areas(*to), active);
            let priced = matching.into_iter().filter_map(|rule| Some((self.price(&rule.1.product, rider)?, rule.0)));
            // The rider takes the cheapest product that the ride can be made with.
            let cheapest =
                priced.filter(|((price, _), _)| price.minor >= 0).min_by_key(|((price, _), rule)| (price.minor, *rule));
            charges.minor.push(cheapest.map(|((price, index), rule)| {
                charges.prices.insert(index);
                charges.rules.insert(rule);
                price.minor
            }));
        }
        charges
    }

    /// The cheapest price of a product that `rider` can pay with a card.
    pub(super) fn price(&self, product: &str, rider: Rider<'_>) -> Option<(&'a Price, usize)> {
        let prices = self.prices.get(product)?.iter();
        let prices = prices.filter_map(|index| Some((self.fares.prices.get(*index)?, *index)));
        prices
            .filter(|(price, _)| price.other_medium.is_none())
            .filter(|(price, _)| rider.pays(price))
            .min_by_key(|(price, _)| price.minor)
    }

    /// The rules of the highest priority that match.
    fn matching(
        &self,
        network: Option<&str>,
        from: &[&str],
        to: &[&str],
        active: &BTreeSet<&str>,
    ) -> Vec<(usize, &'a LegRule)> {
        let networks = self.keys(0, network.as_slice());
        let (from_keys, to_keys) = (self.keys(1, from), self.keys(2, to));
        let mut matching: Vec<(usize, &LegRule)> = Vec::new();
        for network in &networks {
            for from in &from_keys {
                for to in &to_keys {
                    let rules = self.rules.get(&[*network, *from, *to]).into_iter().flatten();
                    let rules = rules.filter_map(|index| Some((*index, self.fares.rules.get(*index)?)));
                    let counts = |group: &Option<String>| group.as_deref().is_none_or(|group| active.contains(group));
                    matching
                        .extend(rules.filter(|(_, rule)| counts(&rule.from_timeframe) && counts(&rule.to_timeframe)));
                }
            }
        }
        let highest = matching.iter().map(|(_, rule)| rule.priority).max();
        matching.retain(|(_, rule)| Some(rule.priority) == highest);
        matching
    }

    /// What a rule may have in one of its three fields to match `values`.
    fn keys<'v>(&self, field: usize, values: &[&'v str]) -> Vec<Option<&'v str>>
    where
        'a: 'v,
    {
        let is_named = |value: &&&str| self.named.get(field).is_some_and(|named| named.contains(**value));
        let mut keys: Vec<Option<&str>> = values.iter().filter(is_named).map(|value| Some(*value)).collect();
        if self.fares.empty_is_any || keys.len() < values.len() || keys.is_empty() {
            keys.push(None);
        }
        keys
    }
}
