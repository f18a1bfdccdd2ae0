//! The fares of a feed as they stand in it: Fares v2, or Fares v1 said in the words of v2.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use iso_currency::Currency;

use super::amount::minor_units;
use super::feed::{Feed, FeedError};
use super::remark::{Place, Remarks};

/// The fares of a feed.
#[derive(Debug, Default)]
pub(super) struct Fares {
    pub(super) version: FaresVersion,
    /// Of all amounts; `None` without any.
    pub(super) currency: Option<Currency>,
    pub(super) rules: Vec<LegRule>,
    /// Whether an empty field of a rule matches everything: Fares v1, and v2 with `rule_priority`. Otherwise it matches
    /// what no other rule names.
    pub(super) empty_is_any: bool,
    pub(super) prices: Vec<Price>,
    pub(super) transfers: Vec<Transfer>,
    pub(super) joins: Vec<Join>,
    pub(super) timeframes: Vec<Timeframe>,
    pub(super) categories: BTreeMap<String, Category>,
}

/// Which of the two ways of GTFS a feed's fares are said in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaresVersion {
    /// It has none.
    #[default]
    None,
    /// `fare_attributes.txt` and `fare_rules.txt`.
    V1,
    /// `fare_products.txt`, `fare_leg_rules.txt` and those that go with them.
    V2,
}

/// What a ride needs (`fare_leg_rules.txt`).
#[derive(Debug)]
pub(super) struct LegRule {
    pub(super) place: Place,
    pub(super) group: String,
    pub(super) network: Option<String>,
    pub(super) from_area: Option<String>,
    pub(super) to_area: Option<String>,
    pub(super) from_timeframe: Option<String>,
    pub(super) to_timeframe: Option<String>,
    pub(super) product: String,
    pub(super) priority: i64,
}

/// What a product costs (`fare_products.txt`). Negative where it is taken off.
#[derive(Debug)]
pub(super) struct Price {
    pub(super) place: Place,
    pub(super) product: String,
    pub(super) category: Option<String>,
    pub(super) minor: i64,
    /// `None` where a card can hold it; otherwise the medium that it is for.
    pub(super) other_medium: Option<String>,
}

/// What a ride after another costs (`fare_transfer_rules.txt`).
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) place: Place,
    pub(super) from_group: Option<String>,
    pub(super) to_group: Option<String>,
    /// -1 for any number; `None` where the groups differ.
    pub(super) count: Option<i64>,
    pub(super) duration_s: Option<u32>,
    pub(super) duration_type: u8,
    /// 0, 1 or 2: `fare_transfer_type`.
    pub(super) kind: u8,
    pub(super) product: Option<String>,
}

/// Rides that follow each other and are one (`fare_leg_join_rules.txt`).
#[derive(Debug)]
pub(super) struct Join {
    pub(super) place: Place,
    pub(super) from: String,
    pub(super) to: String,
    /// Whether one may change at any stop.
    pub(super) is_everywhere: bool,
}

/// A part of the day of a group (`timeframes.txt`).
#[derive(Debug)]
pub(super) struct Timeframe {
    pub(super) place: Place,
    pub(super) group: String,
    /// Local seconds of the day, the second exclusive, to 86,400.
    pub(super) span_s: (u32, u32),
    pub(super) service: String,
}

/// A kind of riders (`rider_categories.txt`).
#[derive(Debug)]
pub(super) struct Category {
    pub(super) place: Place,
    pub(super) is_default: bool,
}

/// An amount as it stands in the feed.
pub(super) struct Quoted {
    pub(super) place: Place,
    pub(super) product: String,
    pub(super) category: Option<String>,
    pub(super) other_medium: Option<String>,
    pub(super) amount: String,
    pub(super) currency: String,
}

/// Which files [`Fares::read`] reads.
pub(super) const FILES: [&str; 9] = [
    "fare_media.txt",
    "rider_categories.txt",
    "fare_products.txt",
    "fare_leg_rules.txt",
    "fare_leg_join_rules.txt",
    "fare_transfer_rules.txt",
    "timeframes.txt",
    "fare_attributes.txt",
    "fare_rules.txt",
];

