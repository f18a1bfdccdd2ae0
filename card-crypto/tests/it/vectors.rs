//! The vector files: one vector per paragraph, `name = value` lines, `#` comments.

use std::{collections::BTreeMap, fmt::Debug, str::FromStr};

use card_crypto::CommunicationMode;

pub(crate) struct Vector(BTreeMap<String, String>);

impl Vector {
    pub(crate) fn text(&self, field: &str) -> &str {
        self.find(field).unwrap_or_else(|| panic!("{self:?} has no field {field}"))
    }

    pub(crate) fn find(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }

    /// The same vector with another value of a field.
    pub(crate) fn with(&self, field: &str, value: &str) -> Self {
        let mut fields = self.0.clone();
        fields.insert(field.to_owned(), value.to_owned());
        Self(fields)
    }

    pub(crate) fn bytes(&self, field: &str) -> Vec<u8> {
        hex::decode(self.text(field)).unwrap_or_else(|why| panic!("{self:?}, field {field}: {why}"))
    }

    pub(crate) fn array<const N: usize>(&self, field: &str) -> [u8; N] {
        self.bytes(field).try_into().unwrap_or_else(|_| panic!("{self:?}, field {field}: not {N} bytes"))
    }

    pub(crate) fn key(&self, field: &str) -> card_crypto::Key {
        card_crypto::Key::new(self.array(field))
    }

    pub(crate) fn mode(&self, field: &str) -> CommunicationMode {
        match self.text(field) {
            "plain" => CommunicationMode::Plain,
            "mac" => CommunicationMode::Mac,
            "full" => CommunicationMode::Full,
            other => panic!("{self:?}, field {field}: no mode {other}"),
        }
    }

    pub(crate) fn number<N: FromStr<Err: Debug>>(&self, field: &str) -> N {
        self.text(field).parse().unwrap_or_else(|why| panic!("{self:?}, field {field}: {why:?}"))
    }
}

/// A vector is named in a failing test by its name and source.
impl Debug for Vector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "vector {:?} of {:?}", self.find("name"), self.find("source"))
    }
}

pub(crate) fn parse(text: &str) -> Vec<Vector> {
    let mut vectors = Vec::new();
    for paragraph in text.split("\n\n") {
        let lines = paragraph.lines().filter(|line| !line.starts_with('#'));
        let fields: BTreeMap<_, _> = lines
            .map(|line| line.split_once(" =").unwrap_or_else(|| panic!("not a field: {line}")))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        if !fields.is_empty() {
            vectors.push(Vector(fields));
        }
    }
    vectors
}

/// The one vector of this name.
pub(crate) fn named(text: &str, name: &str) -> Vector {
    parse(text).into_iter().find(|vector| vector.text("name") == name).expect("the vector is in its file")
}
