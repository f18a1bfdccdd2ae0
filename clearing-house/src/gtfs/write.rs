//! The tariff file.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::{self, Write as _};
use std::path::Path;

use transit::card::Profile;
use transit::tariff::{DayType, Length, RoundingDirection};

use super::base::Base;
use super::fares::{Fares, FaresVersion};
use super::fit::Fit;
use super::network::{Network, Route};
use super::remark::{Place, Remark, Remarks};
use super::times::TimeClass;
use super::transfer::{Kind, Rule};

/// What goes into a tariff file.
pub(super) struct Draft<'a> {
    pub(super) network: &'a Network,
    pub(super) fares: &'a Fares,
    pub(super) fit: &'a Fit<'a>,
    pub(super) classes: &'a [TimeClass<'a>],
    pub(super) cut_s: u32,
    pub(super) transfer: Option<Rule>,
    /// Of the routes, where the feed has no fares.
    pub(super) lengths_m: Vec<Option<u32>>,
    pub(super) base: Option<&'a Base>,
}

/// A tariff file without its head.
pub(super) struct Body {
    pub(super) text: String,
    pub(super) lines: usize,
    pub(super) stops: usize,
}

/// What a feed does not speak of, and a tariff that follows another has from there.
const KEPT: [&str; 2] = ["caps", "pass"];

/// … and where the feed has no fares.
const KEPT_WITHOUT_FARES: [&str; 4] = ["transfer", "time_band", "route_length_band", "journey_fare"];

/// The comment at the head of a tariff file: where it comes from, and what is not in it.
pub(super) fn head(feed: &Path, not_expressed: &[Remark], refused: Option<&str>) -> String {
    let name = feed.file_name().map_or_else(|| feed.to_string_lossy(), |name| name.to_string_lossy());
    let mut lines = vec![
        format!(
            "Made from the GTFS feed {name} by `clearing-house tariff import-gtfs`. No feed says when a service day begins,"
        ),
        "how long a card that comes back has paid, and how long a journey may take: look at them.".to_owned(),
    ];
    lines.extend(refused.map(|why| format!("It cannot be used as it stands: {why}")));
    if !not_expressed.is_empty() {
        lines.push(format!(
            "{} thing(s) about money are not, or not as in the feed, in this file:",
            not_expressed.len()
        ));
        lines.extend(not_expressed.iter().map(|remark| format!("- {remark}")));
    }
    let lines = lines.into_iter().map(|line| format!("# {}\n", one_line(&line)));
    lines.chain(["\n".to_owned()]).collect()
}

