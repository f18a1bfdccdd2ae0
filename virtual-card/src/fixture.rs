//! Cards as readable files.

use std::{
    collections::BTreeMap,
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use toml::Spanned;

use crate::{
    application::{Application, KeySets},
    crypto::diversify_aes128,
    file::{BackupData, Content, File, Records, TransactionMac, Value},
    framing::FrameSize,
    key::CardKey,
    layout::{Entries, FileLayout, Layout, RecordFileLayout},
    memory::Memory,
    originality,
    picc::{Activation, Generation, Identity, Picc, Random},
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
    chip: Chip,
    identity: Identity,
    memory: Memory,
    layout: Option<(String, Layout)>,
}

/// What lies in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
enum Chip {
    #[serde(rename = "EV1")]
    Ev1,
    #[serde(rename = "EV2")]
    Ev2,
    #[serde(rename = "EV3")]
    Ev3,
    #[serde(rename = "MIFARE Classic")]
    Classic,
    #[serde(rename = "clash")]
    Clash,
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
    /// The file or its directory cannot be written.
    #[error("cannot write {}", file.display())]
    Unwritable {
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
    chip: Chip,
    frame_size: Spanned<u16>,
    /// Whether the chip shows the test maker's signature of its UID.
    #[serde(default = "yes")]
    genuine: bool,
    /// A layout file in the same directory.
    layout: Option<String>,
    /// The identifier of an application without files, instead of a layout.
    foreign_application: Option<Spanned<String>>,
    /// KS1 of the application and of the card, instead of the layout's.
    key_settings: Option<u8>,
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
    /// A card that was saved: everything that it held, instead of what it was issued with.
    memory: Option<Spanned<Memory>>,
}

const fn yes() -> bool {
    true
}

/// A card file as [`Fixture::save`] writes it.
#[derive(Serialize)]
struct SavedCard<'a> {
    uid: String,
    chip: Chip,
    frame_size: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    layout: Option<&'a str>,
    memory: &'a Memory,
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
        let layout = match &file.layout {
            Some(name) => Some((name.clone(), Layout::load(&path.with_file_name(name))?)),
            None => None,
        };
        let identity = Identity { uid, generation: file.chip.generation(), frame_size };
        let memory = match (&file.memory, &layout, &file.foreign_application) {
            (Some(memory), _, None) => {
                if let Some(problem) = memory.get_ref().problem() {
                    return Err(source.invalid(Some(memory.span()), format!("[memory]: {problem}")));
                }
                memory.get_ref().clone()
            }
            (None, Some((_, layout)), None) => {
                Issue { source: &source, file: &file, layout, keys, uid, moment }.memory()?
            }
            (None, None, Some(aid)) => {
                let aid = source.hex("foreign_application", aid)?;
                Memory::with_applications(vec![Application::new(aid, vec![], vec![])])
            }
            (None, None, None) => Memory::factory(),
            (Some(_), _, Some(_)) | (None, Some(_), Some(_)) => {
                let problem = "`foreign_application` goes with neither `layout` nor `memory`: leave it out".to_owned();
                return Err(source.invalid(None, problem));
            }
        };
        let memory = match keys.originality {
            Some(key) if file.genuine && memory.signature.is_empty() => {
                Memory { signature: originality::signature(&key, uid), ..memory }
            }
            _ => memory,
        };
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, chip: file.chip, identity, memory, layout })
    }

    /// Writes this card, as `card` now is, so that [`load`](Self::load) reads it back: its identity and its whole memory,
    /// keys included. Comments of a file that was there are lost. The layout file must lie in the same directory.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path, card: &Picc) -> Result<(), FixtureError> {
        let Identity { uid, frame_size, .. } = card.identity();
        let saved = SavedCard {
            uid: hex::encode_upper(uid),
            chip: self.chip,
            frame_size: frame_size.bytes(),
            layout: self.layout.as_ref().map(|(name, _)| name.as_str()),
            memory: card.memory(),
        };
        let text = toml::to_string(&saved).map_err(io::Error::other);
        // A file that is half written would be no card: the new one takes the old one's place at once.
        let beside = path.with_extension("toml.new");
        let written = text.and_then(|text| std::fs::write(&beside, text)).and_then(|()| std::fs::rename(&beside, path));
        written.map_err(|source| FixtureError::Unwritable { file: path.to_owned(), source })
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

    /// The layout, if the card is one of ours.
    #[must_use]
    pub fn layout(&self) -> Option<&Layout> {
        self.layout.as_ref().map(|(_, layout)| layout)
    }

    /// A card as its file says.
    #[must_use]
    pub fn card(&self, random: Random) -> Picc {
        let card = Picc::with_memory(self.identity.clone(), self.memory.clone(), random);
        card.with_activation(self.chip.activation())
    }

    /// The committed purse of a card of this layout.
    #[must_use]
    pub fn purse(&self, card: &Picc) -> Option<i32> {
        card.value(self.layout()?.aid(), self.layout()?.purse_file.number)
    }

    /// The committed records of a card of this layout, newest first.
    #[must_use]
    pub fn records(&self, card: &Picc) -> Option<Vec<Vec<u8>>> {
        card.records(self.layout()?.aid(), self.layout()?.record_file.number)
    }

    /// How many transactions a card of this layout has committed.
    #[must_use]
    pub fn transaction_counter(&self, card: &Picc) -> Option<u32> {
        card.transaction_counter(self.layout()?.aid())
    }
}

