//! A GTFS feed as a tariff file: lines, stops, and the fares of Fares v2 or v1 as far as a tariff can say them.
//!
//! Source: GTFS Schedule reference, <https://gtfs.org/documentation/schedule/reference/>.
//!
//! The fares are not translated rule by rule. The feed's rules are asked what every line charges, between all the areas of
//! its stops, at all times of the week, to every kind of rider; then the tariff's rules are looked for that charge the
//! same. What they cannot do is a [`Remark`] with file and line, and nothing else is left out.
//!
//! ```text
//! feed       a folder or a zip archive                 → rows
//! network    routes, trips, stop times, areas          → lines with their stops in order
//! fares      Fares v2; fares_v1 says v1 in its words   → rules, prices, transfers
//! charge     a ride, a time, a rider                   → what the feed charges
//! times      timeframes, calendars                     → parts of the week
//! fit        charges                                   → fares, time bands, discounts, rounding
//! transfer   transfer rules                            → one [transfer]
//! length     shapes                                    → lengths, where the feed has no fares
//! write      all of it                                 → the tariff file
//! ```

pub(crate) mod amount;
mod base;
mod calendar;
mod charge;
mod fares;
mod fares_v1;
mod feed;
mod fit;
mod length;
mod network;
mod remark;
mod times;
mod transfer;
mod write;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use transit::card::Profile;
use transit::config::ConfigError;
use transit::tariff::Tariff;

use self::calendar::Calendar;
use self::charge::Rider;
use self::fares::Fares;
use self::feed::Feed;
use self::fit::Profiled;
use self::network::Network;
use self::remark::{Place, Remarks};

pub use base::Base;
pub use fares::FaresVersion;
pub use feed::FeedError;
pub use remark::Remark;

/// What a feed does not say, and a fare officer knows.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Which profile a rider category is. One whose id is the name of a profile needs no entry.
    pub profiles: Vec<(String, Profile)>,
    /// Fare media whose prices count, besides transit cards.
    pub media: Vec<String>,
    /// The tariff that the new one follows.
    pub base: Option<Base>,
}

/// A feed as a tariff.
#[derive(Debug, Clone, Serialize)]
pub struct GtfsImport {
    /// The feed.
    pub feed: PathBuf,
    /// What its fares are said in.
    pub fares: FaresVersion,
    /// Lines in the tariff.
    pub lines: usize,
    /// Stops that they serve, each once.
    pub stops: usize,
    /// Trips of the feed.
    pub trips: usize,
    /// Money that the feed has and the tariff does not, or has otherwise.
    pub not_expressed: Vec<Remark>,
    /// Where the feed breaks the reference. No money is concerned, or the place is in `not_expressed` too.
    pub defects: Vec<Remark>,
    /// Why a program would refuse the tariff as it stands; `None` where it can be used.
    pub refused: Option<String>,
    /// The tariff file.
    pub tariff: String,
}

/// A feed that cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The tariff that the new one should follow is none.
    #[error(transparent)]
    Base(#[from] ConfigError),
}

impl GtfsImport {
    /// Imports the feed of the folder or zip archive `feed`. `length` is called once with the number of bytes to come,
    /// `progress` with each that are read.
    ///
    /// # Errors
    /// [`ImportError`] where it cannot be read, or has no routes.
    pub fn of(
        feed: &Path,
        options: &ImportOptions,
        length: impl FnOnce(u64),
        progress: &dyn Fn(u64),
    ) -> Result<Self, ImportError> {
        let mut remarks = Remarks::default();
        let mut opened = Feed::open(feed, &mut remarks)?;
        let files: Vec<&str> = network::FILES.into_iter().chain(fares::FILES).collect();
        length(opened.len(&files));
        let mut network = Network::read(&mut opened, &mut remarks, progress)?;
        let mut fares = Fares::read(&mut opened, &options.media, &mut remarks, progress)?;
        if fares.version == FaresVersion::None {
            fares = fares_v1::read(&mut opened, &mut network, &mut remarks, progress)?;
        }
        let calendar = Calendar::read(&mut opened, &mut remarks, progress)?;
        let cut_s = options.base.as_ref().map_or(base::DAY_STARTS_AT_S, Base::day_starts_at_s);
        let classes = times::classes(&fares, &calendar, cut_s, &mut remarks);
        let (ordinary, profiles) = riders(&fares, options, &mut remarks);
        let fit = fit::fit(&fares, &network, &classes, ordinary, &profiles, &mut remarks);
        let transfer = transfer::rule(&fares, &fit, ordinary, &mut remarks);
        let lengths_m = if fares.version == FaresVersion::None {
            length::lengths_m(&mut opened, &network, &mut remarks, progress)?
        } else {
            say_unused(&fares, &fit, &mut remarks);
            Vec::new()
        };
        let draft = write::Draft {
            network: &network,
            fares: &fares,
            fit: &fit,
            classes: &classes,
            cut_s,
            transfer,
            lengths_m,
            base: options.base.as_ref(),
        };
        let body = draft.body(&mut remarks);
        let refused = Tariff::parse(Path::new("the tariff"), &body.text).err().map(|error| error.message);
        let mut not_expressed = std::mem::take(&mut remarks.not_expressed);
        not_expressed.sort();
        let defects = remarks.into_defects();
        let tariff = format!("{}{}", write::head(feed, &not_expressed, refused.as_deref()), body.text);
        let (feed, fares, trips) = (feed.to_owned(), fares.version, network.trips);
        let (lines, stops) = (body.lines, body.stops);
        Ok(Self { feed, fares, lines, stops, trips, not_expressed, defects, refused, tariff })
    }

