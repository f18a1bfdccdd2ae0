//! The one transfer rule of a tariff that does what the feed's transfer rules do, for as many lines as it can.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::charge::{Charger, Rider};
use super::fares::{Fares, Transfer};
use super::fit::Fit;
use super::remark::{Place, Remarks};

/// The most that [`transit::tariff::TransferRule`] takes.
const WINDOW_MAX_MINUTES: u32 = 1_440;
const TRANSFERS_MAX: i64 = 14;

/// A `[transfer]` of a tariff file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) window_minutes: u32,
    pub(super) most_transfers: i64,
    pub(super) fare: Kind,
    /// Of which routes; `None` for all.
    pub(super) routes: Option<BTreeSet<usize>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Free,
    HighestFare,
    Discount(i64),
}

impl Kind {
    /// What a ride of fare `next` costs after one of fare `first`.
    fn charge(self, first: i64, next: i64) -> i64 {
        match self {
            Self::Free => 0,
            Self::HighestFare => (next - first).max(0),
            Self::Discount(off) => (next - off).max(0),
        }
    }
}

/// How long, and how many times.
type Limits = (Option<u32>, Option<i64>);

/// A leg group and a fare, and the routes that have both.
type Classes<'a> = Vec<((&'a str, i64), Vec<usize>)>;

/// What a transfer rule of the feed makes of two classes.
struct Pair<'a> {
    transfer: &'a Transfer,
    from: usize,
    to: usize,
    charge: i64,
}

pub(super) fn rule(fares: &Fares, fit: &Fit<'_>, ordinary: Rider<'_>, remarks: &mut Remarks) -> Option<Rule> {
    let (classes, others) = classes(fares, fit);
    let pairs = pairs(fares, &classes, ordinary, remarks);
    let limits: BTreeSet<Limits> =
        fares.transfers.iter().map(|transfer| (transfer.duration_s, transfer.count)).collect();
    let discounts = pairs.iter().filter_map(|pair| {
        let next = classes.get(pair.to)?.0.1;
        next.checked_sub(pair.charge).filter(|off| *off > 0)
    });
    let kinds: BTreeSet<Kind> = discounts.map(Kind::Discount).chain([Kind::Free, Kind::HighestFare]).collect();
    let mut best: Option<(usize, Kind, Limits, BTreeSet<usize>)> = None;
    for kind in kinds {
        for limits in &limits {
            let fits = |pair: &Pair<'_>| does(pair, kind, *limits, &classes);
            let found: HashSet<(usize, usize)> =
                pairs.iter().filter(|pair| fits(pair)).map(|pair| (pair.from, pair.to)).collect();
            let members = complete(classes.len(), &found);
            let lines = members.iter().filter_map(|class| classes.get(*class)).map(|class| class.1.len()).sum();
            if lines > best.as_ref().map_or(0, |best| best.0) {
                best = Some((lines, kind, *limits, members));
            }
        }
    }
    let mut left_out: BTreeMap<u64, Place> = BTreeMap::new();
    for pair in &pairs {
        let is_done = best.as_ref().is_some_and(|(_, kind, limits, members)| {
            members.contains(&pair.from) && members.contains(&pair.to) && does(pair, *kind, *limits, &classes)
        });
        // A transfer at the full fare is what there is without a rule.
        let is_nothing = classes.get(pair.to).is_some_and(|class| class.0.1 == pair.charge);
        if !is_done && !is_nothing {
            left_out.insert(pair.transfer.place.line, pair.transfer.place);
        }
    }
    let named = Named::of(fares);
    for transfer in &fares.transfers {
        let is_theirs = |group: &&str| named.from(transfer, group) || named.to(transfer, group);
        if others.iter().any(is_theirs) {
            left_out.insert(transfer.place.line, transfer.place);
        }
    }
    for place in left_out.into_values() {
        let detail =
            "what this rule makes of some lines is not what the [transfer] of a tariff can do, which is one for all \
                      its lines, in both directions and from a line to itself; such rides pay for themselves"
                .to_owned();
        remarks.not_expressed(place, detail);
    }
    let (_, kind, (duration_s, count), members) = best?;
    say_limits(fares, duration_s, count, remarks);
    let routes: BTreeSet<usize> =
        members.iter().filter_map(|class| classes.get(*class)).flat_map(|class| class.1.iter().copied()).collect();
    let window_minutes =
        duration_s.map_or(WINDOW_MAX_MINUTES, |duration_s| duration_s / 60).clamp(1, WINDOW_MAX_MINUTES);
    let most_transfers = count.filter(|count| (1..=TRANSFERS_MAX).contains(count)).unwrap_or(TRANSFERS_MAX);
    let routes = (routes.len() < fit.lines.len()).then_some(routes);
    Some(Rule { window_minutes, most_transfers, fare: kind, routes })
}

/// The classes of lines with one fare, and the groups of lines with several: those are in no class.
fn classes<'a>(fares: &'a Fares, fit: &Fit<'_>) -> (Classes<'a>, BTreeSet<&'a str>) {
    let mut classes: BTreeMap<(&str, i64), Vec<usize>> = BTreeMap::new();
    let mut others = BTreeSet::new();
    for route in 0..fit.lines.len() {
        let Some((_, charges)) = fit.of(route) else { continue };
        let rules = charges.rules.iter().filter_map(|rule| fares.rules.get(*rule));
        let groups: BTreeSet<&str> = rules.map(|rule| &*rule.group).filter(|group| !group.is_empty()).collect();
        let amounts: BTreeSet<i64> = charges.minor.iter().flatten().copied().collect();
        match (groups.first(), amounts.first()) {
            (Some(group), Some(fare)) if groups.len() == 1 && amounts.len() == 1 => {
                classes.entry((*group, *fare)).or_default().push(route);
            }
            _ => others.extend(groups),
        }
    }
    (classes.into_iter().collect(), others)
}

