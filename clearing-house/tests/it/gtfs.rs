//! Feeds in, tariffs and what they do not have out.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use clearing_house::gtfs::{Base, FaresVersion, GtfsImport, ImportOptions, Remark};
use tempfile::TempDir;
use transit::card::Profile;
use transit::id::{LineNumber, StopNumber};
use transit::money::Amount;
use transit::tariff::{FareRule, Tariff, TransferFare};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/gtfs")
}

/// Two lines of two stops each, without fares.
const NETWORK: [(&str, &str); 5] = [
    ("agency.txt", "agency_id,agency_name,agency_url,agency_timezone\na,A,https://example.org,Asia/Ho_Chi_Minh\n"),
    ("stops.txt", "stop_id,stop_name,stop_lat,stop_lon,zone_id\nA,An,21,105.8,z1\nB,Ba,21.01,105.8,z2\n"),
    ("routes.txt", "route_id,route_short_name,route_long_name,route_type,network_id\nr1,1,,3,bus\nr2,2,,3,bus\n"),
    ("trips.txt", "route_id,service_id,trip_id\nr1,d,t1\nr2,d,t2\n"),
    ("stop_times.txt", "trip_id,stop_id,stop_sequence\nt1,A,1\nt1,B,2\nt2,B,1\nt2,A,2\n"),
];

