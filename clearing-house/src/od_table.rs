//! A table of origins and destinations as the prices of journeys in a tariff file.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use csv::{ByteRecord, ReaderBuilder, StringRecord};
use serde::Serialize;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value, value};
use transit::card::Profile;
use transit::config::ConfigError;
use transit::id::LineNumber;
use transit::money::Amount;
use transit::tariff::{Line, Tariff};

use crate::config;
use crate::gtfs::Remark;
use crate::gtfs::amount::minor_units;

/// So many remarks of one kind are named; the others are counted.
const REMARKS_OF_A_KIND_MAX: usize = 20;

/// The longest that a tariff takes: no table says how long a journey may be.
const LONGEST_MINUTES: i64 = 1_440;

/// What a table does not say, and a fare officer knows.
#[derive(Debug, Clone)]
pub struct OdOptions {
    /// The tariff file that gets the prices.
    pub tariff: PathBuf,
    /// The lines that they are for.
    pub lines: Vec<LineNumber>,
    /// The name of their `[[journey_fare]]`. One that is there keeps everything but its prices.
    pub name: String,
    /// Which profile a class of the table is. One whose name is that of a profile needs no entry.
    pub profiles: Vec<(String, Profile)>,
}

/// A table as prices of a tariff.
#[derive(Debug, Clone, Serialize)]
pub struct OdImport {
    /// The table.
    pub table: PathBuf,
    /// Pairs of stops with a price.
    pub pairs: usize,
    /// Money that the table has and the tariff does not, or has otherwise; and pairs that neither has.
    pub not_expressed: Vec<Remark>,
    /// What is there twice, is not understood, or costs something else on the way back.
    pub noticed: Vec<Remark>,
    /// Why a program would refuse the tariff as it stands; `None` where it can be used.
    pub refused: Option<String>,
    /// The tariff file with the prices.
    pub tariff: String,
}

/// A table that cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum OdError {
    /// It cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The table.
        path: PathBuf,
        /// Why.
        source: csv::Error,
    },
    /// Its first line is not understood.
    #[error(
        "{}: the first line names the columns: `origin`, `destination`, and `amount` with a `class` beside it, or a column \
         of amounts for each class, such as `ordinary`", path.display()
    )]
    Header {
        /// The table.
        path: PathBuf,
    },
    /// The tariff that gets the prices is none.
    #[error(transparent)]
    Tariff(#[from] ConfigError),
}

/// Prices by the numbers of two stops, with the line of the table that each is from.
type Prices = BTreeMap<(u16, u16), (i64, u64)>;

impl OdImport {
    /// Imports the CSV file `table`.
    ///
    /// # Errors
    /// [`OdError`] where it or the tariff cannot be read, or a line is not in the tariff.
    pub fn of(table: &Path, options: &OdOptions) -> Result<Self, OdError> {
        let text = config::read(&options.tariff)?;
        let tariff = Tariff::parse(&options.tariff, &text)?;
        let refuse = |why: String| ConfigError::whole_file(&options.tariff, why);
        let mut lines = Vec::new();
        for number in &options.lines {
            let line = tariff.line(*number).ok_or_else(|| refuse(format!("there is no line {}", number.0)))?;
            lines.push(line);
        }
        let mut said = Said { file: table.to_string_lossy().into_owned(), ..Said::default() };
        let classes = read(table, &tariff, &lines, options, &mut said)?;
        let ordinary = classes.get(&Profile::Ordinary).cloned().unwrap_or_default();
        for (profile, prices) in &classes {
            if *profile != Profile::Ordinary {
                compare(&tariff, *profile, &ordinary, prices, &mut said);
            }
        }
        look_at_pairs(&tariff, &lines, &ordinary, &mut said);
        let document = DocumentMut::from_str(&text).map_err(|error| refuse(error.to_string()))?;
        let tariff = with_prices(document, tariff.version, &ordinary, options);
        let refused = Tariff::parse(&options.tariff, &tariff).err().map(|error| error.message);
        let (not_expressed, noticed) = (said.not_expressed, said.noticed);
        Ok(Self { table: table.to_owned(), pairs: ordinary.len(), not_expressed, noticed, refused, tariff })
    }

