//! The linter: reads a personalised card back and names what is weak, with the remedy.
//!
//! What is right is the layout itself (`transit::card::APPLICATION`): every setting of the card that differs from it is a
//! finding, whether it opens the card to others or closes it to us.

use std::fmt;

use card_crypto::{
    Access, AccessRights, Aid, Card, ChangeKeyRight, CommunicationMode, Ev1, Ev2, FileKind as CardFileKind, FileNumber,
    FileSettings, KeyKind, KeyNumber, KeySettings, KeyTable, Transport,
};
use key_store::{KeyRole, KeyStore};
use serde::Serialize;
use transit::card::{APPLICATION, APPLICATION_ID, FileKind, FileLayout, Mode, Right, Rights};

use crate::session::{CardError, Generation, Random, Session, identify, version_on_card};

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which rule it breaks.
    pub rule: Rule,
    /// Where on the card.
    pub place: String,
    /// What is there.
    pub found: String,
}

/// The rules that a card keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The data of a file travel with a MAC.
    MacMode,
    /// Nobody without a key may do anything.
    NoFreeRight,
    /// Each right is with the key that the layout names. Whoever may read a value may debit it.
    RightsOfLayout,
    /// A file has no access rights besides the four.
    NoFurtherRights,
    /// LimitedCredit is off: whoever may debit could give back with it.
    NoLimitedCredit,
    /// The purse is told to nobody without a key.
    NoFreeGetValue,
    /// The purse has the limits of the layout.
    PurseLimits,
    /// A file is of the kind and the size of the layout.
    KindAndSize,
    /// Every file of the layout is there; on EV2 and EV3 the Transaction MAC file too.
    FilesOfLayout,
    /// No other file is there.
    NoOtherFile,
    /// No other application is on the card.
    NoOtherApplication,
    /// Keys and settings change, and files are listed, made and deleted, under the master keys alone.
    KeySettings,
    /// The application has the keys of the layout, AES.
    KeysOfLayout,
    /// Every key is one of the live versions.
    KeyVersions,
}

impl Rule {
    /// What to do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::KeyVersions => "lay newer keys on it with `counter keys load`, or issue it anew",
            Self::NoOtherApplication => "format the card at its other issuer, or take another blank one",
            Self::MacMode
            | Self::NoFreeRight
            | Self::RightsOfLayout
            | Self::NoFurtherRights
            | Self::NoLimitedCredit
            | Self::NoFreeGetValue
            | Self::PurseLimits
            | Self::KindAndSize
            | Self::FilesOfLayout
            | Self::NoOtherFile
            | Self::KeySettings
            | Self::KeysOfLayout => "exchange the card: its settings cannot be trusted",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.found, self.rule.remedy())
    }
}

fn finding(rule: Rule, place: impl Into<String>, found: impl Into<String>) -> Finding {
    Finding { rule, place: place.into(), found: found.into() }
}

/// Reads every setting of a card back. Needs the issuer's keys.
///
/// # Errors
/// [`CardError`]: the card cannot be read, or does not know our keys.
pub fn lint<T: Transport, K: KeyStore>(
    transport: &mut T,
    uid: &[u8; 7],
    keys: &mut K,
    random: Random<'_>,
) -> Result<Vec<Finding>, CardError> {
    let chip = identify(transport, Aid::PICC)?;
    let card = Card::new(transport, chip.frame_size);
    match chip.generation {
        Generation::Ev1 => lint_in::<_, Ev1, _>(card, uid, chip.generation, keys, random),
        Generation::Ev2 | Generation::Ev3 => lint_in::<_, Ev2, _>(card, uid, chip.generation, keys, random),
    }
}