/// A feed of [`NETWORK`] and these files, which replace its own.
fn feed(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in NETWORK.iter().chain(files) {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn import_of(feed: &Path, options: &ImportOptions) -> GtfsImport {
    GtfsImport::of(feed, options, |_| {}, &|_| {}).unwrap()
}

fn import(files: &[(&str, &str)]) -> GtfsImport {
    import_of(feed(files).path(), &ImportOptions::default())
}

fn tariff(import: &GtfsImport) -> Tariff {
    Tariff::parse(Path::new("tariff.toml"), &import.tariff).unwrap()
}

/// Where the remarks are, without their words.
fn places(remarks: &[Remark]) -> Vec<String> {
    let place = |remark: &Remark| {
        let line = remark.line.map_or_else(String::new, |line| format!(":{line}"));
        let field = remark.field.as_ref().map_or_else(String::new, |field| format!(" {field}"));
        format!("{}{line}{field}", remark.file)
    };
    remarks.iter().map(place).collect()
}

fn minor(amount: u32) -> Amount {
    Amount::from(amount)
}

#[test]
fn a_feed_with_every_file_of_fares_v2() {
    let options = ImportOptions { profiles: vec![("senior".to_owned(), Profile::SixtyPlus)], ..Default::default() };
    let import = import_of(&fixture(), &options);
    assert_eq!((import.fares, import.lines, import.stops, import.trips), (FaresVersion::V2, 4, 7, 5));
    assert_eq!((import.defects.as_slice(), &import.refused), (&[][..], &None));
    // Cash, and a pass, which the standard cannot say to be one.
    assert_eq!(places(&import.not_expressed), ["fare_products.txt:3 amount", "fare_products.txt:27 amount"]);

    let tariff = tariff(&import);
    assert_eq!((&*tariff.currency.code, tariff.currency.minor_digits), ("HKD", 2));
    let fares: Vec<_> = tariff.lines.iter().map(|line| (&*line.name, line.fare, line.fare_rule)).collect();
    let (flat, journey) = (FareRule::Flat, FareRule::Journey(0));
    let expected =
        [("1", minor(400), flat), ("2", minor(400), flat), ("Tram", minor(300), flat), ("Rail", minor(600), journey)];
    assert_eq!(fares, expected);
    let stops: Vec<_> = tariff.lines[0].stops.iter().map(|stop| (stop.number.0, &*stop.gtfs_stop_id)).collect();
    assert_eq!(stops, [(1, "P"), (2, "M"), (3, "H")]);
    let journey = |from, to| {
        let at = |stop| (LineNumber(4), StopNumber(stop));
        tariff.journey_price(at(from), at(to)).map(|price| price.fare)
    };
    assert_eq!([journey(5, 6), journey(6, 5), journey(6, 7)], [Some(minor(600)), Some(minor(600)), Some(minor(1_000))]);

    assert_eq!(tariff.free_profiles, [Profile::SixtyPlus]);
    assert_eq!(tariff.discount(Profile::Student).map(|discount| discount.percent_off), Some(50));
    let bands: Vec<_> =
        tariff.time_bands.iter().map(|band| (band.from.hour(), band.until.hour(), band.percent_of_fare)).collect();
    assert_eq!(bands, [(7, 9, 125)]);
    let rule = tariff.transfer.unwrap();
    assert_eq!((rule.window_minutes, rule.most_transfers, rule.fare), (90, 2, TransferFare::Free));
    assert_eq!(rule.lines, [LineNumber(1), LineNumber(2), LineNumber(3)]);
}

#[test]
fn an_unknown_rider_category_is_named_with_its_remedy() {
    let import = import_of(&fixture(), &ImportOptions::default());
    let remark = import.not_expressed.iter().find(|remark| remark.file == "rider_categories.txt").unwrap();
    assert!(remark.line == Some(4) && remark.detail.contains("--profile senior=student"), "{remark}");
    assert!(tariff(&import).free_profiles.is_empty());
}

#[test]
fn what_the_same_fares_cost_on_another_medium() {
    let options = ImportOptions { media: vec!["cash".to_owned()], ..Default::default() };
    let import = import_of(&fixture(), &options);
    // The dearer price of two that a rider has is no ride's.
    assert!(places(&import.not_expressed).contains(&"fare_products.txt:3 amount".to_owned()));
    assert_eq!(tariff(&import).lines[0].fare, minor(400));
}

/// Legs that are joined are one journey over the lines of their network.
#[test]
fn joined_legs() {
    let areas = "area_id,stop_id\nz1,A\nz2,B\nz3,C\n";
    let legs = "network_id,from_area_id,to_area_id,fare_product_id,rule_priority\nbus,,,far,0\nbus,z1,z2,near,1\nbus,z2,z1,near,1\n";
    let files = [
        ("stops.txt", "stop_id,stop_name,stop_lat,stop_lon\nA,A,1,1\nB,B,1,1\nC,C,1,1\n"),
        ("stop_times.txt", "trip_id,stop_id,stop_sequence\nt1,A,1\nt1,B,2\nt2,B,1\nt2,C,2\n"),
        ("areas.txt", "area_id\nz1\nz2\nz3\n"),
        ("stop_areas.txt", areas),
        ("fare_products.txt", "fare_product_id,amount,currency\nnear,7000,VND\nfar,9000,VND\n"),
        ("fare_leg_rules.txt", legs),
    ];
    let with_joins = |joins| import(&[&files[..], &[("fare_leg_join_rules.txt", joins)]].concat());
    let joined = with_joins("from_network_id,to_network_id\nbus,bus\n");
    assert_eq!(joined.not_expressed, []);
    let tariff_of_joined = tariff(&joined);
    let price = |from: (u16, u16), to: (u16, u16)| {
        let at = |(line, stop)| (LineNumber(line), StopNumber(stop));
        tariff_of_joined.journey_price(at(from), at(to)).map(|price| price.fare)
    };
    assert_eq!([price((1, 1), (1, 2)), price((1, 1), (2, 3))], [Some(minor(7_000)), Some(minor(9_000))]);
    assert_eq!(tariff_of_joined.journey_fares.len(), 1);

    // Without the rule each line is for itself, and the second one is flat; a rule for one stop is more than can be said.
    let alone = with_joins("from_network_id,to_network_id,from_stop_id,to_stop_id\nbus,bus,B,B\n");
    assert_eq!(places(&alone.not_expressed), ["fare_leg_join_rules.txt:2 from_network_id"]);
    let fares: Vec<_> = tariff(&alone).lines.iter().map(|line| (line.fare, line.fare_rule)).collect();
    assert_eq!(fares, [(minor(7_000), FareRule::Flat), (minor(9_000), FareRule::Flat)]);
}

/// Everybody may buy what is for riders without a profile.
#[test]
fn a_product_without_a_reduced_price() {
    let categories = "rider_category_id,is_default_fare_category\nadult,1\nstudent,0\n";
    let products =
        "fare_product_id,rider_category_id,amount,currency\nb,adult,7000,VND\nb,student,3500,VND\nr,adult,9000,VND\n";
    let legs = "network_id,fare_product_id\nbus,b\nrail,r\n";
    let with = |routes: &str| {
        import(&[
            ("rider_categories.txt", categories),
            ("fare_products.txt", products),
            ("fare_leg_rules.txt", legs),
            ("routes.txt", routes),
        ])
    };
    let import = with("route_id,route_short_name,network_id\nr1,1,bus\nr2,2,rail\n");
    assert_eq!(places(&import.not_expressed), ["rider_categories.txt:3 rider_category_id"]);
    let import = with("route_id,route_short_name,network_id\nr1,1,bus\nr2,2,bus\n");
    assert_eq!(places(&import.not_expressed), ["fare_products.txt:4 amount"]);
    assert_eq!(tariff(&import).discount(Profile::Student).map(|discount| discount.percent_off), Some(50));
}

/// Where no category is the default one, somebody has to say who rides without a profile.
#[test]
fn a_feed_without_a_default_category() {
    let products = "fare_product_id,rider_category_id,amount,currency\np,adult,7000,VND\n";
    let folder = feed(&[
        ("rider_categories.txt", "rider_category_id,rider_category_name\nadult,Adult\n"),
        ("fare_products.txt", products),
        ("fare_leg_rules.txt", "fare_product_id\np\n"),
    ]);
    let import = import_of(folder.path(), &ImportOptions::default());
    let remedy = "`adult` has prices of its own: say which profile it is, such as --profile adult=ordinary";
    assert!(import.not_expressed.iter().any(|remark| remark.detail == remedy), "{import}");
    assert!(import.refused.is_some());
    let options = ImportOptions { profiles: vec![("adult".to_owned(), Profile::Ordinary)], ..Default::default() };
    let import = import_of(folder.path(), &options);
    assert!(import.is_whole() && tariff(&import).lines[0].fare == minor(7_000), "{import}");
}

/// Lines with journeys are in no transfer of the tariff.
#[test]
fn transfers_of_journeys_are_listed() {
    let legs = "leg_group_id,network_id,from_area_id,fare_product_id,rule_priority\ng,bus,,near,0\ng,bus,z1,far,1\n";
    let import = import(&[
        ("areas.txt", "area_id\nz1\n"),
        ("stop_areas.txt", "area_id,stop_id\nz1,A\n"),
        ("fare_products.txt", "fare_product_id,amount,currency\nnear,7000,VND\nfar,9000,VND\n"),
        ("fare_leg_rules.txt", legs),
        ("fare_transfer_rules.txt", "from_leg_group_id,to_leg_group_id,transfer_count,fare_transfer_type\ng,g,1,0\n"),
    ]);
    assert_eq!(places(&import.not_expressed), ["fare_transfer_rules.txt:2 fare_transfer_type"]);
    assert_eq!(tariff(&import).transfer, None);
}

const PRODUCTS: &str = "fare_product_id,amount,currency\n";
const LEGS: &str = "leg_group_id,network_id,fare_product_id\n";

/// Fares v2, one row for each thing that could be otherwise: what is listed, and the fare of the first line.
#[test]
fn what_a_row_of_fares_v2_does() {
    let products = |rows: &str| format!("{PRODUCTS}{rows}");
    type Row<'a> = (&'a str, String, &'a str, &'a [&'a str], Option<u32>);
    let table: [Row<'_>; 9] = [
        ("dong have no minor units", products("p,7000,VND\n"), "", &[], Some(7_000)),
        ("and may be written with decimals", products("p,7000.00,VND\n"), "", &[], Some(7_000)),
        ("but not with a part of one", products("p,7000.5,VND\n"), "", &["fare_products.txt:2 amount"], None),
        ("Hong Kong dollars have two", products("p,7.5,HKD\n"), "", &[], Some(750)),
        ("Kuwaiti dinars have three", products("p,0.25,KWD\n"), "", &[], Some(250)),
        ("no currency", products("p,1,XXY\n"), "", &["fare_products.txt:2 currency"], None),
        (
            "two currencies: that of most rows",
            products("p,7000,VND\nq,1,HKD\nz,0,VND\n"),
            "",
            &["fare_products.txt:3 currency", "fare_products.txt:4 amount"],
            Some(7_000),
        ),
        ("a rule for another network", products("p,7000,VND\n"), "g,rail,p\n", &["fare_products.txt:2 amount"], None),
        (
            "the cheaper of two rules",
            products("p,7000,VND\nq,5000,VND\n"),
            "g,,q\ng,,p\n",
            &["fare_products.txt:2 amount"],
            Some(5_000),
        ),
    ];
    for (what, products, legs, listed, fare) in table {
        let legs = format!("{LEGS}{}", if legs.is_empty() { "g,bus,p\n" } else { legs });
        let import = import(&[("fare_products.txt", &products), ("fare_leg_rules.txt", &legs)]);
        let of_routes = |place: &String| place.starts_with("routes.txt");
        let (of_lines, others): (Vec<_>, Vec<_>) = places(&import.not_expressed).into_iter().partition(of_routes);
        // A line without a fare is written without one, and no program starts with that.
        let without = if fare.is_none() { vec!["routes.txt:2 route_id", "routes.txt:3 route_id"] } else { vec![] };
        assert_eq!(
            (others, of_lines),
            (
                listed.iter().map(|place| (*place).to_owned()).collect(),
                without.iter().map(|place| (*place).to_owned()).collect()
            ),
            "{what}"
        );
        match fare {
            Some(fare) => assert_eq!(tariff(&import).lines[0].fare, minor(fare), "{what}"),
            None => assert!(import.refused.is_some(), "{what}"),
        }
    }
}

/// Transfers between two lines of 7000 and of 9000: the rules of the feed, and the rule of the tariff.
#[test]
fn what_transfer_rules_do() {
    let legs = "leg_group_id,network_id,fare_product_id\na,n1,a\nb,n2,b\n";
    let products = format!("{PRODUCTS}a,7000,VND\nb,9000,VND\nless,-3000,VND\nmore,2000,VND\nfull,9000,VND\n");
    let routes = "route_id,route_short_name,route_type,network_id\nr1,1,3,n1\nr2,2,3,n2\n";
    let header = "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type,fare_product_id\n";
    let (free, off, highest) = (TransferFare::Free, TransferFare::Discount(minor(3_000)), TransferFare::HighestFare);
    type Expected<'a> = (Option<(u16, u8, TransferFare, &'a [u16])>, &'a [&'a str]);
    let table: [(&str, &str, Expected<'_>); 9] = [
        ("none", "", (None, &[])),
        ("free among one group", "a,a,1,3600,1,0,\n", (Some((60, 1, free, &[1])), &[])),
        (
            "free among both",
            "a,a,1,3600,1,0,\na,b,,3600,1,0,\nb,a,,3600,1,0,\nb,b,1,3600,1,0,\n",
            (Some((60, 1, free, &[])), &[]),
        ),
        (
            "less",
            "a,a,2,3600,1,1,less\na,b,,3600,1,1,less\nb,a,,3600,1,1,less\nb,b,2,3600,1,1,less\n",
            (Some((60, 2, off, &[])), &[]),
        ),
        (
            "the higher fare of two",
            "a,a,2,3600,1,0,\na,b,,3600,1,0,more\nb,a,,3600,1,0,\nb,b,2,3600,1,0,\n",
            (Some((60, 2, highest, &[])), &[]),
        ),
        (
            "the higher fare, as a whole price",
            "a,a,2,3600,1,0,\na,b,,3600,1,2,full\nb,a,,3600,1,2,full\nb,b,2,3600,1,2,full\n",
            (Some((60, 2, highest, &[])), &[]),
        ),
        ("one way only", "a,b,,3600,1,0,\n", (None, &["fare_transfer_rules.txt:2 fare_transfer_type"])),
        (
            "without limits",
            "a,a,-1,,,0,\n",
            (
                Some((1_440, 14, free, &[1])),
                &["fare_transfer_rules.txt:2 duration_limit", "fare_transfer_rules.txt:2 transfer_count"],
            ),
        ),
        (
            "from an alighting, in seconds",
            "a,a,1,100,2,0,\n",
            (
                Some((1, 1, free, &[1])),
                &["fare_transfer_rules.txt:2 duration_limit", "fare_transfer_rules.txt:2 duration_limit_type"],
            ),
        ),
    ];
    for (what, rows, (expected, listed)) in table {
        let rules = format!("{header}{rows}");
        let import = import(&[
            ("routes.txt", routes),
            ("fare_products.txt", &products),
            ("fare_leg_rules.txt", legs),
            ("fare_transfer_rules.txt", &rules),
        ]);
        let rule = tariff(&import).transfer;
        let lines = rule.iter().flat_map(|rule| rule.lines.iter().map(|line| line.0)).collect::<Vec<_>>();
        let rule = rule.map(|rule| (rule.window_minutes, rule.most_transfers, rule.fare, lines.as_slice()));
        assert_eq!(rule, expected, "{what}");
        let listed_of_rules: Vec<_> =
            places(&import.not_expressed).into_iter().filter(|place| place.starts_with("fare_transfer")).collect();
        assert_eq!(listed_of_rules, listed, "{what}");
    }
}

/// The percentages are of one base for all lines, or they are listed.
#[test]
fn times_that_are_no_percentage_are_listed() {
    let legs = "network_id,from_timeframe_group_id,fare_product_id,rule_priority\nbus,,p,0\nbus,night,n,1\n";
    let calendar = "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday\nd,0,0,0,0,0,1,0\n";
    let frames =
        "timeframe_group_id,start_time,end_time,service_id\nnight,22:00:00,24:00:00,d\nnight,00:00:00,05:00:00,d\n";
    let with = |products: &str| {
        import(&[
            ("fare_products.txt", products),
            ("fare_leg_rules.txt", legs),
            ("calendar.txt", calendar),
            ("timeframes.txt", frames),
        ])
    };
    // Saturday from midnight to 04:00 is of Friday's service day, and from 04:00 on of its own.
    let import = with("fare_product_id,amount,currency\np,8000,VND\nn,12000,VND\n");
    assert_eq!(import.not_expressed, []);
    let bands = tariff(&import).time_bands;
    let bands: Vec<_> = bands.iter().map(|band| (band.span_s(), band.percent_of_fare)).collect();
    assert_eq!(bands, [((0, 3_600), 150), ((64_800, 72_000), 150), ((72_000, 86_400), 150)]);

    // No whole percentage of 8000 is 7999, however it is rounded.
    let import = with("fare_product_id,amount,currency\np,8000,VND\nn,7999,VND\n");
    assert_eq!(places(&import.not_expressed), ["timeframes.txt"]);
    assert!(tariff(&import).time_bands.is_empty());
}

#[test]
fn fares_v1() {
    let attributes = "fare_id,price,currency_type,payment_method,transfers,transfer_duration\n\
                      near,7000,VND,0,0,\nfar,9000,VND,0,0,\nbus2,5000,VND,0,1,3600\nodd,1,VND,0,0,\n";
    let rules = "fare_id,route_id,origin_id,destination_id,contains_id\n\
                 near,r1,z1,z2,\nfar,r1,z2,z1,\nbus2,r2,,,\nodd,r1,,,z1\n";
    let import = import(&[("fare_attributes.txt", attributes), ("fare_rules.txt", rules)]);
    assert_eq!(import.fares, FaresVersion::V1);
    assert_eq!(places(&import.not_expressed), ["fare_attributes.txt:5 price", "fare_rules.txt:5 contains_id"]);
    let tariff = tariff(&import);
    assert_eq!(tariff.lines[1].fare, minor(5_000));
    let at = |stop| (LineNumber(1), StopNumber(stop));
    let price = |from, to| tariff.journey_price(at(from), at(to)).map(|price| price.fare);
    assert_eq!((price(1, 2), price(2, 1)), (Some(minor(7_000)), Some(minor(9_000))));
    let rule = tariff.transfer.clone().unwrap();
    assert_eq!((rule.window_minutes, rule.most_transfers, rule.lines), (60, 1, vec![LineNumber(2)]));
}

/// Defects that concern no money: each is named, and the import goes on.
#[test]
fn defects_are_named_and_do_not_stop_the_import() {
    let fares = [
        ("fare_products.txt", "fare_product_id,amount,currency\np,7000,VND\n"),
        ("fare_leg_rules.txt", "fare_product_id\np\n"),
    ];
    let table: [(&str, &str, &[&str]); 7] = [
        ("agency.txt", "agency_timezone\nAsia/Ho_Chi_Minh\nUTC\n", &["agency.txt:3 agency_timezone"]),
        (
            "stops.txt",
            "stop_id,stop_name,stop_lat,stop_lon\nA,,21,105\nB,Ba,95,105\nB,Bo,1,1\n,C,1,1\n",
            &["stops.txt:2 stop_name", "stops.txt:3 stop_lat", "stops.txt:4 stop_id", "stops.txt:5 stop_id"],
        ),
        (
            "stops.txt",
            "\u{feff} stop_id ,Stop_Name,stop_lat,stop_lon\n A , An ,21,105\nB,\"Ba\",21,105,9\n",
            &["stops.txt:3"],
        ),
        (
            "stop_times.txt",
            "trip_id,stop_id,stop_sequence\nt1,A,1\nt1,B,x\nt1,Q,3\nt9,A,1\nt2,B,1\n",
            &["stop_times.txt:3 stop_sequence", "stop_times.txt:4 stop_id", "stop_times.txt:5 trip_id"],
        ),
        ("stop_times.txt", "trip_id,stop_sequence\nt1,1\n", &["stop_times.txt", "stop_times.txt:1 stop_id"]),
        (
            "trips.txt",
            "route_id,trip_id\nr1,t1\nr1,t1\nr9,t3\nr2,t2\n",
            &["trips.txt:3 trip_id", "trips.txt:4 route_id"],
        ),
        (
            "route_networks.txt",
            "network_id,route_id\nrail,r1\nbus,r9\n",
            &["route_networks.txt:2 network_id", "route_networks.txt:3 route_id"],
        ),
    ];
    for (file, text, expected) in table {
        let import = import(&[fares[0], fares[1], (file, text)]);
        let mut found = places(&import.defects);
        found.sort();
        assert_eq!(
            (found.as_slice(), import.not_expressed.as_slice()),
            (expected.iter().map(|place| (*place).to_owned()).collect::<Vec<_>>().as_slice(), &[][..]),
            "{file}: {text}"
        );
        assert!(!import.is_whole() && import.refused.is_none());
        assert_eq!(tariff(&import).lines[0].fare, minor(7_000));
    }
    // Without a time zone nobody knows when a day begins, and that is money.
    for text in ["agency_timezone\nHanoi\n", ""] {
        let import = import(&[fares[0], fares[1], ("agency.txt", text)]);
        assert_eq!(
            (places(&import.not_expressed), import.defects.len()),
            (vec!["agency.txt agency_timezone".to_owned()], 1)
        );
    }
    // Of many, the first are named and the others counted.
    let rows: String = (0..1_000).map(|row| format!("t1,X,{row}\n")).collect();
    let import = import(&[("stop_times.txt", &format!("trip_id,stop_id,stop_sequence\n{rows}"))]);
    let of_stops: Vec<_> = import.defects.iter().filter(|remark| remark.file == "stop_times.txt").collect();
    assert_eq!((of_stops.len(), &*of_stops[20].detail), (21, "and 980 more such defects"));
}

#[test]
fn what_is_no_utf_8_is_replaced() {
    let folder = feed(&[]);
    fs::write(folder.path().join("stops.txt"), b"stop_id,stop_name,stop_lat,stop_lon\nA,B\xe9n,21,105\nB,Ba,21,105\n")
        .unwrap();
    let import = import_of(folder.path(), &ImportOptions::default());
    assert_eq!(places(&import.defects), ["stops.txt:2 stop_name"]);
    assert!(import.tariff.contains("B\u{fffd}n"));
}

#[test]
fn a_feed_without_fares_follows_the_tariff_in_force() {
    let alone = import(&[]);
    assert_eq!((alone.fares, places(&alone.not_expressed)), (FaresVersion::None, vec!["fare_products.txt".to_owned()]));
    assert!(alone.refused.is_some() && alone.tariff.contains("length_km = \"1.112\""), "{}", alone.tariff);

    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tariff.toml");
    let base = "version = 7\ntime_zone = \"Asia/Ho_Chi_Minh\"\nservice_day_starts_at = \"03:00\"\npass_back_window_s = 60\n\
                free_profiles = [\"merit\"]\n[currency]\ncode = \"VND\"\nminor_digits = 0\nsign = \"đ\"\n[caps]\nday_minor = 30000\n\
                [[route_length_band]]\nfare_minor = 8000\n\
                [[line]]\nnumber = 40\nname = \"2\"\nflat_fare_minor = 6000\n\
                stop = [{ number = 9, name = \"Ba\", gtfs_stop_id = \"B\" }]\n";
    fs::write(&path, base).unwrap();
    let options = ImportOptions { base: Some(Base::read(&path).unwrap()), ..Default::default() };
    let import = import_of(feed(&[]).path(), &options);
    assert!(import.is_whole(), "{import}");
    let tariff = tariff(&import);
    assert_eq!((tariff.version, tariff.pass_back_window_s, tariff.caps.day), (8, 60, Some(minor(30_000))));
    let lines: Vec<_> = tariff.lines.iter().map(|line| (line.number.0, line.fare.minor())).collect();
    assert_eq!(lines, [(1, 8_000), (40, 6_000)]);
    let stops: Vec<_> = tariff.lines[0].stops.iter().map(|stop| (stop.number.0, &*stop.gtfs_stop_id)).collect();
    assert_eq!(stops, [(1, "A"), (9, "B")]);

    // 1.112 km as the crow flies may be 1.15 on the road.
    let near = "[[route_length_band]]\nbelow_km = \"1.15\"\nfare_minor = 7000\n[[route_length_band]]\n";
    fs::write(&path, base.replace("[[route_length_band]]\n", near)).unwrap();
    let options = ImportOptions { base: Some(Base::read(&path).unwrap()), ..Default::default() };
    assert_eq!(places(&import_of(feed(&[]).path(), &options).not_expressed), ["routes.txt:2 route_id"]);
}

#[test]
fn the_stops_of_all_trips_are_in_one_order() {
    let stops = "stop_id,stop_name,stop_lat,stop_lon\nA,A,1,1\nB,B,1,1\nC,C,1,1\nD,D,1,1\nE,E,1,1\n";
    let trips = "route_id,trip_id\nr1,short\nr1,long\nr1,branch\nr2,t\n";
    let times = "trip_id,stop_id,stop_sequence\nshort,A,1\nshort,D,2\nlong,C,30\nlong,A,10\nlong,B,20\nbranch,B,1\nbranch,E,2\nbranch,C,3\n";
    let import = import(&[
        ("stops.txt", stops),
        ("trips.txt", trips),
        ("stop_times.txt", times),
        ("fare_products.txt", "fare_product_id,amount,currency\np,7000,VND\n"),
        ("fare_leg_rules.txt", "fare_product_id\np\n"),
    ]);
    let stops: Vec<_> = tariff(&import).lines[0].stops.iter().map(|stop| stop.gtfs_stop_id.clone()).collect();
    assert_eq!(stops, ["A", "D", "B", "E", "C"]);
}

#[test]
fn a_zip_archive_with_a_folder_in_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("feed.zip");
    zip_to(&path, "feed/");
    let (zipped, plain) =
        (import_of(&path, &ImportOptions::default()), import_of(&fixture(), &ImportOptions::default()));
    assert_eq!(places(&zipped.defects), ["routes.txt"]);
    assert_eq!(zipped.not_expressed, plain.not_expressed);
    // The first line of each names the feed.
    assert_eq!(zipped.tariff.split_once('\n').unwrap().1, plain.tariff.split_once('\n').unwrap().1);
}

