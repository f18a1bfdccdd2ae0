//! Routes, their stops in order, and the areas and networks that fares speak of.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::feed::{Feed, FeedError};
use super::remark::{Place, Remarks};

/// The part of a feed that says where one can ride.
#[derive(Debug, Default)]
pub(super) struct Network {
    /// The time zone of the agencies.
    pub(super) time_zone: Option<String>,
    pub(super) stops: Vec<Stop>,
    pub(super) routes: Vec<Route>,
    pub(super) trips: usize,
    /// Each stop's areas (Fares v2).
    pub(super) areas_of: Vec<BTreeSet<String>>,
    pub(super) areas: BTreeSet<String>,
    pub(super) networks: BTreeSet<String>,
}

#[derive(Debug)]
pub(super) struct Stop {
    pub(super) id: String,
    pub(super) name: String,
    /// The zone of Fares v1.
    pub(super) zone: String,
    /// Latitude and longitude in degrees.
    pub(super) position: Option<(f64, f64)>,
    parent: String,
}

#[derive(Debug)]
pub(super) struct Route {
    /// The line of `routes.txt`.
    pub(super) line: u64,
    pub(super) id: String,
    pub(super) name: String,
    /// Its network of Fares v2; empty for none.
    pub(super) network: String,
    /// The stops that its trips serve, in order, each once.
    pub(super) stops: Vec<usize>,
    /// The shape of a trip that serves the most stops; empty for none.
    pub(super) shape: String,
    /// The stops of that trip.
    pub(super) longest: Vec<u32>,
}

struct Trips {
    route_of: Vec<u32>,
    shape_of: Vec<u32>,
    shapes: Vec<String>,
    by_id: HashMap<String, u32>,
}

/// Which files [`Network::read`] reads.
pub(super) const FILES: [&str; 8] = [
    "agency.txt",
    "stops.txt",
    "routes.txt",
    "trips.txt",
    "stop_times.txt",
    "stop_areas.txt",
    "networks.txt",
    "route_networks.txt",
];

impl Network {
    pub(super) fn read(feed: &mut Feed, remarks: &mut Remarks, progress: &dyn Fn(u64)) -> Result<Self, FeedError> {
        let mut network = Self::default();
        network.read_agencies(feed, remarks, progress)?;
        let stop_of = network.read_stops(feed, remarks, progress)?;
        let route_of = network.read_routes(feed, remarks, progress)?;
        network.read_networks(feed, &route_of, remarks, progress)?;
        network.read_areas(feed, &stop_of, remarks, progress)?;
        let trips = network.read_trips(feed, &route_of, remarks, progress)?;
        network.read_stop_times(feed, &stop_of, &trips, remarks, progress)?;
        Ok(network)
    }

    fn read_agencies(
        &mut self,
        feed: &mut Feed,
        remarks: &mut Remarks,
        progress: &dyn Fn(u64),
    ) -> Result<(), FeedError> {
        const FIELD: &str = "agency_timezone";
        feed.rows("agency.txt", 1, [FIELD], remarks, progress, |row, remarks| {
            let [zone] = row.values;
            match &self.time_zone {
                None if jiff::tz::TimeZone::get(zone).is_ok() => self.time_zone = Some(zone.to_owned()),
                None => remarks.defect(row.place(FIELD), || format!("`{zone}` is no IANA time zone")),
                Some(first) if first == zone => {}
                Some(first) => {
                    let detail =
                        || format!("it is {zone}, and {first} above; a feed has one time zone, the first is taken");
                    remarks.defect(row.place(FIELD), detail);
                }
            }
        })?;
        Ok(())
    }

    fn read_stops(
        &mut self,
        feed: &mut Feed,
        remarks: &mut Remarks,
        progress: &dyn Fn(u64),
    ) -> Result<HashMap<String, usize>, FeedError> {
        let mut stop_of: HashMap<String, usize> = HashMap::new();
        let fields = ["stop_id", "stop_name", "zone_id", "parent_station", "stop_lat", "stop_lon"];
        let found = feed.rows("stops.txt", 1, fields, remarks, progress, |row, remarks| {
            let [id, name, zone, parent, latitude, longitude] = row.values;
            if !is_new(&stop_of, id, row.place("stop_id"), remarks) {
                return;
            }
            let degrees = |text: &str, most: f64| text.parse().ok().filter(|degrees: &f64| degrees.abs() <= most);
            let position = degrees(latitude, 90.0).zip(degrees(longitude, 180.0));
            if position.is_none() {
                let detail = || format!("`{latitude}`, `{longitude}` is no latitude and longitude in degrees");
                remarks.defect(row.place("stop_lat"), detail);
            }
            if name.is_empty() {
                remarks.defect(row.place("stop_name"), || format!("stop `{id}` has no name; its id stands for it"));
            }
            stop_of.insert(id.to_owned(), self.stops.len());
            self.stops.push(Stop {
                id: id.to_owned(),
                name: if name.is_empty() { id } else { name }.to_owned(),
                zone: zone.to_owned(),
                position,
                parent: parent.to_owned(),
            });
        })?;
        if found.is_none() {
            remarks.defect(Place::of("stops.txt"), || "the feed has no stops: the lines have none".to_owned());
        }
        Ok(stop_of)
    }

