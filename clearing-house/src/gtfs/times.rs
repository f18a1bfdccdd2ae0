//! The parts of the week that fares can tell apart.

use std::collections::{BTreeMap, BTreeSet};

use super::calendar::Calendar;
use super::fares::Fares;
use super::remark::{Place, Remarks};

const DAY_S: u32 = 86_400;

/// So many boundaries of timeframes in a day are taken apart.
const BOUNDARIES_MAX: usize = 200;

/// All moments of a week at which the same timeframe groups count.
#[derive(Debug)]
pub(super) struct TimeClass<'a> {
    pub(super) groups: BTreeSet<&'a str>,
    /// Service day of the week, Monday as 0, and seconds of it, the second exclusive.
    pub(super) spans: Vec<(usize, u32, u32)>,
}

impl TimeClass<'_> {
    pub(super) fn length_s(&self) -> u64 {
        self.spans.iter().map(|(_, from_s, until_s)| u64::from(until_s - from_s)).sum()
    }
}

/// The classes of the week, the longest first; one where no rule depends on the time. Service days begin at the local
/// second `cut_s`.
pub(super) fn classes<'a>(
    fares: &'a Fares,
    calendar: &Calendar,
    cut_s: u32,
    remarks: &mut Remarks,
) -> Vec<TimeClass<'a>> {
    let asked: BTreeSet<&str> = fares
        .rules
        .iter()
        .flat_map(|rule| [rule.from_timeframe.as_deref(), rule.to_timeframe.as_deref()])
        .flatten()
        .collect();
    let timeframes: Vec<_> = fares.timeframes.iter().filter(|timeframe| asked.contains(&*timeframe.group)).collect();
    check_services(fares, calendar, &asked, remarks);
    let to_service = |local_s: u32| (local_s % DAY_S + DAY_S - cut_s) % DAY_S;
    let mut boundaries: BTreeSet<u32> =
        timeframes.iter().flat_map(|frame| [to_service(frame.span_s.0), to_service(frame.span_s.1)]).collect();
    if boundaries.len() > BOUNDARIES_MAX {
        let detail = format!("timeframes have {} boundaries in a day; times of day are left out", boundaries.len());
        remarks.not_expressed(Place::of("timeframes.txt"), detail);
        boundaries.clear();
    }
    boundaries.extend([0, to_service(0), DAY_S]);
    let boundaries: Vec<u32> = boundaries.into_iter().collect();
    let mut classes: BTreeMap<BTreeSet<&str>, Vec<(usize, u32, u32)>> = BTreeMap::new();
    for day in 0..7 {
        for pair in boundaries.windows(2) {
            let (from_s, until_s) = (pair[0], pair[1]);
            let local_s = (from_s + cut_s) % DAY_S;
            let calendar_day = if local_s < cut_s { (day + 1) % 7 } else { day };
            let counts = timeframes.iter().filter(|frame| {
                (frame.span_s.0..frame.span_s.1).contains(&local_s)
                    && calendar.services.get(&frame.service).is_some_and(|service| service.weekdays[calendar_day])
            });
            let groups = counts.map(|frame| &*frame.group).collect();
            classes.entry(groups).or_default().push((day, from_s, until_s));
        }
    }
    let mut classes: Vec<_> = classes.into_iter().map(|(groups, spans)| TimeClass { groups, spans }).collect();
    classes.sort_by_key(|class| std::cmp::Reverse(class.length_s()));
    classes
}

/// Names what a tariff does not have of the services that timeframes are for: exceptions and seasons.
fn check_services(fares: &Fares, calendar: &Calendar, asked: &BTreeSet<&str>, remarks: &mut Remarks) {
    let mut seen = BTreeSet::new();
    let mut first_period = None;
    for frame in fares.timeframes.iter().filter(|frame| asked.contains(&*frame.group)) {
        if !seen.insert(&*frame.service) {
            continue;
        }
        let (group, service) = (&frame.group, &frame.service);
        if let Some(place) = calendar.exceptions.get(service) {
            let detail = format!(
                "days on which `{service}` runs otherwise change the fares of timeframe `{group}`; the tariff has its days \
                 of the week alone: give it `holidays` by hand"
            );
            remarks.not_expressed(*place, detail);
        }
        let Some(found) = calendar.services.get(service) else {
            if !calendar.exceptions.contains_key(service) {
                let detail = || format!("no calendar has `{service}`: the timeframe never counts");
                remarks.defect(frame.place, detail);
            }
            continue;
        };
        let period = first_period.get_or_insert(&found.period);
        if **period != found.period {
            let detail = format!(
                "`{service}` runs from {} to {}, other timeframes from {} to {}: a tariff has no seasons, all count",
                found.period.0, found.period.1, period.0, period.1
            );
            remarks.not_expressed(frame.place, detail);
        }
    }
}