/// The fixture's files in a zip archive, each behind `prefix`.
fn zip_to(path: &Path, prefix: &str) {
    let mut archive = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for entry in fs::read_dir(fixture()).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut archive, &fs::read(entry.path()).unwrap()).unwrap();
    }
    archive.finish().unwrap();
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let error = |path: &Path| GtfsImport::of(path, &ImportOptions::default(), |_| {}, &|_| {}).unwrap_err().to_string();
    assert!(error(Path::new("no-such-feed")).contains("no-such-feed cannot be read"));
    assert!(error(&fixture().join("stops.txt")).contains("should be a folder or a zip archive"));
    let empty = TempDir::new().unwrap();
    assert!(error(empty.path()).contains("no routes.txt"));
}

/// Every file that an import reads.
const FILES: [&str; 20] = [
    "agency.txt",
    "stops.txt",
    "routes.txt",
    "trips.txt",
    "stop_times.txt",
    "stop_areas.txt",
    "areas.txt",
    "networks.txt",
    "route_networks.txt",
    "calendar.txt",
    "calendar_dates.txt",
    "shapes.txt",
    "fare_media.txt",
    "rider_categories.txt",
    "fare_products.txt",
    "fare_leg_rules.txt",
    "fare_leg_join_rules.txt",
    "fare_transfer_rules.txt",
    "timeframes.txt",
    "fare_attributes.txt",
];