/// Which leg groups transfer rules name: an empty field is for all others.
struct Named<'a> {
    from: HashSet<&'a str>,
    to: HashSet<&'a str>,
}

impl<'a> Named<'a> {
    fn of(fares: &'a Fares) -> Self {
        let from = fares.transfers.iter().filter_map(|transfer| transfer.from_group.as_deref()).collect();
        let to = fares.transfers.iter().filter_map(|transfer| transfer.to_group.as_deref()).collect();
        Self { from, to }
    }

    /// Whether a rule counts after a ride of `group`.
    fn from(&self, transfer: &Transfer, group: &str) -> bool {
        transfer.from_group.as_deref().map_or_else(|| !self.from.contains(group), |from| from == group)
    }

    /// Whether a rule counts before a ride of `group`.
    fn to(&self, transfer: &Transfer, group: &str) -> bool {
        transfer.to_group.as_deref().map_or_else(|| !self.to.contains(group), |to| to == group)
    }
}

fn pairs<'a>(fares: &'a Fares, classes: &Classes<'_>, ordinary: Rider<'_>, remarks: &mut Remarks) -> Vec<Pair<'a>> {
    let charger = Charger::new(fares);
    let named = Named::of(fares);
    let mut pairs = Vec::new();
    for transfer in &fares.transfers {
        let cost = match &transfer.product {
            None => 0,
            Some(product) => match charger.price(product, ordinary) {
                Some((price, _)) => price.minor,
                None => {
                    let detail = format!("`{product}` has no price that a card pays; the rule is left out");
                    remarks.not_expressed(Place { field: "fare_product_id", ..transfer.place }, detail);
                    continue;
                }
            },
        };
        for (from, ((from_group, first), _)) in classes.iter().enumerate() {
            for (to, ((to_group, next), _)) in classes.iter().enumerate() {
                if named.from(transfer, from_group) && named.to(transfer, to_group) {
                    // fare_transfer_type: A + AB, A + AB + B, AB.
                    let charge = match transfer.kind {
                        0 => Some(cost),
                        1 => cost.checked_add(*next),
                        _ => cost.checked_sub(*first),
                    };
                    pairs.extend(charge.map(|charge| Pair { transfer, from, to, charge }));
                }
            }
        }
    }
    pairs
}

fn does(pair: &Pair<'_>, kind: Kind, limits: Limits, classes: &Classes<'_>) -> bool {
    let fare = |class: usize| classes.get(class).map(|class| class.0.1);
    let same_limits =
        pair.transfer.duration_s == limits.0 && (pair.transfer.count.is_none() || pair.transfer.count == limits.1);
    let charge = fare(pair.from).zip(fare(pair.to)).map(|(first, next)| kind.charge(first, next));
    same_limits && charge == Some(pair.charge.max(0))
}

/// Members of `0..count` of which every one goes with every one, itself included, in both orders: those that miss the
/// most are left out until it holds.
fn complete(count: usize, found: &HashSet<(usize, usize)>) -> BTreeSet<usize> {
    let mut members: BTreeSet<usize> = (0..count).collect();
    loop {
        let missing = |class: usize| {
            let with = members.iter().map(|other| [(class, *other), (*other, class)]);
            with.flatten().filter(|pair| !found.contains(pair)).count()
        };
        let worst = members.iter().map(|class| (missing(*class), *class)).max();
        match worst {
            Some((1.., class)) => members.remove(&class),
            Some((0, _)) | None => return members,
        };
    }
}

fn say_limits(fares: &Fares, duration_s: Option<u32>, count: Option<i64>, remarks: &mut Remarks) {
    let like = |transfer: &&Transfer| transfer.duration_s == duration_s && transfer.count == count;
    let Some(transfer) = fares.transfers.iter().find(like) else { return };
    let mut say = |field, detail: String| remarks.not_expressed(Place { field, ..transfer.place }, detail);
    match duration_s {
        None => say("duration_limit", "transfers have no limit of time; the tariff has 24 hours".to_owned()),
        Some(duration_s) if duration_s % 60 != 0 || !(60..=WINDOW_MAX_MINUTES * 60).contains(&duration_s) => {
            let detail = format!(
                "{duration_s} s are no 1 to {WINDOW_MAX_MINUTES} whole minutes; the tariff has the nearest under it"
            );
            say("duration_limit", detail);
        }
        Some(_) => {}
    }
    if duration_s.is_some() && transfer.duration_type != 1 {
        let detail = "the time counts from or to an alighting; the tariff counts from the first boarding to the next";
        say("duration_limit_type", detail.to_owned());
    }
    if count.is_some_and(|count| !(1..=TRANSFERS_MAX).contains(&count)) {
        let detail = format!("transfers without a limit, or more than {TRANSFERS_MAX}; the tariff has {TRANSFERS_MAX}");
        say("transfer_count", detail);
    }
}