fn lint_in<T: Transport, S: Session, K: KeyStore>(
    mut card: Card<T, card_crypto::Idle>,
    uid: &[u8; 7],
    generation: Generation,
    keys: &mut K,
    random: Random<'_>,
) -> Result<Vec<Finding>, CardError> {
    let of_session = CardError::of_session;
    let mut findings = Vec::new();

    let version = version_on_card(&mut card, keys, KeyRole::CardMaster, KeyNumber::MASTER)?;
    let holder = keys.holder(KeyRole::CardMaster, version, uid, random())?;
    let mut card = S::authenticate(card, KeyNumber::MASTER, holder).map_err(CardError::of_authentication)?;
    for Aid(aid) in card.get_application_ids().map_err(of_session)? {
        if aid != APPLICATION_ID {
            findings.push(finding(
                Rule::NoOtherApplication,
                "card",
                format!("has application {aid:02X?} besides ours"),
            ));
        }
    }
    findings.extend(check_card_settings(&card.get_key_settings().map_err(of_session)?));

    let mut card = card.select_application(Aid(APPLICATION_ID)).map_err(CardError::not_ours)?;
    let version = version_on_card(&mut card, keys, KeyRole::ApplicationMaster, KeyNumber::MASTER)?;
    let holder = keys.holder(KeyRole::ApplicationMaster, version, uid, random())?;
    let mut card = S::authenticate(card, KeyNumber::MASTER, holder).map_err(CardError::of_authentication)?;
    findings.extend(check_key_table(&card.get_key_settings().map_err(of_session)?));
    for (role, number) in KEYS_OF_APPLICATION {
        let version = card.get_key_version(number).map_err(of_session)?;
        if !keys.versions(role).contains(&version) {
            findings.push(finding(
                Rule::KeyVersions,
                format!("key {}", number.get()),
                format!("has version {version}"),
            ));
        }
    }
    let numbers = card.get_file_ids().map_err(of_session)?;
    let mut files = Vec::with_capacity(numbers.len());
    for number in numbers {
        files.push((number, card.get_file_settings(number).map_err(of_session)?));
    }
    findings.extend(check_files(&files, generation));
    for (number, settings) in &files {
        if let CardFileKind::TransactionMac { key_version, .. } = settings.kind
            && !keys.versions(KeyRole::TransactionMac).contains(&key_version)
        {
            let found = format!("its key has version {key_version}");
            findings.push(finding(Rule::KeyVersions, format!("file {:02X}", number.get()), found));
        }
    }
    Ok(findings)
}

/// The keys of our application and their numbers.
pub(crate) const KEYS_OF_APPLICATION: [(KeyRole, KeyNumber); 4] = [
    (KeyRole::ApplicationMaster, KeyNumber::MASTER),
    (KeyRole::Inspect, KeyNumber::new(1).expect("a key number")),
    (KeyRole::Validate, crate::session::VALIDATE),
    (KeyRole::Load, crate::session::LOAD),
];

/// The rules of the card's own key: as an issue leaves them, nobody makes, deletes or lists applications without it, and it
/// alone changes keys and settings.
pub fn check_card_settings(table: &KeyTable) -> Vec<Finding> {
    let mut findings = check_key_settings("card", "applications", table.settings, KeySettings::CLOSED);
    if table.kind != KeyKind::Aes {
        findings.push(finding(Rule::KeySettings, "card", "its master key is not AES"));
    }
    findings
}

/// The keys and rules of our application.
pub fn check_key_table(table: &KeyTable) -> Vec<Finding> {
    let wanted = KeySettings::from_byte(APPLICATION.key_settings);
    let mut findings = check_key_settings("application", "files", table.settings, wanted);
    if table.kind != KeyKind::Aes || usize::from(table.number_of_keys) != APPLICATION.keys.len() {
        let found = format!("has {} keys of kind {:?}", table.number_of_keys, table.kind);
        findings.push(finding(Rule::KeysOfLayout, "application", found));
    }
    findings
}

/// Every setting that differs, of the card or of an application, which hold `contents`.
fn check_key_settings(place: &str, contents: &str, found: KeySettings, wanted: KeySettings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |found: String| findings.push(finding(Rule::KeySettings, place, found));
    if found.free_listing != wanted.free_listing {
        let whom = if found.free_listing { "everybody" } else { "nobody without the master key" };
        find(format!("tells its {contents} to {whom}"));
    }
    if found.free_create_delete != wanted.free_create_delete {
        let whom = if found.free_create_delete { "everybody" } else { "nobody without the master key" };
        find(format!("lets {whom} make and delete {contents}"));
    }
    if found.settings_changeable != wanted.settings_changeable {
        let how = if found.settings_changeable { "can be changed" } else { "are frozen" };
        find(format!("its key settings {how}"));
    }
    if found.master_key_changeable != wanted.master_key_changeable {
        let how = if found.master_key_changeable { "can be changed" } else { "can never be changed" };
        find(format!("its master key {how}"));
    }
    if found.change_key != wanted.change_key {
        find(match found.change_key {
            ChangeKeyRight::Key(number) => format!("key {} changes its keys", number.get()),
            ChangeKeyRight::Same => "every key can change itself".to_owned(),
            ChangeKeyRight::Frozen => "its keys can never be changed".to_owned(),
        });
    }
    findings
}

/// The files of our application, on a card of this generation.
pub fn check_files(files: &[(FileNumber, FileSettings)], generation: Generation) -> Vec<Finding> {
    let mut findings = Vec::new();
    let expected = |layout: &&FileLayout| generation != Generation::Ev1 || layout.kind != FileKind::TransactionMac;
    for layout in APPLICATION.files.iter().filter(expected) {
        match files.iter().find(|(number, _)| number.get() == layout.number) {
            Some((_, settings)) => findings.extend(check_file(layout, settings)),
            None => {
                let found = format!("the {} file is missing", layout.name);
                findings.push(finding(Rule::FilesOfLayout, place_of(layout), found));
            }
        }
    }
    for (number, _) in files {
        if APPLICATION.file(number.get()).is_none() {
            findings.push(finding(Rule::NoOtherFile, format!("file {:02X}", number.get()), "is not of the layout"));
        }
    }
    findings
}

