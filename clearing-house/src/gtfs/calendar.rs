//! On which days services run, where fares depend on that.

use std::collections::HashMap;

use super::feed::{Feed, FeedError};
use super::remark::{Place, Remarks};

/// Days of the week, Monday first.
pub(super) type Weekdays = [bool; 7];

/// The services of `calendar.txt`, and those of `calendar_dates.txt`.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    pub(super) services: HashMap<String, Service>,
    /// Where a service has an exception first.
    pub(super) exceptions: HashMap<String, Place>,
}

#[derive(Debug)]
pub(super) struct Service {
    pub(super) weekdays: Weekdays,
    /// First and last day, as they stand in the feed.
    pub(super) period: (String, String),
}

impl Calendar {
    pub(super) fn read(feed: &mut Feed, remarks: &mut Remarks, progress: &dyn Fn(u64)) -> Result<Self, FeedError> {
        let mut calendar = Self::default();
        let fields = [
            "service_id",
            "monday",
            "tuesday",
            "wednesday",
            "thursday",
            "friday",
            "saturday",
            "sunday",
            "start_date",
            "end_date",
        ];
        feed.rows("calendar.txt", 8, fields, remarks, progress, |row, remarks| {
            let [id, days @ .., first, last] = row.values;
            for (field, day) in fields.into_iter().skip(1).zip(days) {
                if !["0", "1"].contains(&day) {
                    remarks
                        .defect(row.place(field), || format!("`{day}` is neither 0 nor 1; the service does not run"));
                }
            }
            let service = Service { weekdays: days.map(|day| day == "1"), period: (first.to_owned(), last.to_owned()) };
            if calendar.services.insert(id.to_owned(), service).is_some() {
                remarks.defect(row.place("service_id"), || format!("`{id}` is there twice; the last is taken"));
            }
        })?;
        feed.rows("calendar_dates.txt", 2, ["service_id", "date"], remarks, progress, |row, _| {
            calendar.exceptions.entry(row.values[0].to_owned()).or_insert(row.place("date"));
        })?;
        Ok(calendar)
    }
}