/// The `fare_media_type` of a transit card.
const TRANSIT_CARD: &str = "2";

impl Fares {
    /// Whether all rides in `network` that follow each other are one.
    pub(super) fn is_joined(&self, network: &str) -> bool {
        self.joins.iter().any(|join| join.is_everywhere && join.from == network && join.to == network)
    }

    /// Reads Fares v2. `media` are the media, besides transit cards, whose prices count.
    pub(super) fn read(
        feed: &mut Feed,
        media: &[String],
        remarks: &mut Remarks,
        progress: &dyn Fn(u64),
    ) -> Result<Self, FeedError> {
        let mut fares = Self::default();
        let cards = card_media(feed, media, remarks, progress)?;
        fares.read_categories(feed, remarks, progress)?;
        fares.read_products(feed, &cards, remarks, progress)?;
        fares.read_leg_rules(feed, remarks, progress)?;
        if fares.prices.is_empty() && fares.rules.is_empty() {
            return Ok(fares);
        }
        fares.version = FaresVersion::V2;
        fares.read_timeframes(feed, remarks, progress)?;
        fares.read_transfers(feed, remarks, progress)?;
        let fields = ["from_network_id", "to_network_id", "from_stop_id", "to_stop_id"];
        feed.rows("fare_leg_join_rules.txt", 2, fields, remarks, progress, |row, _| {
            let [from, to, from_stop, to_stop] = row.values;
            let is_everywhere = from_stop.is_empty() && to_stop.is_empty();
            let (from, to) = (from.to_owned(), to.to_owned());
            fares.joins.push(Join { place: row.place("from_network_id"), from, to, is_everywhere });
        })?;
        fares.check_references(remarks);
        Ok(fares)
    }

    fn read_categories(
        &mut self,
        feed: &mut Feed,
        remarks: &mut Remarks,
        progress: &dyn Fn(u64),
    ) -> Result<(), FeedError> {
        let fields = ["rider_category_id", "is_default_fare_category"];
        feed.rows("rider_categories.txt", 1, fields, remarks, progress, |row, remarks| {
            let [id, is_default] = row.values;
            let category = Category { place: row.place("rider_category_id"), is_default: is_default == "1" };
            if self.categories.values().any(|other| other.is_default && category.is_default) {
                let detail =
                    || "two categories are the default; prices of both count for riders without a profile".to_owned();
                remarks.defect(row.place("is_default_fare_category"), detail);
            }
            self.categories.insert(id.to_owned(), category);
        })?;
        Ok(())
    }

    fn read_products(
        &mut self,
        feed: &mut Feed,
        cards: &Media,
        remarks: &mut Remarks,
        progress: &dyn Fn(u64),
    ) -> Result<(), FeedError> {
        let fields = ["fare_product_id", "amount", "currency", "rider_category_id", "fare_media_id"];
        let mut quoted = Vec::new();
        feed.rows("fare_products.txt", 3, fields, remarks, progress, |row, remarks| {
            let [product, amount, currency, category, medium] = row.values;
            if !medium.is_empty() && !cards.known.contains(medium) {
                remarks.defect(row.place("fare_media_id"), || format!("fare_media.txt has no `{medium}`"));
            }
            quoted.push(Quoted {
                place: row.place("amount"),
                product: product.to_owned(),
                category: some(category),
                other_medium: some(medium).filter(|medium| !cards.of_cards.contains(medium)),
                amount: amount.to_owned(),
                currency: currency.to_owned(),
            });
        })?;
        self.take_prices(quoted, remarks);
        Ok(())
    }