    /// Whether the tariff charges what the feed does, and the feed is without defects.
    pub fn is_whole(&self) -> bool {
        self.not_expressed.is_empty() && self.defects.is_empty() && self.refused.is_none()
    }
}

/// Who rides without a profile, and which categories are profiles.
fn riders<'a>(fares: &'a Fares, options: &'a ImportOptions, remarks: &mut Remarks) -> (Rider<'a>, Vec<Profiled<'a>>) {
    let mut ordinary = fares.categories.iter().find(|(_, category)| category.is_default).map(|(id, _)| id.as_str());
    let mut profiles: Vec<Profiled<'_>> = Vec::new();
    let mut unknown = Vec::new();
    let mut seen = BTreeSet::new();
    for price in &fares.prices {
        let Some(category) = price.category.as_deref().filter(|category| seen.insert(*category)) else { continue };
        let known = fares.categories.get(category);
        let place = known.map_or(Place { field: "rider_category_id", ..price.place }, |known| known.place);
        if known.is_none() {
            remarks.defect(place, || format!("rider_categories.txt has no `{category}`"));
        }
        let named = options.profiles.iter().find(|(id, _)| id == category).map(|(_, profile)| *profile);
        match named.or_else(|| Profile::ALL.into_iter().find(|profile| profile.name() == category)) {
            Some(Profile::Ordinary) => ordinary = Some(category),
            _ if ordinary == Some(category) => {}
            Some(profile) if profiles.iter().any(|other| other.profile == profile) => {
                let detail = format!("`{category}` is {} too, as another category; it is left out", profile.name());
                remarks.not_expressed(place, detail);
            }
            Some(profile) => profiles.push(Profiled { category, place, profile }),
            None => unknown.push((place, category)),
        }
    }
    // Without one of them nobody rides without a profile.
    let example = if ordinary.is_none() { "ordinary" } else { "student" };
    for (place, category) in unknown {
        let detail = format!(
            "`{category}` has prices of its own: say which profile it is, such as --profile {category}={example}"
        );
        remarks.not_expressed(place, detail);
    }
    (Rider { ordinary, profile: None }, profiles)
}

/// Names prices that no ride has: passes, and products for other media or other riders.
fn say_unused(fares: &Fares, fit: &fit::Fit<'_>, remarks: &mut Remarks) {
    for (index, price) in fares.prices.iter().enumerate() {
        let is_of_transfer = fares.transfers.iter().any(|transfer| transfer.product.as_ref() == Some(&price.product));
        if fit.used.contains(&index) || is_of_transfer && price.other_medium.is_none() {
            continue;
        }
        let product = &price.product;
        let detail = match &price.other_medium {
            Some(medium) => format!(
                "`{product}` is for fare medium `{medium}`, which is no transit card; --medium {medium} takes it all the same"
            ),
            None => {
                format!("`{product}` is what no ride costs: a pass, a dearer choice, or for riders who are no profile")
            }
        };
        remarks.not_expressed(price.place, detail);
    }
}

impl fmt::Display for GtfsImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for remark in &self.not_expressed {
            writeln!(f, "not expressed: {remark}")?;
        }
        for remark in &self.defects {
            writeln!(f, "defect: {remark}")?;
        }
        if let Some(why) = &self.refused {
            writeln!(f, "The tariff cannot be used as it stands: {why}")?;
        }
        let fares = match self.fares {
            FaresVersion::None => "no fares",
            FaresVersion::V1 => "Fares v1",
            FaresVersion::V2 => "Fares v2",
        };
        let (lines, stops, trips) = (self.lines, self.stops, self.trips);
        let (money, defects) = (self.not_expressed.len(), self.defects.len());
        writeln!(f, "{fares}: {lines} lines, {stops} stops, {trips} trips; {money} not expressed, {defects} defect(s)")
    }
}
