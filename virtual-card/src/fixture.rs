//! Cards as readable files.

use std::{
    collections::BTreeMap,
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use toml::Spanned;

use crate::{
    application::Application,
    crypto::diversify_aes128,
    file::{BackupData, Content, File, Records, TransactionMac, Value},
    framing::FrameSize,
    layout::{Entries, FileLayout, Layout},
    picc::{Generation, Identity, Picc, Random},
    test_keys::TestKeys,
};

/// When a card file is read: what its relative times count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Unix seconds.
    pub now: u32,
    /// The service day of `now`, in days since 2000-01-01.
    pub today: u16,
}

/// A card as its file describes it; [`card`](Self::card) makes as many as wanted.
#[derive(Clone, Debug)]
pub struct Fixture {
    name: String,
    identity: Identity,
    application: Application,
    layout: Option<Layout>,
}

/// Why a file of cards, layouts or keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FixtureError {
    /// The file is missing or may not be read.
    #[error("cannot read {}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file says something that makes no card.
    #[error("{}{}: {problem}", file.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// The line, from 1, where it is known.
        line: Option<usize>,
        /// The field, what is wrong with it and what to write instead.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardFile {
    uid: Spanned<String>,
    chip: Generation,
    frame_size: Spanned<u16>,
    /// A layout file in the same directory.
    layout: Option<String>,
    /// The identifier of an application without files, instead of a layout.
    foreign_application: Option<Spanned<String>>,
    /// Keys that are on the card instead of the diversified ones.
    #[serde(default)]
    keys: BTreeMap<String, Spanned<String>>,
    purse: Option<Spanned<Purse>>,
    /// The newest record.
    record: Option<Entries>,
    /// Newest first.
    #[serde(default)]
    older_records: Vec<Entries>,
    #[serde(default)]
    issuer: Entries,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Purse {
    value: i32,
    lower_limit: i32,
    upper_limit: i32,
}

impl Fixture {
    /// Reads a card file and the layout file that it names.
    ///
    /// # Errors
    /// [`FixtureError`] names the file, the line, the field and the remedy.
    pub fn load(path: &Path, keys: &TestKeys, moment: Moment) -> Result<Self, FixtureError> {
        let source = Source::read(path)?;
        let file: CardFile = source.parse()?;
        let uid = source.hex("uid", &file.uid)?;
        let frame_size = FrameSize::from_bytes(*file.frame_size.get_ref()).ok_or_else(|| {
            source.invalid(Some(file.frame_size.span()), "`frame_size` is not 64, 128 or 256 bytes".to_owned())
        })?;
        let (application, layout) = match (&file.layout, &file.foreign_application) {
            (Some(layout), None) => {
                let layout = Layout::load(&path.with_file_name(layout))?;
                let issue = Issue { source: &source, file: &file, layout: &layout, keys, uid, moment };
                (issue.application()?, Some(layout))
            }
            (None, Some(aid)) => {
                let aid = source.hex("foreign_application", aid)?;
                (Application::new(aid, vec![], vec![]), None)
            }
            (Some(_), Some(_)) | (None, None) => {
                let problem = "give either `layout` or `foreign_application`".to_owned();
                return Err(source.invalid(None, problem));
            }
        };
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let identity = Identity { uid, generation: file.chip, frame_size };
        Ok(Self { name, identity, application, layout })
    }

    /// Reads every card file of a directory, by name; layout files are those whose name starts with `layout`.
    ///
    /// # Errors
    /// [`FixtureError`] of the first file that cannot be used.
    pub fn load_directory(directory: &Path, keys: &TestKeys, moment: Moment) -> Result<Vec<Self>, FixtureError> {
        let unreadable = |source| FixtureError::Unreadable { file: directory.to_owned(), source };
        let mut paths = vec![];
        for entry in std::fs::read_dir(directory).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let is_layout = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("layout"));
            if !is_layout && path.extension().is_some_and(|extension| extension == "toml") {
                paths.push(path);
            }
        }
        paths.sort();
        paths.iter().map(|path| Self::load(path, keys, moment)).collect()
    }

    /// The file's name without its ending.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// UID, chip and frame size.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The layout, unless the card is foreign.
    #[must_use]
    pub const fn layout(&self) -> Option<&Layout> {
        self.layout.as_ref()
    }

    /// A card as it was issued.
    #[must_use]
    pub fn card(&self, random: Random) -> Picc {
        Picc::new(self.identity.clone(), vec![self.application.clone()], random)
    }

    /// The committed purse of a card of this layout.
    #[must_use]
    pub fn purse(&self, card: &Picc) -> Option<i32> {
        card.value(self.application.aid, self.layout.as_ref()?.purse_file.number)
    }

    /// The committed records of a card of this layout, newest first.
    #[must_use]
    pub fn records(&self, card: &Picc) -> Option<Vec<Vec<u8>>> {
        card.records(self.application.aid, self.layout.as_ref()?.record_file.number)
    }

    /// How many transactions a card of this layout has committed.
    #[must_use]
    pub fn transaction_counter(&self, card: &Picc) -> Option<u32> {
        card.transaction_counter(self.application.aid)
    }
}