impl Draft<'_> {
    pub(super) fn body(&self, remarks: &mut Remarks) -> Body {
        let mut text = String::new();
        let (lines, stops) = self.write(&mut text, remarks);
        Body { text, lines, stops }
    }

    fn write(&self, out: &mut String, remarks: &mut Remarks) -> (usize, usize) {
        let lines = self.line_numbers(remarks);
        self.settings(out, remarks);
        self.currency(out, remarks);
        self.kept(out);
        self.percentages(out);
        if let Some(rule) = &self.transfer {
            transfer(out, rule, &lines);
        }
        let stops = self.lines(out, &lines, remarks);
        (lines.len(), stops)
    }

    fn settings(&self, out: &mut String, remarks: &mut Remarks) {
        let base = self.base.map(|base| &base.tariff);
        let zone = base.and_then(|base| base.calendar.time_zone.iana_name()).map(str::to_owned);
        let zone = zone.or_else(|| self.network.time_zone.clone()).unwrap_or_else(|| {
            let place = Place { field: "agency_timezone", ..Place::of("agency.txt") };
            remarks.not_expressed(place, "the feed has no time zone; UTC stands for it".to_owned());
            "UTC".to_owned()
        });
        entry(out, "version", base.map_or(1, |base| base.version.saturating_add(1)));
        entry(out, "time_zone", quoted(&zone));
        entry(out, "service_day_starts_at", quoted(&local(self.cut_s)));
        entry(out, "pass_back_window_s", base.map_or(300, |base| base.pass_back_window_s));
        let mut free: BTreeSet<Profile> = self.fit.free.iter().copied().collect();
        let discounted: BTreeSet<Profile> = self.fit.discounts.iter().map(|(profile, _)| *profile).collect();
        let of_base = base.into_iter().flat_map(|base| &base.free_profiles);
        free.extend(of_base.filter(|profile| !discounted.contains(profile)));
        entry(out, "free_profiles", list(free.iter().map(|profile| quoted(profile.name()))));
        if let Some(holidays) = self.base.and_then(|base| base.table.get("holidays")) {
            entry(out, "holidays", holidays);
        }
        let rounding = match base {
            Some(base) if self.fares.version == FaresVersion::None => base.rounding,
            _ => self.fit.rounding,
        };
        entry(out, "rounding_minor", rounding.to.minor());
        let direction = match rounding.direction {
            RoundingDirection::Up => "up",
            RoundingDirection::Down => "down",
            RoundingDirection::HalfUp => "half_up",
        };
        entry(out, "rounding", quoted(direction));
    }

    /// Whether the amounts of the base are in the currency of the feed.
    fn has_currency_of_base(&self) -> bool {
        let code = self.base.map(|base| &*base.tariff.currency.code);
        self.fares.currency.is_none_or(|currency| code == Some(currency.code()))
    }

    fn currency(&self, out: &mut String, remarks: &mut Remarks) {
        let mut write = |code: &str, minor_digits: u16, sign: &str| {
            out.push_str("\n[currency]\n");
            entry(out, "code", quoted(code));
            entry(out, "minor_digits", minor_digits);
            entry(out, "sign", quoted(sign));
        };
        match (self.fares.currency, self.base) {
            (_, Some(base)) if self.has_currency_of_base() => {
                let currency = &base.tariff.currency;
                write(&currency.code, currency.minor_digits.into(), &currency.sign);
            }
            (Some(currency), base) => {
                write(currency.code(), currency.exponent().unwrap_or(0), &currency.symbol().symbol);
                if let Some(base) = base {
                    let detail = format!(
                        "the feed is in {}, the base in {}: its caps and passes are left out",
                        currency.code(),
                        base.tariff.currency.code
                    );
                    remarks.not_expressed(Place::of(MONEY), detail);
                }
            }
            (None, _) if self.fares.version != FaresVersion::None => {}
            (None, _) => {
                let detail = "the feed has no fares: give the tariff a [currency], and the lines `flat_fare_minor` or \
                              [[route_length_band]]; or name a tariff that has them with --base"
                    .to_owned();
                remarks.not_expressed(Place::of(MONEY), detail);
            }
        }
    }

    fn kept(&self, out: &mut String) {
        let Some(base) = self.base.filter(|_| self.has_currency_of_base()) else { return };
        let without_fares = KEPT_WITHOUT_FARES.into_iter().filter(|_| self.fares.version == FaresVersion::None);
        let keys: BTreeSet<&str> = KEPT.into_iter().chain(without_fares).collect();
        let kept: toml::Table = base
            .table
            .iter()
            .filter(|(key, _)| keys.contains(key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        // A table that was read can be written.
        let _ = write!(out, "\n{}", toml::to_string(&kept).unwrap_or_default());
    }

    fn percentages(&self, out: &mut String) {
        let discounts: BTreeMap<Profile, u8> = self.fit.discounts.iter().copied().collect();
        let of_base = self.base.into_iter().flat_map(|base| &base.tariff.discounts);
        let of_base = of_base.map(|discount| (discount.profile, discount.percent_off));
        let of_base =
            of_base.filter(|(profile, _)| !discounts.contains_key(profile) && !self.fit.free.contains(profile));
        for (profile, percent_off) in discounts.iter().map(|(profile, percent)| (*profile, *percent)).chain(of_base) {
            out.push_str("\n[[discount]]\n");
            entry(out, "profile", quoted(profile.name()));
            entry(out, "percent_off", percent_off);
        }
        for ((from_s, until_s, percent), days) in self.time_bands() {
            out.push_str("\n[[time_band]]\n");
            if days.len() < 7 {
                let days = DayType::ALL.iter().enumerate().filter(|(index, _)| days.contains(index));
                entry(out, "days", list(days.map(|(_, day)| quoted(day.name()))));
            }
            entry(out, "from", quoted(&local(from_s + self.cut_s)));
            entry(out, "until", quoted(&local(until_s + self.cut_s)));
            entry(out, "percent_of_fare", percent);
        }
    }

    /// From, until and percentage, and the days on which it counts, in the order of the day.
    fn time_bands(&self) -> BTreeMap<(u32, u32, u16), BTreeSet<usize>> {
        let classes = self.classes.iter().zip(&self.fit.percents).filter(|(_, percent)| **percent != 100);
        let mut spans: Vec<(usize, u32, u32, u16)> = classes
            .flat_map(|(class, percent)| {
                class.spans.iter().map(|(day, from_s, until_s)| (*day, *from_s, *until_s, *percent))
            })
            .collect();
        spans.sort_unstable();
        let mut merged: Vec<(usize, u32, u32, u16)> = Vec::new();
        for span in spans {
            match merged.last_mut() {
                Some(last) if (last.0, last.2, last.3) == (span.0, span.1, span.3) => last.2 = span.2,
                _ => merged.push(span),
            }
        }
        let mut bands: BTreeMap<_, BTreeSet<usize>> = BTreeMap::new();
        for (day, from_s, until_s, percent) in merged {
            bands.entry((from_s, until_s, percent)).or_default().insert(day);
        }
        bands
    }

    /// The number of each route that has one: that of the base's line of its name, or the next that is free.
    fn line_numbers(&self, remarks: &mut Remarks) -> BTreeMap<usize, u16> {
        let mut of_base = self.base.map(Base::line_numbers).unwrap_or_default();
        let mut taken: HashSet<u16> = of_base.values().copied().collect();
        let mut numbers = BTreeMap::new();
        let mut free = 1..=u16::MAX;
        for (index, route) in self.network.routes.iter().enumerate() {
            let number = of_base.remove(&*one_line(&route.name)).or_else(|| free.find(|number| taken.insert(*number)));
            let Some(number) = number else {
                let detail = format!("route `{}` is left out: a tariff has at most {} lines", route.name, u16::MAX);
                remarks.not_expressed(route_place(route), detail);
                continue;
            };
            numbers.insert(index, number);
        }
        for (name, number) in of_base {
            let detail = format!("line {number} `{name}` of the base is no route of the feed; it is left out");
            remarks.not_expressed(Place::of("routes.txt"), detail);
        }
        numbers
    }

    /// Writes lines and the fares of journeys; says how many stops they serve.
    fn lines(&self, out: &mut String, numbers: &BTreeMap<usize, u16>, remarks: &mut Remarks) -> usize {
        let mut stops = StopNumbers::new(self.base);
        let mut zones: HashMap<&[&str], usize> = HashMap::new();
        let mut journeys: BTreeSet<String> = BTreeSet::new();
        let mut lines = String::new();
        for (index, number) in numbers {
            let (Some(route), Some((rides, _))) = (self.network.routes.get(*index), self.fit.lines.get(*index)) else {
                continue;
            };
            let out_of_line = &mut lines;
            out_of_line.push_str("\n[[line]]\n");
            entry(out_of_line, "number", number);
            entry(out_of_line, "name", quoted(&route.name));
            let zone_of = self.fare(out, out_of_line, *index, *number, (&mut zones, &mut journeys), remarks);
            let mut rows = Vec::new();
            for (stop, class) in route.stops.iter().zip(&rides.class_of) {
                let Some(stop) = self.network.stops.get(*stop) else { continue };
                let Some(number) = stops.number(&stop.id) else {
                    let detail = format!("stop `{}` is left out: a tariff has at most {} stops", stop.id, u16::MAX);
                    remarks.not_expressed(Place { field: "stop_id", ..Place::of("stops.txt") }, detail);
                    continue;
                };
                let zone = zone_of.get(*class);
                let zone = zone.map_or_else(String::new, |zone| format!(", zone = {zone}"));
                let (name, id) = (quoted(&stop.name), quoted(&stop.id));
                rows.push(format!("    {{ number = {number}, name = {name}, gtfs_stop_id = {id}{zone} }},\n"));
            }
            let rows: String = rows.concat();
            entry(out_of_line, "stop", if rows.is_empty() { "[]".to_owned() } else { format!("[\n{rows}]") });
        }
        out.push_str(&lines);
        for join in &self.fares.joins {
            if !(self.fares.is_joined(&join.from)
                && join.from == join.to
                && journeys.contains(&joined_name(&join.from)))
            {
                let (from, to) = (&join.from, &join.to);
                let detail = format!(
                    "rides on `{from}` and `{to}` that follow each other are one ride in the feed; the tariff charges each"
                );
                remarks.not_expressed(join.place, detail);
            }
        }
        stops.of_feed.len()
    }

    /// Writes the fare of a line to `line`, and what it needs before to `out`. Of one of journeys, says which zone each
    /// kind of places is.
    fn fare<'r>(
        &'r self,
        out: &mut String,
        line: &mut String,
        index: usize,
        number: u16,
        (zones, journeys): (&mut HashMap<&'r [&'r str], usize>, &mut BTreeSet<String>),
        remarks: &mut Remarks,
    ) -> Vec<usize> {
        let none = Vec::new();
        let (Some(route), Some((rides, charges))) = (self.network.routes.get(index), self.fit.of(index)) else {
            return none;
        };
        if self.fares.version == FaresVersion::None {
            self.fare_without_fares(line, index, route, remarks);
            return none;
        }
        let amounts: BTreeSet<i64> = charges.minor.iter().flatten().copied().collect();
        let (Some(least), Some(most)) = (amounts.first(), amounts.last()) else {
            let detail = format!("no rule has a price for rides on `{}`: the line has no fare", route.name);
            remarks.not_expressed(route_place(route), detail);
            return none;
        };
        let pairs = || rides.pairs.iter().zip(&charges.minor);
        if let Some(((from, to), _)) = pairs().find(|(_, minor)| minor.is_none()) {
            let missing = pairs().filter(|(_, minor)| minor.is_none()).count();
            let (from, to) = (rides.words(*from), rides.words(*to));
            let what = if least == most { "the fare of the others" } else { "what its tap-in debits" };
            let detail = format!(
                "no rule has a price for {missing} of {} kinds of rides on `{}`, the first from {from} to {to}; such a \
                 ride costs {what}",
                rides.pairs.len(),
                route.name
            );
            remarks.not_expressed(route_place(route), detail);
        }
        if least == most {
            entry(line, "flat_fare_minor", least);
            return none;
        }
        let mut zone = |areas| {
            let next = zones.len() + 1;
            *zones.entry(areas).or_insert(next)
        };
        let zone_of: Vec<usize> = rides.areas.iter().map(|areas| zone(areas.as_slice())).collect();
        let is_joined = self.fares.is_joined(&route.network);
        let name = if is_joined { joined_name(&route.network) } else { format!("line {number}") };
        entry(line, "journey_fare", quoted(&name));
        if !journeys.insert(name.clone()) {
            return zone_of;
        }
        out.push_str("\n[[journey_fare]]\n");
        entry(out, "name", quoted(&name));
        entry(out, "tap_in_minor", least);
        entry(out, "maximum_minor", most);
        entry(out, "longest_minutes", LONGEST_MINUTES);
        let prices: BTreeMap<(usize, usize), i64> = pairs()
            .filter_map(|((from, to), minor)| Some(((*zone_of.get(*from)?, *zone_of.get(*to)?), (*minor)?)))
            .collect();
        // A pair counts both ways, unless the way back stands there too.
        let needed =
            prices.iter().filter(|((from, to), minor)| from <= to || prices.get(&(*to, *from)) != Some(*minor));
        entry(out, "zone_pair", list(needed.map(|((from, to), minor)| format!("[{from}, {to}, {minor}]"))));
        zone_of
    }

    /// Of a feed without fares: what the base has for the line, otherwise its length.
    fn fare_without_fares(&self, line: &mut String, index: usize, route: &Route, remarks: &mut Remarks) {
        let entries = self.base.and_then(|base| base.table.get("line")).and_then(toml::Value::as_array);
        let mut entries = entries.into_iter().flatten();
        let of_base = entries.find(|entry| entry.get("name").and_then(toml::Value::as_str) == Some(&route.name));
        let keys = ["flat_fare_minor", "length_km", "journey_fare"];
        if let Some((key, value)) = keys.into_iter().find_map(|key| Some((key, of_base?.get(key)?))) {
            entry(line, key, value);
            return;
        }
        let Some(length_m) = self.lengths_m.get(index).copied().flatten() else {
            let detail = format!("nothing says how long `{}` is: the line has no fare", route.name);
            return remarks.not_expressed(route_place(route), detail);
        };
        entry(line, "length_km", quoted(&km(length_m)));
        let about = |percent: u32| km(length_m / 100 * percent).parse::<Length>().ok();
        let bands = self.base.into_iter().flat_map(|base| &base.tariff.route_length_bands);
        let bound = bands.filter_map(|band| band.below).find(|below| {
            about(100 - LENGTH_UNCERTAIN_PERCENT).is_some_and(|shortest| shortest <= *below)
                && about(100 + LENGTH_UNCERTAIN_PERCENT).is_some_and(|longest| *below <= longest)
        });
        if let Some(bound) = bound {
            let detail = format!(
                "`{}` is about {} km long by the feed, near the {bound} km at which the fare changes: measure it",
                route.name,
                km(length_m)
            );
            remarks.not_expressed(route_place(route), detail);
        }
    }
}