    fn read_routes(
        &mut self,
        feed: &mut Feed,
        remarks: &mut Remarks,
        progress: &dyn Fn(u64),
    ) -> Result<HashMap<String, usize>, FeedError> {
        let mut route_of: HashMap<String, usize> = HashMap::new();
        let fields = ["route_id", "route_short_name", "route_long_name", "network_id"];
        feed.rows("routes.txt", 1, fields, remarks, progress, |row, remarks| {
            let [id, short, long, network] = row.values;
            if !is_new(&route_of, id, row.place("route_id"), remarks) {
                return;
            }
            let name = [short, long, id].into_iter().find(|name| !name.is_empty()).unwrap_or_default();
            if short.is_empty() && long.is_empty() {
                let detail = || format!("route `{id}` has no name; its id stands for it");
                remarks.defect(row.place("route_short_name"), detail);
            }
            if !network.is_empty() {
                self.networks.insert(network.to_owned());
            }
            route_of.insert(id.to_owned(), self.routes.len());
            self.routes.push(Route {
                line: row.line,
                id: id.to_owned(),
                name: name.to_owned(),
                network: network.to_owned(),
                stops: Vec::new(),
                shape: String::new(),
                longest: Vec::new(),
            });
        })?;
        if self.routes.is_empty() {
            return Err(FeedError::Missing { file: "routes.txt", field: "route_id" });
        }
        Ok(route_of)
    }

    fn read_networks(
        &mut self,
        feed: &mut Feed,
        route_of: &HashMap<String, usize>,
        remarks: &mut Remarks,
        progress: &dyn Fn(u64),
    ) -> Result<(), FeedError> {
        feed.rows("networks.txt", 1, ["network_id"], remarks, progress, |row, _| {
            self.networks.insert(row.values[0].to_owned());
        })?;
        let fields = ["network_id", "route_id"];
        feed.rows("route_networks.txt", 2, fields, remarks, progress, |row, remarks| {
            let [network, route] = row.values;
            let Some(route) = route_of.get(route).and_then(|index| self.routes.get_mut(*index)) else {
                remarks.defect(row.place("route_id"), || format!("there is no route `{route}`"));
                return;
            };
            if !route.network.is_empty() && route.network != network {
                let detail =
                    || format!("route `{}` is of network `{}` already; the first is taken", route.id, route.network);
                remarks.defect(row.place("network_id"), detail);
                return;
            }
            self.networks.insert(network.to_owned());
            route.network = network.to_owned();
        })?;
        Ok(())
    }

    fn read_areas(
        &mut self,
        feed: &mut Feed,
        stop_of: &HashMap<String, usize>,
        remarks: &mut Remarks,
        progress: &dyn Fn(u64),
    ) -> Result<(), FeedError> {
        feed.rows("areas.txt", 1, ["area_id"], remarks, progress, |row, _| {
            self.areas.insert(row.values[0].to_owned());
        })?;
        let mut direct = vec![BTreeSet::new(); self.stops.len()];
        feed.rows("stop_areas.txt", 2, ["area_id", "stop_id"], remarks, progress, |row, remarks| {
            let [area, stop] = row.values;
            let Some(areas) = stop_of.get(stop).and_then(|index| direct.get_mut(*index)) else {
                remarks.defect(row.place("stop_id"), || format!("there is no stop `{stop}`"));
                return;
            };
            if self.areas.insert(area.to_owned()) {
                remarks
                    .defect(row.place("area_id"), || format!("areas.txt has no area `{area}`; it counts all the same"));
            }
            areas.insert(area.to_owned());
        })?;
        // A platform that has no areas is in those of its station (stop_areas.txt, stop_id).
        self.areas_of = (0..self.stops.len())
            .map(|stop| {
                let own = direct.get(stop).filter(|areas| !areas.is_empty());
                let station = || self.stops.get(stop).and_then(|stop| stop_of.get(&stop.parent));
                own.or_else(|| station().and_then(|station| direct.get(*station))).cloned().unwrap_or_default()
            })
            .collect();
        Ok(())
    }