    /// Whether the tariff charges what the table says, and there is nothing to look at in it.
    pub fn is_whole(&self) -> bool {
        self.not_expressed.is_empty() && self.noticed.is_empty() && self.refused.is_none()
    }
}

/// What there is to say about a table.
#[derive(Default)]
struct Said {
    file: String,
    not_expressed: Vec<Remark>,
    noticed: Vec<Remark>,
    counts: HashMap<String, usize>,
}

impl Said {
    fn remark(&self, line: Option<u64>, field: &str, detail: String) -> Remark {
        Remark {
            file: self.file.clone(),
            line,
            field: Some(field.to_owned()).filter(|field| !field.is_empty()),
            detail,
        }
    }

    /// Money is concerned.
    fn not_expressed(&mut self, line: Option<u64>, field: &str, detail: String) {
        self.not_expressed.push(self.remark(line, field, detail));
    }

    fn noticed(&mut self, line: Option<u64>, field: &str, detail: String) {
        let count = self.counts.entry(field.to_owned()).or_default();
        *count += 1;
        if *count <= REMARKS_OF_A_KIND_MAX {
            self.noticed.push(self.remark(line, field, detail));
        } else if *count == REMARKS_OF_A_KIND_MAX + 1 {
            self.noticed.push(self.remark(None, field, "and more of this kind".to_owned()));
        }
    }
}

/// Where the columns are.
struct Columns {
    origin: usize,
    destination: usize,
    /// Columns of amounts, each with its class; `None` where another column names the class.
    amounts: Vec<(usize, Option<String>)>,
    class: Option<usize>,
}

impl Columns {
    fn of(header: &StringRecord) -> Option<Self> {
        let names: Vec<String> =
            header.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_lowercase()).collect();
        let at = |name: &str| names.iter().position(|other| other == name);
        let (origin, destination) = (at("origin")?, at("destination")?);
        let class = at("class").or_else(|| at("profile"));
        let amounts: Vec<_> = match at("amount") {
            Some(amount) => vec![(amount, None)],
            None => {
                let others = names.iter().enumerate().filter(|(index, _)| ![origin, destination].contains(index));
                others.map(|(index, name)| (index, Some(name.clone()))).collect()
            }
        };
        (!amounts.is_empty()).then_some(Self { origin, destination, amounts, class })
    }
}

fn read(
    table: &Path,
    tariff: &Tariff,
    lines: &[&Line],
    options: &OdOptions,
    said: &mut Said,
) -> Result<BTreeMap<Profile, Prices>, OdError> {
    let cannot = |source| OdError::Read { path: table.to_owned(), source };
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_path(table).map_err(cannot)?;
    let mut record = ByteRecord::new();
    reader.read_byte_record(&mut record).map_err(cannot)?;
    let columns = Columns::of(&text_of(&record)).ok_or_else(|| OdError::Header { path: table.to_owned() })?;
    let stops = stops_by_word(lines);
    let mut classes: BTreeMap<Profile, Prices> = BTreeMap::new();
    let mut unknown_classes = BTreeSet::new();
    while reader.read_byte_record(&mut record).map_err(cannot)? {
        let line = record.position().map_or(0, csv::Position::line);
        let row = text_of(&record);
        let cell = |column: usize| row.get(column).unwrap_or_default().trim();
        let mut stop = |column: usize, field: &str| {
            let found = stops.get(cell(column)).copied().flatten();
            if found.is_none() {
                let detail = format!(
                    "`{}` is neither the gtfs_stop_id nor the number nor the name of one stop of these lines",
                    cell(column)
                );
                said.not_expressed(Some(line), field, detail);
            }
            found
        };
        let (Some(origin), Some(destination)) =
            (stop(columns.origin, "origin"), stop(columns.destination, "destination"))
        else {
            continue;
        };
        for (column, class) in &columns.amounts {
            let class = class.as_deref().unwrap_or_else(|| columns.class.map_or("ordinary", cell));
            let amount = cell(*column);
            let Some(profile) = profile_of(class, options) else {
                if unknown_classes.insert(class.to_owned()) {
                    let detail = format!("`{class}` is no profile: say which it is, such as --profile {class}=student");
                    said.not_expressed(Some(line), "class", detail);
                }
                continue;
            };
            let digits = usize::from(tariff.currency.minor_digits);
            let Some(minor) = minor_units(amount, digits).filter(|minor| u32::try_from(*minor).is_ok()) else {
                let detail = format!("`{amount}` is no amount of {}", tariff.currency.code);
                said.not_expressed(Some(line), "amount", detail);
                continue;
            };
            let prices = classes.entry(profile).or_default();
            match prices.get(&(origin, destination)) {
                None => {
                    prices.insert((origin, destination), (minor, line));
                }
                Some((other, first)) if *other == minor => {
                    let detail = format!("the pair is there already, in line {first}, with the same amount");
                    said.noticed(Some(line), "origin", detail);
                }
                Some((_, first)) => {
                    let detail =
                        format!("the pair is there already, in line {first}, with another amount, which is taken");
                    said.not_expressed(Some(line), "amount", detail);
                }
            }
        }
    }
    Ok(classes)
}