    /// Takes the amounts of the currency that most of them are in.
    pub(super) fn take_prices(&mut self, quoted: Vec<Quoted>, remarks: &mut Remarks) {
        let mut count_of: BTreeMap<&str, usize> = BTreeMap::new();
        for quoted in &quoted {
            *count_of.entry(&quoted.currency).or_default() += 1;
        }
        let known = |code: &str| Currency::from_code(code).filter(|currency| currency.exponent().is_some());
        let currency = count_of.into_iter().filter(|(code, _)| known(code).is_some()).max_by_key(|(_, count)| *count);
        let currency = currency.and_then(|(code, _)| known(code));
        for quoted in quoted {
            let Some(currency) = currency.filter(|currency| currency.code() == quoted.currency) else {
                let why = match known(&quoted.currency) {
                    Some(_) => "a tariff has one currency, and most amounts are in another",
                    None => "that is no currency of ISO 4217",
                };
                let detail = format!("`{}` costs {} {}: {why}", quoted.product, quoted.amount, quoted.currency);
                remarks.not_expressed(Place { field: "currency", ..quoted.place }, detail);
                continue;
            };
            let digits = currency.exponent().map_or(0, usize::from);
            let Some(minor) = minor_units(&quoted.amount, digits) else {
                let detail = format!(
                    "`{}` costs `{}`, which is no amount of {} with at most {digits} digits after a point",
                    quoted.product, quoted.amount, quoted.currency
                );
                remarks.not_expressed(quoted.place, detail);
                continue;
            };
            let Quoted { place, product, category, other_medium, .. } = quoted;
            self.prices.push(Price { place, product, category, minor, other_medium });
        }
        self.currency = currency;
    }

    fn read_leg_rules(
        &mut self,
        feed: &mut Feed,
        remarks: &mut Remarks,
        progress: &dyn Fn(u64),
    ) -> Result<(), FeedError> {
        let fields = [
            "fare_product_id",
            "leg_group_id",
            "network_id",
            "from_area_id",
            "to_area_id",
            "from_timeframe_group_id",
            "to_timeframe_group_id",
            "rule_priority",
        ];
        let found = feed.rows("fare_leg_rules.txt", 1, fields, remarks, progress, |row, remarks| {
            let [product, group, network, from_area, to_area, from_timeframe, to_timeframe, priority] = row.values;
            if !priority.is_empty() && priority.parse::<i64>().is_err() {
                let detail = format!("`{priority}` is no whole number; the rule counts as one of priority 0");
                remarks.not_expressed(row.place("rule_priority"), detail);
            }
            if !to_timeframe.is_empty() {
                let detail =
                    format!("`{product}` depends on when a ride ends; the tariff takes it by when the ride begins");
                remarks.not_expressed(row.place("to_timeframe_group_id"), detail);
            }
            self.rules.push(LegRule {
                place: row.place("fare_product_id"),
                group: group.to_owned(),
                network: some(network),
                from_area: some(from_area),
                to_area: some(to_area),
                from_timeframe: some(from_timeframe),
                to_timeframe: some(to_timeframe),
                product: product.to_owned(),
                priority: priority.parse().unwrap_or(0),
            });
        })?;
        self.empty_is_any = found.is_some_and(|[.., priority]| priority);
        Ok(())
    }

    fn read_timeframes(
        &mut self,
        feed: &mut Feed,
        remarks: &mut Remarks,
        progress: &dyn Fn(u64),
    ) -> Result<(), FeedError> {
        let fields = ["timeframe_group_id", "service_id", "start_time", "end_time"];
        feed.rows("timeframes.txt", 2, fields, remarks, progress, |row, remarks| {
            let [group, service, from, until] = row.values;
            let second = |text: &str, empty| if text.is_empty() { Some(empty) } else { second_of_day(text) };
            let span_s = second(from, 0).zip(second(until, 86_400)).filter(|(from_s, until_s)| from_s < until_s);
            let Some(span_s) = span_s else {
                let detail = format!("`{from}` to `{until}` is no part of a day; fares of `{group}` do not count then");
                remarks.not_expressed(row.place("start_time"), detail);
                return;
            };
            let (group, service) = (group.to_owned(), service.to_owned());
            self.timeframes.push(Timeframe { place: row.place("service_id"), group, span_s, service });
        })?;
        Ok(())
    }

