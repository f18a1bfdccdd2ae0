//! A figure, its bound, and how both are shown.

use std::{
    fmt, fs,
    io::{self, Write},
    path::Path,
};

use benches::Failure;

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

/// A flat object, name to number; whole numbers without a fraction.
pub(crate) fn write_json(path: &Path, figures: &[Figure]) -> Result<(), Failure> {
    let entries: Vec<String> =
        figures.iter().map(|figure| format!("  {:?}: {}", figure.name, rounded(figure.value))).collect();
    fs::write(path, format!("{{\n{}\n}}\n", entries.join(",\n")))?;
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