fn text_of(record: &ByteRecord) -> StringRecord {
    record.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().into()
}

/// Stops by id, number and name. `None` for a word that several have.
fn stops_by_word(lines: &[&Line]) -> HashMap<String, Option<u16>> {
    let mut words: HashMap<String, Option<u16>> = HashMap::new();
    let stops = || lines.iter().flat_map(|line| &line.stops);
    let ids = stops().map(|stop| (stop.gtfs_stop_id.clone(), stop.number.0));
    let by_id: HashMap<String, u16> = ids.collect();
    for (word, number) in
        stops().flat_map(|stop| [(stop.number.0.to_string(), stop.number.0), (stop.name.clone(), stop.number.0)])
    {
        let same = words.entry(word).or_insert(Some(number));
        *same = same.filter(|other| *other == number);
    }
    words.extend(by_id.into_iter().map(|(id, number)| (id, Some(number))));
    words
}

fn profile_of(class: &str, options: &OdOptions) -> Option<Profile> {
    let named = options.profiles.iter().find(|(other, _)| other.eq_ignore_ascii_case(class));
    let by_name = || Profile::ALL.into_iter().find(|profile| profile.name() == class);
    named.map(|(_, profile)| *profile).or_else(by_name)
}

/// What a class pays is what the tariff's rules for its profile make of the ordinary prices, or is said.
fn compare(tariff: &Tariff, profile: Profile, ordinary: &Prices, prices: &Prices, said: &mut Said) {
    let percent_off = match tariff.discount(profile) {
        _ if tariff.free_profiles.contains(&profile) => 100,
        Some(discount) => discount.percent_off,
        None => 0,
    };
    let misfit = |percent_off: u8| {
        prices.iter().find(|(pair, (minor, _))| {
            let made = ordinary.get(*pair).and_then(|(ordinary, _)| Amount::from_minor(*ordinary));
            let left = 100 - u16::from(percent_off);
            let made = if left == 100 { made } else { made.and_then(|made| tariff.rounding.apply(made, [100, left])) };
            made.map(Amount::minor) != Some(*minor)
        })
    };
    let Some((_, (_, line))) = misfit(percent_off) else { return };
    let name = profile.name();
    let remedy = match (1..=100).find(|percent_off| misfit(*percent_off).is_none()) {
        Some(100) => "they ride at 0 here: `free_profiles` would do that, on all lines".to_owned(),
        Some(percent) => format!("a [[discount]] of {percent} percent would do it, on all lines"),
        None => "no single percentage does it".to_owned(),
    };
    let detail = format!(
        "what {name} pays is not {percent_off} percent less than `ordinary`, as on the tariff's other lines; {remedy}"
    );
    said.not_expressed(Some(*line), name, detail);
}