/// One file against the layout.
pub fn check_file(layout: &FileLayout, settings: &FileSettings) -> Vec<Finding> {
    /// Bit 7 of the option byte: the file has further access rights.
    const FURTHER_RIGHTS: u8 = 0x80;
    let mut findings = Vec::new();
    let mut find = |rule, found: String| findings.push(finding(rule, place_of(layout), found));
    if settings.mode != communication_mode(layout.mode) {
        find(Rule::MacMode, format!("its data travel in mode {:?}", settings.mode));
    }
    if settings.option & FURTHER_RIGHTS != 0 {
        find(Rule::NoFurtherRights, "has further access rights".to_owned());
    }
    let wanted = access_rights(layout.rights);
    for (name, found, wanted) in [
        ("read", settings.rights.read, wanted.read),
        ("write", settings.rights.write, wanted.write),
        ("read and write", settings.rights.read_write, wanted.read_write),
        ("change", settings.rights.change, wanted.change),
    ] {
        if found == Access::Free {
            find(Rule::NoFreeRight, format!("everybody may {name}"));
        } else if found != wanted {
            find(Rule::RightsOfLayout, format!("{name} is with {}, not {}", named(found), named(wanted)));
        }
    }
    match (layout.kind, settings.kind) {
        (FileKind::BackupData { length }, CardFileKind::BackupData { length: found }) => {
            if length != found {
                find(Rule::KindAndSize, format!("has {found} bytes, not {length}"));
            }
        }
        (
            FileKind::Value { lower_limit, upper_limit, limited_credit, free_value },
            CardFileKind::Value {
                lower_limit: lower,
                upper_limit: upper,
                limited_credit: limited,
                free_get_value: free,
                limited_credit_value: _,
            },
        ) => {
            if limited && !limited_credit {
                find(Rule::NoLimitedCredit, "LimitedCredit is on".to_owned());
            }
            if free && !free_value {
                find(Rule::NoFreeGetValue, "everybody may ask for the value".to_owned());
            }
            if (lower, upper) != (lower_limit, upper_limit) {
                let found = format!("holds {lower} to {upper}, not {lower_limit} to {upper_limit}");
                find(Rule::PurseLimits, found);
            }
        }
        (FileKind::CyclicRecords { record_length, slots }, CardFileKind::CyclicRecord(found)) => {
            if (found.record_length, found.records_max) != (record_length, slots) {
                let (length, max) = (found.record_length, found.records_max);
                find(Rule::KindAndSize, format!("has {max} records of {length} bytes, not {slots} of {record_length}"));
            }
        }
        (FileKind::TransactionMac, CardFileKind::TransactionMac { .. }) => {}
        (_, found) => find(Rule::KindAndSize, format!("is of another kind: {found:?}")),
    }
    findings
}

fn place_of(layout: &FileLayout) -> String {
    format!("file {:02X} ({})", layout.number, layout.name)
}

fn named(access: Access) -> String {
    match access {
        Access::Key(number) => format!("key {}", number.get()),
        Access::Free => "everybody".to_owned(),
        Access::Never => "nobody".to_owned(),
    }
}

/// The layout's mode in words of the card.
pub(crate) const fn communication_mode(mode: Mode) -> CommunicationMode {
    match mode {
        Mode::Plain => CommunicationMode::Plain,
        Mode::Mac => CommunicationMode::Mac,
        Mode::Full => CommunicationMode::Full,
    }
}

/// The layout's rights in words of the card.
pub(crate) const fn access_rights(rights: Rights) -> AccessRights {
    const fn access(right: Right) -> Access {
        match right {
            Right::Key(number) => Access::Key(KeyNumber::new(number).expect("the layout names keys of a card")),
            Right::Free => Access::Free,
            Right::Never => Access::Never,
        }
    }
    AccessRights {
        read: access(rights.read),
        write: access(rights.write),
        read_write: access(rights.read_write),
        change: access(rights.change),
    }
}

/// The number of a file of the layout in words of the card.
pub(crate) const fn file_number(layout: &FileLayout) -> FileNumber {
    FileNumber::new(layout.number).expect("the layout numbers files as a card does")
}

// The layout is one that a card can have; what it cannot have does not compile.
const _: () = {
    assert!(KEYS_OF_APPLICATION.len() == APPLICATION.keys.len());
    let mut index = 0;
    while index < APPLICATION.files.len() {
        let file = &APPLICATION.files[index];
        let _ = (file_number(file), access_rights(file.rights));
        index += 1;
    }
};