/// Everything that goes onto one card.
struct Issue<'a> {
    source: &'a Source,
    file: &'a CardFile,
    layout: &'a Layout,
    keys: &'a TestKeys,
    uid: [u8; 7],
    moment: Moment,
}

impl Issue<'_> {
    fn application(&self) -> Result<Application, FixtureError> {
        let Self { source, file, layout, .. } = self;
        let aid = source.hex("aid", &layout.aid)?;
        let names = || layout.keys.iter().map(String::as_str).zip(0..);
        if let Some((name, key)) = file.keys.iter().find(|(name, _)| self.keys.named(name).is_none()) {
            return Err(source.invalid(Some(key.span()), format!("no key is called `{name}`")));
        }
        let keys: Result<_, _> = names().map(|(name, number)| self.key(name, number, aid)).collect();
        let transaction_mac_key = self.key("transaction_mac", layout.transaction_mac_key_number, aid)?;

        let issuer = layout.issuer.encode(&file.issuer, self.moment, source)?;
        let transaction_mac = Content::TransactionMac(TransactionMac::new(transaction_mac_key, 0));
        let files = vec![
            file_of(&layout.issuer_file, Content::BackupData(BackupData::new(issuer))),
            file_of(&layout.purse_file, Content::Value(self.purse()?)),
            self.record_file()?,
            file_of(&layout.transaction_mac_file, transaction_mac),
        ];
        Ok(Application { key_settings: layout.key_settings, ..Application::new(aid, keys?, files) })
    }

    /// The key of this name: the card's own, or the one that the card file puts in its place.
    fn key(&self, name: &str, number: u8, aid: [u8; 3]) -> Result<[u8; 16], FixtureError> {
        if let Some(key) = self.file.keys.get(name) {
            return self.source.hex(name, key);
        }
        let master = self.keys.named(name);
        let input = [&self.uid[..], &aid, &[number], self.layout.system.as_bytes()].concat();
        master.and_then(|master| diversify_aes128(master, &input)).ok_or_else(|| {
            let problem =
                format!("the layout's key `{name}` is none of the key file, or its `system` exceeds 20 bytes");
            self.source.invalid(None, problem)
        })
    }

    fn purse(&self) -> Result<Value, FixtureError> {
        let Some(purse) = &self.file.purse else {
            let problem = "give a [purse] with `value`, `lower_limit` and `upper_limit`".to_owned();
            return Err(self.source.invalid(None, problem));
        };
        let Purse { value, lower_limit, upper_limit } = *purse.get_ref();
        Value::new(lower_limit, value, upper_limit).ok_or_else(|| {
            let problem = format!("[purse] `value` {value} is not within {lower_limit} to {upper_limit}");
            self.source.invalid(Some(purse.span()), problem)
        })
    }

    fn record_file(&self) -> Result<File, FixtureError> {
        let layout = &self.layout.record_file;
        let mut records = Records::cyclic(self.layout.record.length(), layout.slots).ok_or_else(|| {
            self.source.invalid(None, "the layout's record file needs two slots and some fields".to_owned())
        })?;
        let newest_first = self.file.record.iter().chain(&self.file.older_records);
        let encoded: Result<Vec<_>, _> =
            newest_first.map(|entries| self.layout.record.encode(entries, self.moment, self.source)).collect();
        let has_stored_all = encoded?.into_iter().rev().all(|record| records.push(record));
        debug_assert!(has_stored_all, "the layout gives all records one length");
        let FileLayout { number, mode, rights } =
            FileLayout { number: layout.number, mode: layout.mode, rights: layout.rights };
        Ok(File { number, iso_file_id: None, mode, rights, content: Content::Records(records) })
    }
}

fn file_of(layout: &FileLayout, content: Content) -> File {
    let FileLayout { number, mode, rights } = *layout;
    File { number, mode, rights, iso_file_id: None, content }
}

/// A text file and its name, for errors that say where.
pub(crate) struct Source {
    file: PathBuf,
    text: String,
}

impl Source {
    pub(crate) fn read(path: &Path) -> Result<Self, FixtureError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| FixtureError::Unreadable { file: path.to_owned(), source })?;
        Ok(Self { file: path.to_owned(), text })
    }

    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, FixtureError> {
        toml::from_str(&self.text).map_err(|error| self.invalid(error.span(), error.message().to_owned()))
    }

    pub(crate) fn invalid(&self, span: Option<Range<usize>>, problem: String) -> FixtureError {
        let line_of = |span: Range<usize>| {
            let before = self.text.bytes().take(span.start);
            before.filter(|&byte| byte == b'\n').count() + 1
        };
        FixtureError::Invalid { file: self.file.clone(), line: span.map(line_of), problem }
    }

    pub(crate) fn hex<const N: usize>(&self, field: &str, text: &Spanned<String>) -> Result<[u8; N], FixtureError> {
        let mut bytes = [0; N];
        hex::decode_to_slice(text.get_ref(), &mut bytes)
            .map_err(|_| self.invalid(Some(text.span()), format!("`{field}` is not {} hexadecimal digits", 2 * N)))?;
        Ok(bytes)
    }
}
