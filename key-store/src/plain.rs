//! Key files in the clear: test keys, and what systemd opens for a device.
//!
//! ```toml
//! class = "test"
//! validate = "7E577E570000000000000000000000A2"                                             # version 0
//! token = { 2 = "7E577E570000000000000000000000B1", 1 = "7E577E570000000000000000000000B0" } # two live versions
//! signing_seed = "…"                                                                        # 64 digits, optional
//! ```

use std::fmt::{self, Write as _};
use std::path::Path;

use card_crypto::Key;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use transit::config::{ConfigError, KeysClass};
use zeroize::Zeroizing;

use crate::key_set::KeySet;
use crate::role::KeyRole;

/// Reads a key file in the clear.
///
/// # Errors
/// [`ConfigError`] with `path`, the line where one is to blame, and what would be right; never with a key.
pub(crate) fn parse(path: &Path, text: &str) -> Result<KeySet, ConfigError> {
    transit::config::parse::<PlainFile>(path, text).map(|file| file.0)
}

impl KeySet {
    /// The set as the text of a key file in the clear, for a pipe to `systemd-creds encrypt` or for test keys. It must
    /// not reach a disk.
    #[must_use]
    pub fn to_plain_text(&self) -> Zeroizing<String> {
        // Long enough for everything, so that it does not grow and leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(2048));
        let write = |text: &mut String| -> fmt::Result {
            writeln!(text, "class = \"{}\"", class_name(self.class()))?;
            for role in KeyRole::ALL {
                let mut versions = self.keys().iter().filter(|key| key.role == role).peekable();
                if versions.peek().is_none() {
                    continue;
                }
                write!(text, "{role} = {{")?;
                for (index, key) in versions.enumerate() {
                    let mut digits = Zeroizing::new([0; 32]);
                    hex::encode_to_slice(key.key.expose_secret(), &mut *digits).map_err(|_| fmt::Error)?;
                    let digits = std::str::from_utf8(&*digits).map_err(|_| fmt::Error)?;
                    write!(text, "{} {} = \"{digits}\"", if index == 0 { "" } else { "," }, key.version)?;
                }
                writeln!(text, " }}")?;
            }
            if let Some(seed) = self.signing_seed() {
                let mut digits = Zeroizing::new([0; 64]);
                hex::encode_to_slice(seed, &mut *digits).map_err(|_| fmt::Error)?;
                writeln!(text, "signing_seed = \"{}\"", std::str::from_utf8(&*digits).map_err(|_| fmt::Error)?)?;
            }
            Ok(())
        };
        write(&mut text).expect("a string takes what is written to it, and digits are text");
        text
    }
}

pub(crate) fn class_name(class: KeysClass) -> &'static str {
    match class {
        KeysClass::Test => "test",
        KeysClass::Production => "production",
    }
}

/// Deserialised by hand: a derived one would leave copies of keys in buffers that nobody wipes, and a set is built key
/// by key, each under its own line.
struct PlainFile(KeySet);

impl<'de> Deserialize<'de> for PlainFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PlainVisitor)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = PlainFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key file")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PlainFile, A::Error> {
        let mut class = None;
        let mut seed = None;
        let mut keys: Vec<(KeyRole, Versions)> = Vec::new();
        while let Some(field) = map.next_key::<Field>()? {
            match field {
                Field::Class => class = Some(map.next_value::<KeysClass>()?),
                Field::SigningSeed => seed = Some(map.next_value::<Secret<32>>()?),
                Field::Key(role) => keys.push((role, map.next_value()?)),
            }
        }
        let mut set = KeySet::new(class.ok_or_else(|| de::Error::missing_field("class"))?);
        for (role, versions) in keys {
            for (version, secret) in versions.0 {
                set.insert(role, version, Key::new(*secret.0)).map_err(de::Error::custom)?;
            }
        }
        Ok(PlainFile(match seed {
            Some(seed) => set.with_signing_seed(&seed.0),
            None => set,
        }))
    }
}

/// A name in the file; one that is unknown is refused at its line.
enum Field {
    Class,
    SigningSeed,
    Key(KeyRole),
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "class" => Ok(Self::Class),
            "signing_seed" => Ok(Self::SigningSeed),
            role => role.parse().map(Self::Key).map_err(de::Error::custom),
        }
    }
}

/// One key of no version, or a table of versions.
struct Versions(Vec<(u8, Secret<16>)>);

impl<'de> Deserialize<'de> for Versions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VersionsVisitor)
    }
}

struct VersionsVisitor;

impl<'de> Visitor<'de> for VersionsVisitor {
    type Value = Versions;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key, or a table of versions and keys")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Versions, E> {
        Ok(Versions(vec![(0, Secret::of(text)?)]))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Versions, A::Error> {
        let mut versions = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let version = name.parse().map_err(|_| de::Error::custom("a key's version is 0 to 255"))?;
            versions.push((version, map.next_value()?));
        }
        if versions.is_empty() {
            return Err(de::Error::custom("a key has at least one version"));
        }
        Ok(Versions(versions))
    }
}

/// Bytes in hexadecimal; no error repeats them.
struct Secret<const N: usize>(Zeroizing<[u8; N]>);

impl<const N: usize> Secret<N> {
    fn of<E: de::Error>(text: &str) -> Result<Self, E> {
        let mut bytes = Zeroizing::new([0; N]);
        hex::decode_to_slice(text, bytes.as_mut_slice())
            .map_err(|_| E::custom(format!("a key here is {} hexadecimal digits", 2 * N)))?;
        Ok(Self(bytes))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Secret<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hexadecimal<const N: usize>;
        impl<const N: usize> Visitor<'_> for Hexadecimal<N> {
            type Value = Secret<N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} hexadecimal digits", 2 * N)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret<N>, E> {
                Secret::of(text)
            }
        }
        deserializer.deserialize_str(Hexadecimal)
    }
}
