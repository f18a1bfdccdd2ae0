//! A GTFS feed of the size of a large city's, from a seed, and its import.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use clearing_house::gtfs::{GtfsImport, ImportOptions};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use crate::Failure;

const ROUTES: usize = 500;
const STOPS: usize = 8_000;
const STOPS_OF_A_ROUTE: usize = 32;
const TRIPS_OF_A_ROUTE: usize = 125;
/// Areas of the fares of every fifth route; the others are flat.
const AREAS: usize = 9;

/// Writes the feed into `folder`: 500 routes, 62,500 trips, two million stop times, fares by areas and by the time of day
/// for three categories of riders.
///
/// # Errors
/// [`Failure`] where a file cannot be written.
pub fn write(folder: &Path, seed: u64) -> Result<(), Failure> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let file = |name: &str, header: &str| -> Result<BufWriter<File>, Failure> {
        let mut file = BufWriter::new(File::create(folder.join(name))?);
        writeln!(file, "{header}")?;
        Ok(file)
    };
    writeln!(file("agency.txt", "agency_id,agency_timezone")?, "a,Asia/Ho_Chi_Minh")?;
    let mut calendar = file("calendar.txt", "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday")?;
    writeln!(calendar, "daily,1,1,1,1,1,1,1\nweekdays,1,1,1,1,1,0,0")?;
    let mut stops = file("stops.txt", "stop_id,stop_name,stop_lat,stop_lon")?;
    let mut areas = file("stop_areas.txt", "area_id,stop_id")?;
    for stop in 0..STOPS {
        let (north, east): (f64, f64) = (random.random_range(0.0..0.4), random.random_range(0.0..0.4));
        writeln!(stops, "S{stop},Stop {stop},{:.6},{:.6}", 20.8 + north, 105.6 + east)?;
        writeln!(areas, "Z{},S{stop}", random.random_range(0..AREAS))?;
    }
    let mut named = file("areas.txt", "area_id")?;
    for area in 0..AREAS {
        writeln!(named, "Z{area}")?;
    }
    let mut routes = file("routes.txt", "route_id,route_short_name,route_type,network_id")?;
    let mut trips = file("trips.txt", "route_id,service_id,trip_id")?;
    let mut times = file("stop_times.txt", "trip_id,arrival_time,departure_time,stop_id,stop_sequence")?;
    for route in 0..ROUTES {
        writeln!(routes, "R{route},{route},3,{}", if route % 5 == 0 { "rail" } else { "bus" })?;
        let served: Vec<usize> = (0..STOPS_OF_A_ROUTE).map(|_| random.random_range(0..STOPS)).collect();
        for trip in 0..TRIPS_OF_A_ROUTE {
            writeln!(trips, "R{route},daily,T{route}-{trip}")?;
            let start_min = 300 + trip * 8;
            for (sequence, stop) in served.iter().enumerate() {
                let (hour, minute) = ((start_min + 2 * sequence) / 60, (start_min + 2 * sequence) % 60);
                writeln!(
                    times,
                    "T{route}-{trip},{hour:02}:{minute:02}:00,{hour:02}:{minute:02}:00,S{stop},{sequence}"
                )?;
            }
        }
    }
    write_fares(file)
}

fn write_fares(file: impl Fn(&str, &str) -> Result<BufWriter<File>, Failure>) -> Result<(), Failure> {
    writeln!(
        file("timeframes.txt", "timeframe_group_id,start_time,end_time,service_id")?,
        "peak,07:00:00,09:00:00,weekdays"
    )?;
    writeln!(
        file("rider_categories.txt", "rider_category_id,is_default_fare_category")?,
        "adult,1\nstudent,0\nsixty_plus,0"
    )?;
    let mut products = file("fare_products.txt", "fare_product_id,rider_category_id,amount,currency")?;
    let mut rules = file(
        "fare_leg_rules.txt",
        "leg_group_id,network_id,from_area_id,to_area_id,from_timeframe_group_id,fare_product_id,rule_priority",
    )?;
    let mut price = |product: &str, amount: usize| -> Result<(), Failure> {
        for (suffix, percent) in [("", 100), ("_peak", 125)] {
            let amount = amount * percent / 100;
            writeln!(products, "{product}{suffix},adult,{amount},VND")?;
            writeln!(products, "{product}{suffix},student,{},VND", amount / 2)?;
            writeln!(products, "{product}{suffix},sixty_plus,0,VND")?;
        }
        Ok(())
    };
    price("bus", 8_000)?;
    writeln!(rules, "bus,bus,,,,bus,0\nbus,bus,,,peak,bus_peak,1")?;
    for zones in 1..=AREAS {
        price(&format!("rail{zones}"), 8_000 + 2_000 * zones)?;
    }
    for from in 0..AREAS {
        for to in 0..AREAS {
            let zones = from.abs_diff(to) + 1;
            writeln!(rules, "rail,rail,Z{from},Z{to},,rail{zones},0\nrail,rail,Z{from},Z{to},peak,rail{zones}_peak,1")?;
        }
    }
    let header =
        "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type";
    writeln!(file("fare_transfer_rules.txt", header)?, "bus,bus,2,5400,1,0")?;
    Ok(())
}

/// Imports the feed of `folder`.
///
/// # Errors
/// [`Failure`] where the import is not whole: another feed is no figure.
pub fn import(folder: &Path) -> Result<(), Failure> {
    let import = GtfsImport::of(folder, &ImportOptions::default(), |_| {}, &|_| {})?;
    if !import.is_whole() || import.lines != ROUTES {
        return Err(format!("the generated feed is not imported as a whole: {import}").into());
    }
    Ok(())
}