/// What real files have, and what they should not.
fn cell() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "",
        "0",
        "1",
        "2",
        "-1",
        "A",
        "r1",
        "t1",
        "bus",
        "peak",
        "d",
        "p",
        "student",
        "VND",
        "HKD",
        "7000",
        "-5.5",
        "24:00:00",
        "07:00:00",
        "99999999999999999999",
        "1e400",
        "NaN",
        "90",
        "-180",
        "\"",
        "\"\"",
        "é",
        "\r",
    ];
    prop_oneof![
        6 => prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is in one file or in several, an import ends, and what it writes is a tariff or is said to be none.
    #[test]
    fn files_may_hold_anything(
        changes in prop::collection::vec((0..FILES.len(), prop::collection::vec(prop::collection::vec(cell(), 0..8), 0..6), any::<bool>()), 1..4),
    ) {
        let folder = TempDir::new().unwrap();
        for entry in fs::read_dir(fixture()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        for (file, rows, has_header) in changes {
            let path = folder.path().join(FILES[file]);
            let header = fs::read(&path).unwrap_or_default();
            let header = header.split(|byte| *byte == b'\n').next().unwrap_or_default().to_vec();
            let rows = rows.into_iter().map(|cells| cells.join(&b','));
            let lines: Vec<Vec<u8>> = has_header.then_some(header).into_iter().chain(rows).collect();
            fs::write(&path, lines.join(&b'\n')).unwrap();
        }
        if let Ok(import) = GtfsImport::of(folder.path(), &ImportOptions::default(), |_| {}, &|_| {}) {
            let parsed = Tariff::parse(Path::new("tariff.toml"), &import.tariff);
            prop_assert_eq!(parsed.err().map(|error| error.message), import.refused);
        }
    }

    /// An archive that is none, or is damaged, is an error or a feed.
    #[test]
    fn an_archive_may_be_damaged(place in 0_usize..4_096, byte in any::<u8>()) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("feed.zip");
        zip_to(&path, "");
        let mut bytes = fs::read(&path).unwrap();
        let place = place % bytes.len();
        bytes[place] = byte;
        fs::write(&path, bytes).unwrap();
        let _ = GtfsImport::of(&path, &ImportOptions::default(), |_| {}, &|_| {});
    }
}

