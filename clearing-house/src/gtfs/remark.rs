//! What an import says about a feed: where, and what.

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;

/// So many defects of one field of one file are named; the others are counted.
const DEFECTS_OF_A_FIELD_MAX: u64 = 20;

/// Something about a place in a feed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Remark {
    /// The file, such as `fare_products.txt`.
    pub file: String,
    /// The line, counted from 1; `None` where it is about the whole file.
    pub line: Option<u64>,
    /// The field; `None` where it is about the whole line.
    pub field: Option<String>,
    /// For people: what is there, and what became of it.
    pub detail: String,
}

/// All that an import has to say.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    pub(super) not_expressed: Vec<Remark>,
    defects: Vec<Remark>,
    counts: HashMap<(&'static str, &'static str), u64>,
}

/// A place in a feed. A line of 0 is the whole file, an empty field the whole line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: &'static str,
    pub(super) line: u64,
    pub(super) field: &'static str,
}

impl Place {
    pub(super) fn of(file: &'static str) -> Self {
        Self { file, line: 0, field: "" }
    }

    fn remark(self, detail: String) -> Remark {
        Remark {
            file: self.file.to_owned(),
            line: (self.line > 0).then_some(self.line),
            field: (!self.field.is_empty()).then(|| self.field.to_owned()),
            detail,
        }
    }
}

impl Remarks {
    /// Money that the tariff does not have as the feed has it.
    pub(super) fn not_expressed(&mut self, place: Place, detail: String) {
        self.not_expressed.push(place.remark(detail));
    }

    /// The feed breaks the GTFS reference here. Only so many of one field are kept, so that `detail` is made only then.
    pub(super) fn defect(&mut self, place: Place, detail: impl FnOnce() -> String) {
        let count = self.counts.entry((place.file, place.field)).or_default();
        *count += 1;
        if *count <= DEFECTS_OF_A_FIELD_MAX {
            self.defects.push(place.remark(detail()));
        }
    }

    /// The defects by file and line, with the numbers of those that are not named.
    pub(super) fn into_defects(self) -> Vec<Remark> {
        let mut defects = self.defects;
        for ((file, field), count) in self.counts {
            if let Some(more @ 1..) = count.checked_sub(DEFECTS_OF_A_FIELD_MAX) {
                let place = Place { file, line: 0, field };
                defects.push(place.remark(format!("and {more} more such defects")));
            }
        }
        defects.sort_by(|one, other| {
            let key = |remark: &Remark| (remark.file.clone(), remark.line.unwrap_or(u64::MAX), remark.field.clone());
            key(one).cmp(&key(other))
        });
        defects
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(field) = &self.field {
            write!(f, " {field}")?;
        }
        write!(f, ": {}", self.detail)
    }
}