/// How much the length of a shape, or from stop to stop, may be off.
const LENGTH_UNCERTAIN_PERCENT: u32 = 5;

/// The longest that a tariff takes: no feed says how long a journey may be.
const LONGEST_MINUTES: u32 = 1_440;

/// The file that stands for all fares of a feed.
const MONEY: &str = "fare_products.txt";

/// Numbers of stops: those of the base, then the next that are free.
struct StopNumbers<'a> {
    of_base: HashMap<&'a str, u16>,
    taken: HashSet<u16>,
    of_feed: HashMap<String, u16>,
    next: u16,
}

impl<'a> StopNumbers<'a> {
    fn new(base: Option<&'a Base>) -> Self {
        let of_base = base.map(Base::stop_numbers).unwrap_or_default();
        let taken = of_base.values().copied().collect();
        Self { of_base, taken, of_feed: HashMap::new(), next: 1 }
    }

    fn number(&mut self, id: &str) -> Option<u16> {
        if let Some(number) = self.of_feed.get(id) {
            return Some(*number);
        }
        let number = self.of_base.get(id).copied().or_else(|| {
            let number = (self.next..=u16::MAX).find(|number| self.taken.insert(*number))?;
            self.next = number;
            Some(number)
        })?;
        self.of_feed.insert(id.to_owned(), number);
        Some(number)
    }
}

