//! Fares v1, said in the words of v2: a route is a network, a zone is an area, a fare is a product and a leg group.

use std::collections::{BTreeSet, HashMap};

use super::fares::{Fares, FaresVersion, LegRule, Quoted, Transfer};
use super::feed::{Feed, FeedError};
use super::network::Network;
use super::remark::{Place, Remarks};

struct Attributes {
    place: Place,
    has_rules: bool,
    has_contains: bool,
}

/// Reads `fare_attributes.txt` and `fare_rules.txt`, and gives the routes and stops of `network` the networks and areas
/// that the rules speak of.
pub(super) fn read(
    feed: &mut Feed,
    network: &mut Network,
    remarks: &mut Remarks,
    progress: &dyn Fn(u64),
) -> Result<Fares, FeedError> {
    let mut fares = Fares { empty_is_any: true, ..Fares::default() };
    let mut attributes: HashMap<String, Attributes> = HashMap::new();
    let mut order: Vec<String> = Vec::new();
    let mut quoted = Vec::new();
    let fields = ["fare_id", "price", "currency_type", "transfers", "transfer_duration", "agency_id"];
    feed.rows("fare_attributes.txt", 3, fields, remarks, progress, |row, remarks| {
        let [id, price, currency, transfers, duration, _agency] = row.values;
        let place = row.place("price");
        let (product, amount, currency) = (id.to_owned(), price.to_owned(), currency.to_owned());
        quoted.push(Quoted { place, product, category: None, other_medium: None, amount, currency });
        order.push(id.to_owned());
        attributes.insert(id.to_owned(), Attributes { place, has_rules: false, has_contains: false });
        let count = match transfers {
            "" => Some(-1),
            "0" => None,
            text => match text.parse::<u8>() {
                Ok(count) => Some(count.into()),
                Err(_) => {
                    let detail = format!("`{text}` is no number of transfers; fare `{id}` has none");
                    remarks.not_expressed(row.place("transfers"), detail);
                    None
                }
            },
        };
        let duration_s = duration.parse().ok();
        if duration_s.is_none() && !duration.is_empty() {
            let detail = format!("`{duration}` is no number of seconds; transfers of fare `{id}` have no limit");
            remarks.not_expressed(row.place("transfer_duration"), detail);
        }
        if let Some(count) = count {
            let group = Some(id.to_owned());
            fares.transfers.push(Transfer {
                place: row.place("transfers"),
                from_group: group.clone(),
                to_group: group,
                count: Some(count),
                duration_s,
                duration_type: 1,
                kind: 0,
                product: None,
            });
        }
    })?;
    fares.take_prices(quoted, remarks);
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let rule = |place, id: &str, [route, origin, destination]: [&str; 3]| LegRule {
        place,
        group: id.to_owned(),
        network: some(route),
        from_area: some(origin),
        to_area: some(destination),
        from_timeframe: None,
        to_timeframe: None,
        product: id.to_owned(),
        priority: 0,
    };
    let fields = ["fare_id", "route_id", "origin_id", "destination_id", "contains_id"];
    feed.rows("fare_rules.txt", 1, fields, remarks, progress, |row, remarks| {
        let [id, route, origin, destination, contains] = row.values;
        let Some(attributes) = attributes.get_mut(id) else {
            remarks
                .defect(row.place("fare_id"), || format!("fare_attributes.txt has no `{id}`: the rule never counts"));
            return;
        };
        attributes.has_rules = true;
        if contains.is_empty() {
            fares.rules.push(rule(row.place("fare_id"), id, [route, origin, destination]));
        } else if !attributes.has_contains {
            attributes.has_contains = true;
            let detail = format!("fare `{id}` depends on which zones a ride passes; it is not used");
            remarks.not_expressed(row.place("contains_id"), detail);
        }
    })?;
    // A fare without rules is for every ride.
    let everywhere = order.iter().filter_map(|id| attributes.get(id).map(|attributes| (id, attributes)));
    let everywhere = everywhere.filter(|(_, attributes)| !attributes.has_rules);
    fares.rules.extend(everywhere.map(|(id, attributes)| rule(attributes.place, id, ["", "", ""])));
    if fares.prices.is_empty() && fares.rules.is_empty() {
        return Ok(fares);
    }
    fares.version = FaresVersion::V1;
    for route in &mut network.routes {
        route.network = route.id.clone();
    }
    let zone = |zone: &String| if zone.is_empty() { BTreeSet::new() } else { BTreeSet::from([zone.clone()]) };
    network.areas_of = network.stops.iter().map(|stop| zone(&stop.zone)).collect();
    Ok(fares)
}
