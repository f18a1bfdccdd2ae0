//! How long a route is, where its fare depends on that: along its shape, otherwise from stop to stop.

use std::collections::HashMap;

use super::feed::{Feed, FeedError};
use super::network::Network;
use super::remark::Remarks;

/// Mean radius of the Earth, in metres (IUGG).
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// The length of each route in metres, in the order of `network.routes`; `None` where neither shape nor positions say
/// it, or it is nothing.
pub(super) fn lengths_m(
    feed: &mut Feed,
    network: &Network,
    remarks: &mut Remarks,
    progress: &dyn Fn(u64),
) -> Result<Vec<Option<u32>>, FeedError> {
    let shapes_m = shapes_m(feed, network, remarks, progress)?;
    let lengths = network.routes.iter().map(|route| {
        let along_shape = shapes_m.get(&*route.shape).copied();
        let from_stop_to_stop = || {
            let positions = route.longest.iter().filter_map(|stop| network.stops.get(*stop as usize)?.position);
            distance_m(&positions.collect::<Vec<_>>())
        };
        whole_m(along_shape.filter(|length_m| *length_m > 0.0).unwrap_or_else(from_stop_to_stop))
    });
    Ok(lengths.collect())
}

fn shapes_m<'a>(
    feed: &mut Feed,
    network: &'a Network,
    remarks: &mut Remarks,
    progress: &dyn Fn(u64),
) -> Result<HashMap<&'a str, f64>, FeedError> {
    let mut points: HashMap<&str, Vec<(u32, f64, f64)>> = network
        .routes
        .iter()
        .filter(|route| !route.shape.is_empty())
        .map(|route| (&*route.shape, Vec::new()))
        .collect();
    let fields = ["shape_id", "shape_pt_sequence", "shape_pt_lat", "shape_pt_lon"];
    feed.rows("shapes.txt", 4, fields, remarks, progress, |row, remarks| {
        let [shape, sequence, latitude, longitude] = row.values;
        let Some(points) = points.get_mut(shape) else { return };
        let degrees = |text: &str, most: f64| text.parse().ok().filter(|degrees: &f64| degrees.abs() <= most);
        let position = degrees(latitude, 90.0).zip(degrees(longitude, 180.0));
        match (sequence.parse(), position) {
            (Ok(sequence), Some((latitude, longitude))) => points.push((sequence, latitude, longitude)),
            _ => remarks.defect(row.place("shape_pt_sequence"), || {
                format!("`{sequence}`, `{latitude}`, `{longitude}` is no point of a shape; it is left out")
            }),
        }
    })?;
    let lengths = points.into_iter().map(|(shape, mut points)| {
        points.sort_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
        let positions: Vec<(f64, f64)> = points.into_iter().map(|point| (point.1, point.2)).collect();
        (shape, distance_m(&positions))
    });
    Ok(lengths.collect())
}

/// Along the great circles from position to position.
fn distance_m(positions: &[(f64, f64)]) -> f64 {
    let between = |pair: &[(f64, f64)]| {
        let [(from_latitude, from_longitude), (to_latitude, to_longitude)] = [pair[0], pair[1]];
        let half_sine = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
        let across = from_latitude.to_radians().cos() * to_latitude.to_radians().cos();
        let chord = half_sine(from_latitude, to_latitude) + across * half_sine(from_longitude, to_longitude);
        2.0 * EARTH_RADIUS_M * chord.min(1.0).sqrt().asin()
    };
    positions.windows(2).map(between).sum()
}

/// Whole metres, as far as a tariff takes a length: 1 to 9,999,999.
fn whole_m(length_m: f64) -> Option<u32> {
    let length_m = length_m.round();
    // In range, so that nothing is cut off.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (1.0..=9_999_999.0).contains(&length_m).then_some(length_m as u32)
}
