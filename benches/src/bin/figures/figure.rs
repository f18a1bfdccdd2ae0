//! A figure, its bound, and how both are shown.

use std::{
    fmt, fs,
    io::{self, Write},
    path::Path,
};

use benches::Failure;
use serde_json::{Map, Value};

/// What a figure must keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// Informs, and binds nobody.
    None,
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
    Exactly(f64),
}

/// One measured or modelled number; its unit ends its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) bound: Bound,
}

impl Figure {
    pub(crate) const fn new(name: &'static str, value: f64, bound: Bound) -> Self {
        Self { name, value, bound }
    }

    pub(crate) const fn unbounded(name: &'static str, value: f64) -> Self {
        Self::new(name, value, Bound::None)
    }

    pub(crate) fn is_within_bound(&self) -> bool {
        match self.bound {
            Bound::None => true,
            Bound::AtLeast(least) => self.value >= least,
            Bound::AtMost(most) => self.value <= most,
            Bound::Below(limit) => self.value < limit,
            Bound::Exactly(number) => self.value == number,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::None => String::new(),
            Self::AtLeast(least) => format!("≥ {least}"),
            Self::AtMost(most) => format!("≤ {most}"),
            Self::Below(limit) => format!("< {limit}"),
            Self::Exactly(number) => format!("= {number}"),
        };
        formatter.pad(&text)
    }
}

/// A flat object, name to number; whole numbers without a fraction. What others measured and is in the file stays.
pub(crate) fn merge_json(path: &Path, figures: &[Figure]) -> Result<(), Failure> {
    let mut all: Map<String, Value> = match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Map::new(),
        Err(error) => return Err(error.into()),
    };
    for figure in figures {
        let number: Value = serde_json::from_str(&rounded(figure.value).to_string())?;
        all.insert(figure.name.to_owned(), number);
    }
    // Whoever reads meanwhile finds the old figures or the new ones.
    let next = path.with_extension("json.next");
    fs::write(&next, serde_json::to_string_pretty(&all)? + "\n")?;
    fs::rename(&next, path)?;
    Ok(())
}

pub(crate) fn print_table(to: &mut impl Write, figures: &[Figure]) -> io::Result<()> {
    writeln!(to, "{:<34} {:>10}  {:<9} ok", "figure", "value", "bound")?;
    for figure in figures {
        let ok = match figure.bound {
            Bound::None => "",
            _ if figure.is_within_bound() => "yes",
            Bound::AtLeast(_) | Bound::AtMost(_) | Bound::Below(_) | Bound::Exactly(_) => "NO",
        };
        writeln!(to, "{:<34} {:>10}  {:<9} {ok}", figure.name, rounded(figure.value), figure.bound)?;
    }
    Ok(())
}

/// To a thousandth: no figure is known better.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