impl Chip {
    /// What is no DESFire answers no command, so its generation is never seen.
    const fn generation(self) -> Generation {
        match self {
            Self::Ev1 | Self::Classic | Self::Clash => Generation::Ev1,
            Self::Ev2 => Generation::Ev2,
            Self::Ev3 => Generation::Ev3,
        }
    }

    const fn activation(self) -> Activation {
        match self {
            Self::Ev1 | Self::Ev2 | Self::Ev3 => Activation::Desfire,
            Self::Classic => Activation::Classic,
            Self::Clash => Activation::Clash,
        }
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
    /// The card as its issuer hands it out: its own key is his, and only under that one it takes or loses applications.
    fn memory(&self) -> Result<Memory, FixtureError> {
        const CARD_LEVEL: [u8; 3] = [0; 3];
        /// As a desk leaves it: everything needs the master key, which may change that and itself.
        const CLOSED: u8 = 0x09;
        let memory = Memory::with_applications(vec![self.application()?]);
        if self.keys.card_master.is_none() {
            return Ok(memory);
        }
        let master_key = CardKey::aes(self.key("card_master", 0, CARD_LEVEL)?, 0);
        Ok(Memory { master_key, key_settings: self.file.key_settings.unwrap_or(CLOSED), ..memory })
    }

    fn application(&self) -> Result<Application, FixtureError> {
        let Self { source, file, layout, .. } = self;
        let aid = layout.aid();
        let names = || layout.keys.iter().map(String::as_str).zip(0..);
        if let Some((name, key)) = file.keys.iter().find(|(name, _)| self.keys.named(name).is_none()) {
            return Err(source.invalid(Some(key.span()), format!("no key is called `{name}`")));
        }
        let keys: Result<_, _> = names().map(|(name, number)| self.key(name, number, aid)).collect();
        let transaction_mac_key = self.key("transaction_mac", layout.transaction_mac_key_number, aid)?;

        let issuer = layout.issuer.encode(&file.issuer, self.moment, source)?;
        let transaction_mac = Content::TransactionMac(TransactionMac::new(transaction_mac_key, 0));
        let mut files = vec![
            file_of(&layout.issuer_file, Content::BackupData(BackupData::new(issuer))),
            file_of(&layout.purse_file, Content::Value(self.purse()?)),
            self.record_file()?,
        ];
        // An EV1 has no Transaction MAC.
        if file.chip.generation() != Generation::Ev1 {
            files.push(file_of(&layout.transaction_mac_file, transaction_mac));
        }
        let key_settings = file.key_settings.unwrap_or(layout.key_settings);
        Ok(Application { key_settings, key_sets: self.key_sets()?, ..Application::new(aid, keys?, files) })
    }

    fn key_sets(&self) -> Result<Option<KeySets>, FixtureError> {
        const AES_KEY_LENGTH: u8 = 16;
        if self.layout.key_sets == 1 || self.file.chip.generation() == Generation::Ev1 {
            return Ok(None);
        }
        KeySets::new([0, self.layout.key_sets, AES_KEY_LENGTH, self.layout.roll_key])
            .map(Some)
            .map_err(|_| self.source.invalid(None, "the layout's `key_sets` is neither 1 nor 2 to 16".to_owned()))
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
        let RecordFileLayout { number, mode, rights, .. } = *layout;
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