    fn read_transfers(
        &mut self,
        feed: &mut Feed,
        remarks: &mut Remarks,
        progress: &dyn Fn(u64),
    ) -> Result<(), FeedError> {
        let fields = [
            "fare_transfer_type",
            "from_leg_group_id",
            "to_leg_group_id",
            "transfer_count",
            "duration_limit",
            "duration_limit_type",
            "fare_product_id",
        ];
        feed.rows("fare_transfer_rules.txt", 1, fields, remarks, progress, |row, remarks| {
            let [kind, from, to, count, duration, duration_type, product] = row.values;
            let read = (
                kind.parse().ok().filter(|kind| *kind <= 2),
                optional(count),
                optional(duration),
                optional(duration_type).filter(|kind| kind.is_none_or(|kind| kind <= 3)),
            );
            let (Some(kind), Some(count), Some(duration_s), Some(duration_type)) = read else {
                let detail = format!(
                    "the rule is not understood: type `{kind}`, count `{count}`, duration `{duration}` of type \
                     `{duration_type}`"
                );
                remarks.not_expressed(row.place("fare_transfer_type"), detail);
                return;
            };
            self.transfers.push(Transfer {
                place: row.place("fare_transfer_type"),
                from_group: some(from),
                to_group: some(to),
                count,
                duration_s,
                duration_type: duration_type.unwrap_or(1),
                kind,
                product: some(product),
            });
        })?;
        Ok(())
    }

    fn check_references(&self, remarks: &mut Remarks) {
        let products: HashSet<&str> = self.prices.iter().map(|price| &*price.product).collect();
        let groups: HashSet<&str> = self.timeframes.iter().map(|timeframe| &*timeframe.group).collect();
        for rule in &self.rules {
            if !products.contains(&*rule.product) {
                remarks.defect(rule.place, || format!("fare_products.txt has no `{}` with a price", rule.product));
            }
            for (field, group) in
                [("from_timeframe_group_id", &rule.from_timeframe), ("to_timeframe_group_id", &rule.to_timeframe)]
            {
                if let Some(group) = group.as_ref().filter(|group| !groups.contains(&***group)) {
                    let detail = || format!("timeframes.txt has no `{group}`: the rule never counts");
                    remarks.defect(Place { field, ..rule.place }, detail);
                }
            }
        }
        let legs: BTreeSet<&str> = self.rules.iter().map(|rule| &*rule.group).collect();
        for transfer in &self.transfers {
            for (field, group) in [("from_leg_group_id", &transfer.from_group), ("to_leg_group_id", &transfer.to_group)]
            {
                if let Some(group) = group.as_ref().filter(|group| !legs.contains(&***group)) {
                    let detail = || format!("fare_leg_rules.txt has no `{group}`: the rule never counts");
                    remarks.defect(Place { field, ..transfer.place }, detail);
                }
            }
        }
    }
}

/// The media of a feed.
struct Media {
    known: HashSet<String>,
    /// Those whose prices count for a card.
    of_cards: HashSet<String>,
}

fn card_media(
    feed: &mut Feed,
    wanted: &[String],
    remarks: &mut Remarks,
    progress: &dyn Fn(u64),
) -> Result<Media, FeedError> {
    let mut media = Media { known: HashSet::new(), of_cards: wanted.iter().cloned().collect() };
    feed.rows("fare_media.txt", 2, ["fare_media_id", "fare_media_type"], remarks, progress, |row, remarks| {
        let [id, kind] = row.values;
        if !["0", "1", "2", "3", "4"].contains(&kind) {
            remarks.defect(row.place("fare_media_type"), || format!("`{kind}` of `{id}` is no type of media, 0 to 4"));
        }
        media.known.insert(id.to_owned());
        if kind == TRANSIT_CARD {
            media.of_cards.insert(id.to_owned());
        }
    })?;
    Ok(media)
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// `Some(None)` where `text` is empty, `None` where it cannot be read.
fn optional<T: std::str::FromStr>(text: &str) -> Option<Option<T>> {
    if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
}

/// `H:MM:SS` to `24:00:00`.
fn second_of_day(text: &str) -> Option<u32> {
    let mut parts = text.split(':').map(|part| part.parse::<u32>().ok().filter(|_| part.len() <= 2));
    let (Some(hours), Some(minutes), Some(seconds), None) = (parts.next()?, parts.next()?, parts.next()?, parts.next())
    else {
        return None;
    };
    let second = hours * 3600 + minutes * 60 + seconds;
    (minutes < 60 && seconds < 60 && second <= 86_400).then_some(second)
}