fn transfer(out: &mut String, rule: &Rule, numbers: &BTreeMap<usize, u16>) {
    out.push_str("\n[transfer]\n");
    entry(out, "window_minutes", rule.window_minutes);
    entry(out, "most_transfers", rule.most_transfers);
    let (fare, discount) = match rule.fare {
        Kind::Free => ("free", None),
        Kind::HighestFare => ("highest_fare", None),
        Kind::Discount(off) => ("discount", Some(off)),
    };
    entry(out, "fare", quoted(fare));
    if let Some(discount) = discount {
        entry(out, "discount_minor", discount);
    }
    if let Some(routes) = &rule.routes {
        entry(out, "lines", list(routes.iter().filter_map(|route| numbers.get(route)).map(u16::to_string)));
    }
}

fn km(length_m: u32) -> String {
    format!("{}.{:03}", length_m / 1_000, length_m % 1_000)
}

/// What the fare of journeys on a joined network is called.
fn joined_name(network: &str) -> String {
    format!("network {network}")
}

fn route_place(route: &Route) -> Place {
    Place { file: "routes.txt", line: route.line, field: "route_id" }
}

fn entry(out: &mut String, key: &str, value: impl fmt::Display) {
    // A string takes everything.
    let _ = writeln!(out, "{key} = {value}");
}

fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

/// A TOML string on one line.
fn quoted(text: &str) -> String {
    toml::Value::String(one_line(text)).to_string()
}

fn one_line(text: &str) -> String {
    text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect()
}

/// A second of the day as local time, such as `06:30`.
fn local(second: u32) -> String {
    let second = second % 86_400;
    let (hours, minutes, seconds) = (second / 3_600, second / 60 % 60, second % 60);
    if seconds == 0 { format!("{hours:02}:{minutes:02}") } else { format!("{hours:02}:{minutes:02}:{seconds:02}") }
}