/// Pairs without a price, and pairs that cost something else on the way back.
fn look_at_pairs(tariff: &Tariff, lines: &[&Line], prices: &Prices, said: &mut Said) {
    let stops: BTreeMap<u16, &str> =
        lines.iter().flat_map(|line| line.stops.iter().map(|stop| (stop.number.0, &*stop.name))).collect();
    let name = |stop: &u16| stops.get(stop).copied().unwrap_or_default();
    let (mut holes, mut first) = (0_u64, None);
    for from in stops.keys() {
        for to in stops.range(from + 1..).map(|(to, _)| to) {
            if !prices.contains_key(&(*from, *to)) && !prices.contains_key(&(*to, *from)) {
                holes += 1;
                first.get_or_insert((*from, *to));
            }
        }
    }
    if let Some((from, to)) = first {
        let detail = format!(
            "{holes} pair(s) of stops have no price, the first from {} to {}: such a journey costs what its tap-in debited",
            name(&from),
            name(&to)
        );
        said.not_expressed(None, "", detail);
    }
    let is_triangle = !prices.keys().any(|(from, to)| from != to && prices.contains_key(&(*to, *from)));
    for ((from, to), (minor, line)) in prices {
        match prices.get(&(*to, *from)) {
            Some((back, _)) if from < to && back != minor => {
                let money = |minor: i64| tariff.currency.display(minor).to_string();
                let (there, back) = (money(*minor), money(*back));
                let detail = format!("{} to {} costs {there}, and back {back}", name(from), name(to));
                said.noticed(Some(*line), "amount", detail);
            }
            None if !is_triangle => {
                let detail = format!("{} to {} has no way back, which costs the same then", name(from), name(to));
                said.noticed(Some(*line), "destination", detail);
            }
            Some(_) | None => {}
        }
    }
}

/// The tariff file with the prices; everything else, comments too, stays as it stands.
fn with_prices(mut document: DocumentMut, version: u32, prices: &Prices, options: &OdOptions) -> String {
    if let Some(number) = document.get_mut("version") {
        *number = value(i64::from(version.saturating_add(1)));
    }
    let mut pairs = Array::new();
    for ((from, to), (minor, _)) in prices {
        // A pair counts both ways, unless the way back stands there too.
        if from <= to || prices.get(&(*to, *from)).is_none_or(|(back, _)| back != minor) {
            let mut row = Value::from(Array::from_iter([i64::from(*from), i64::from(*to), *minor]));
            row.decor_mut().set_prefix("\n    ");
            pairs.push_formatted(row);
        }
    }
    pairs.set_trailing("\n");
    let amounts = || prices.values().map(|(minor, _)| *minor);
    let fares = document.entry("journey_fare").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    if let Some(fares) = fares.as_array_of_tables_mut() {
        let is_it = |table: &Table| table.get("name").and_then(Item::as_str) == Some(&options.name);
        if !fares.iter().any(is_it) {
            let mut table = Table::new();
            table.insert("name", value(&options.name));
            table.insert("tap_in_minor", value(amounts().min().unwrap_or(0)));
            table.insert("maximum_minor", value(amounts().max().unwrap_or(0)));
            table.insert("longest_minutes", value(LONGEST_MINUTES));
            fares.push(table);
        }
        if let Some(table) = fares.iter_mut().find(|table| is_it(table)) {
            for key in ["zones_minor", "zone_pair", "distance_step", "distance"] {
                table.remove(key);
            }
            table.insert("stop_pair", value(pairs));
        }
    }
    let lines = document.get_mut("line").and_then(Item::as_array_of_tables_mut);
    for line in lines.into_iter().flat_map(ArrayOfTables::iter_mut) {
        let number = line.get("number").and_then(Item::as_integer);
        if options.lines.iter().any(|wanted| Some(i64::from(wanted.0)) == number) {
            line.remove("flat_fare_minor");
            line.remove("length_km");
            line.insert("journey_fare", value(&options.name));
        }
    }
    document.to_string()
}

impl fmt::Display for OdImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for remark in &self.not_expressed {
            writeln!(f, "not expressed: {remark}")?;
        }
        for remark in &self.noticed {
            writeln!(f, "noticed: {remark}")?;
        }
        if let Some(why) = &self.refused {
            writeln!(f, "The tariff cannot be used as it stands: {why}")?;
        }
        let (money, noticed) = (self.not_expressed.len(), self.noticed.len());
        writeln!(f, "{} pairs; {money} not expressed, {noticed} noticed", self.pairs)
    }
}