/// The slices of Hanoi's feed of 2018 (World Bank Data Catalog 0038236), which is no part of the project.
#[test]
fn hanoi_of_2018() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/hanoi");
    if !data.is_dir() {
        println!("skipped: {} is not there", data.display());
        return;
    }
    let hanoi = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/hanoi/tariff.toml");
    let options = ImportOptions { base: Some(Base::read(&hanoi).unwrap()), ..Default::default() };
    let midday = import_of(&data.join("midday_clip"), &options);
    assert_eq!((midday.lines, midday.stops, midday.trips, midday.defects.len()), (63, 372, 2_447, 0));
    // The clip has the line under another name, so that its pass has no line.
    assert_eq!(places(&midday.not_expressed), ["routes.txt"]);
    assert!(midday.refused.is_some());

    // The morning has neither agency nor stop times: lines without stops.
    let morning = TempDir::new().unwrap();
    for name in ["calendar", "routes", "stops", "trips"] {
        fs::copy(data.join(format!("am_{name}.txt")), morning.path().join(format!("{name}.txt"))).unwrap();
    }
    let morning = import_of(morning.path(), &ImportOptions::default());
    assert_eq!((morning.lines, morning.stops, morning.trips), (224, 0, 9_737));
    assert_eq!(places(&morning.defects), ["stop_times.txt"]);
    // Nothing says how long a line without stops is: each is named.
    let named = places(&morning.not_expressed);
    assert_eq!(
        (named.len(), &named[..2]),
        (226, &["agency.txt agency_timezone", "fare_products.txt"].map(str::to_owned)[..])
    );
}