    fn read_trips(
        &mut self,
        feed: &mut Feed,
        route_of: &HashMap<String, usize>,
        remarks: &mut Remarks,
        progress: &dyn Fn(u64),
    ) -> Result<Trips, FeedError> {
        let mut trips = Trips { route_of: vec![], shape_of: vec![], shapes: vec![], by_id: HashMap::new() };
        let mut shape_of: HashMap<String, u32> = HashMap::new();
        let fields = ["trip_id", "route_id", "shape_id"];
        feed.rows("trips.txt", 2, fields, remarks, progress, |row, remarks| {
            let [id, route, shape] = row.values;
            let Some(route) = route_of.get(route).and_then(|index| u32::try_from(*index).ok()) else {
                remarks.defect(row.place("route_id"), || format!("there is no route `{route}`"));
                return;
            };
            let Ok(number) = u32::try_from(trips.route_of.len()) else { return };
            if !is_new(&trips.by_id, id, row.place("trip_id"), remarks) {
                return;
            }
            let next = u32::try_from(trips.shapes.len()).unwrap_or(u32::MAX);
            let shape = shape_of.get(shape).copied().unwrap_or_else(|| {
                trips.shapes.push(shape.to_owned());
                shape_of.insert(shape.to_owned(), next);
                next
            });
            trips.by_id.insert(id.to_owned(), number);
            trips.route_of.push(route);
            trips.shape_of.push(shape);
        })?;
        self.trips = trips.route_of.len();
        Ok(trips)
    }

    fn read_stop_times(
        &mut self,
        feed: &mut Feed,
        stop_of: &HashMap<String, usize>,
        trips: &Trips,
        remarks: &mut Remarks,
        progress: &dyn Fn(u64),
    ) -> Result<(), FeedError> {
        // Trip, place in the trip, stop: twelve bytes a row, for feeds have millions.
        let mut calls: Vec<(u32, u32, u32)> = Vec::new();
        let mut last = (String::new(), None);
        let fields = ["trip_id", "stop_sequence", "stop_id"];
        let found = feed.rows("stop_times.txt", 3, fields, remarks, progress, |row, remarks| {
            let [trip, sequence, stop] = row.values;
            if last.0 != trip || last.1.is_none() {
                last = (trip.to_owned(), trips.by_id.get(trip).copied());
            }
            let Some(trip) = last.1 else {
                remarks.defect(row.place("trip_id"), || format!("there is no trip `{trip}`"));
                return;
            };
            let Some(stop) = stop_of.get(stop).and_then(|index| u32::try_from(*index).ok()) else {
                remarks.defect(row.place("stop_id"), || format!("there is no stop `{stop}`"));
                return;
            };
            let Ok(sequence) = sequence.parse() else {
                remarks.defect(row.place("stop_sequence"), || format!("`{sequence}` is no whole number from 0 on"));
                return;
            };
            calls.push((trip, sequence, stop));
        })?;
        if found.is_none() {
            let detail = || "the feed has no stop times: nobody knows which stops a line serves".to_owned();
            remarks.defect(Place::of("stop_times.txt"), detail);
        }
        calls.sort_unstable();
        let mut patterns: BTreeMap<u32, HashMap<Vec<u32>, u32>> = BTreeMap::new();
        for calls in calls.chunk_by(|one, next| one.0 == next.0) {
            let trip = calls.first().map_or(0, |call| call.0) as usize;
            let (Some(route), Some(shape)) = (trips.route_of.get(trip), trips.shape_of.get(trip)) else { continue };
            let stops: Vec<u32> = calls.iter().map(|call| call.2).collect();
            patterns.entry(*route).or_default().entry(stops).or_insert(*shape);
        }
        for (route, patterns) in patterns {
            let Some(route) = self.routes.get_mut(route as usize) else { continue };
            let mut patterns: Vec<(Vec<u32>, u32)> = patterns.into_iter().collect();
            patterns.sort_unstable_by(|one, other| other.0.len().cmp(&one.0.len()).then_with(|| one.cmp(other)));
            route.stops = merged(&patterns);
            if let Some((longest, shape)) = patterns.into_iter().next() {
                route.shape = trips.shapes.get(shape as usize).cloned().unwrap_or_default();
                route.longest = longest;
            }
        }
        for route in &self.routes {
            if route.stops.is_empty() && found.is_some() {
                let place = Place { file: "routes.txt", line: route.line, field: "route_id" };
                remarks.defect(place, || format!("route `{}` has no trip with stops", route.id));
            }
        }
        Ok(())
    }
}

/// The stops of all patterns in one order, each once: those of the longest, and what others have more behind the stop
/// that they come after there.
fn merged(patterns: &[(Vec<u32>, u32)]) -> Vec<usize> {
    let mut merged: Vec<u32> = Vec::new();
    let mut known: HashSet<u32> = HashSet::new();
    for (stops, _) in patterns {
        if stops.iter().all(|stop| known.contains(stop)) {
            continue;
        }
        let mut next = merged.len();
        for stop in stops {
            if known.insert(*stop) {
                merged.insert(next, *stop);
                next += 1;
            } else if let Some(index) = merged.iter().position(|other| other == stop) {
                next = index + 1;
            }
        }
    }
    merged.into_iter().map(|stop| stop as usize).collect()
}

/// Whether a row's id is there and new.
fn is_new<T>(known: &HashMap<String, T>, id: &str, place: Place, remarks: &mut Remarks) -> bool {
    if id.is_empty() {
        remarks.defect(place, || "the line has no id; it is left out".to_owned());
        return false;
    }
    if known.contains_key(id) {
        remarks.defect(place, || format!("`{id}` is there twice; the first is taken"));
        return false;
    }
    true
}
