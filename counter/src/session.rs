//! A card at the desk: identified, opened under key 2, read; then one transaction that may need key 3.
//!
//! ```text
//! Select, GetVersion            generation and frame size: a desk serves every card of the city
//! Authenticate (key 2)
//! ReadRecords, [ReadData]       the newest record, and the issuer file where the action needs it
//! [Authenticate (key 3)         inside the transaction
//!  Credit, WriteData issuer
//!  Authenticate (key 2)]
//! WriteRecord, Commit
//! ```
//!
//! An EV1 card authenticates with AA and has no Transaction MAC; a later one with 71 and 77.

use card_crypto::{
    AccessRights, AesMessaging, Aid, Authenticated, AuthenticationError, Card, Command, Commit, CommunicationMode,
    Error, Ev1, Ev2, FileNumber, FrameSize, Idle, KeyHolder, KeyNumber, NewKey, NoTransactionMac, RecordRange, Staged,
    Status, Transport, Version,
};
use key_store::{KeyRole, KeyStore, KeyStoreError};
use transit::card::{
    APPLICATION_ID, FILE_ISSUER, FILE_PURSE, FILE_RECORD, ISSUER_LEN, Issuer, KEY_LOAD, KEY_VALIDATE, LayoutError,
    RECORD_LEN, RECORDS_KEPT, Record,
};
use transit::tap::TransactionMac;

pub(crate) const ISSUER: FileNumber = FileNumber::new(FILE_ISSUER).expect("a file number");
pub(crate) const PURSE: FileNumber = FileNumber::new(FILE_PURSE).expect("a file number");
pub(crate) const RECORD: FileNumber = FileNumber::new(FILE_RECORD).expect("a file number");
pub(crate) const VALIDATE: KeyNumber = KeyNumber::new(KEY_VALIDATE).expect("a key number");
pub(crate) const LOAD: KeyNumber = KeyNumber::new(KEY_LOAD).expect("a key number");
/// How the data of every file of ours travel.
pub(crate) const MODE: CommunicationMode = CommunicationMode::Mac;

/// Sixteen fresh unpredictable bytes at each call.
pub type Random<'a> = &'a mut dyn FnMut() -> [u8; 16];

/// Why a card cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// No answer came.
    #[error("the card left the reader; lay it down again")]
    Lost(#[source] Error),
    /// A random or short identifier.
    #[error("not a card of this system: its identifier is not one of seven bytes")]
    ForeignIdentifier,
    /// The card has no application of ours, or is no DESFire.
    #[error("not a card of this system")]
    NotOurs(#[source] Error),
    /// The card does not know its key, or answers what no genuine card answers.
    #[error("not a genuine card of this system: keep it and tell the control room")]
    NotGenuine(#[source] Error),
    /// Ours, and it refused.
    #[error("the card refused; exchange it")]
    Refused(#[source] Error),
    /// Ours and genuine, but its content is not of a layout that we know.
    #[error("the card's content cannot be used; exchange it")]
    Content(#[source] LayoutError),
    /// Its keys have a version that the key store does not hold.
    #[error(
        "the card's {role} key has version {version}, which this desk's keys do not hold: bring the keys up to date"
    )]
    KeyVersion {
        /// The key.
        role: KeyRole,
        /// The card's version of it.
        version: u8,
    },
    /// The key store did not do its part; the card is not to blame.
    #[error("the keys cannot be used")]
    Keys(#[from] KeyStoreError),
}

impl CardError {
    /// The card left, and nothing more is wrong with it.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }

    pub(crate) fn not_ours(error: Error) -> Self {
        match error {
            Error::Lost(_) => Self::Lost(error),
            Error::Refused { .. } | Error::Misbehaved(_) | Error::Misused(_) => Self::NotOurs(error),
        }
    }

    pub(crate) fn of_session(error: Error) -> Self {
        match error {
            Error::Lost(_) => Self::Lost(error),
            Error::Misbehaved(_) => Self::NotGenuine(error),
            Error::Refused { .. } | Error::Misused(_) => Self::Refused(error),
        }
    }

    pub(crate) fn of_authentication(error: AuthenticationError<KeyStoreError>) -> Self {
        match error {
            AuthenticationError::Holder(error) => Self::Keys(error),
            AuthenticationError::Card(error @ Error::Lost(_)) => Self::Lost(error),
            AuthenticationError::Card(error @ Error::Refused { status: Status::NoSuchKey, .. }) => Self::NotOurs(error),
            AuthenticationError::Card(error) => Self::NotGenuine(error),
        }
    }
}

/// What a desk needs to know of a chip before it talks to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chip {
    /// Which generation it says it is.
    pub generation: Generation,
    /// The longest frame that the generation takes.
    pub frame_size: FrameSize,
}

/// The generations of DESFire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// EV1: AuthenticateAES, no Transaction MAC, one key set.
    Ev1,
    /// EV2.
    Ev2,
    /// EV3.
    Ev3,
}

impl Generation {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ev1 => "EV1",
            Self::Ev2 => "EV2",
            Self::Ev3 => "EV3",
        }
    }

    /// By the major version of the hardware: 01 is EV1, 12 and 22 are EV2, 33 is EV3 (hexadecimal; proxmark3).
    pub fn of(version: &Version) -> Option<Self> {
        match (version.hardware.kind & 0x0F, version.hardware.major) {
            (0x01, 0x01) => Some(Self::Ev1),
            (0x01, 0x12 | 0x22) => Some(Self::Ev2),
            (0x01, 0x33) => Some(Self::Ev3),
            _ => None,
        }
    }

    /// The longest frame that it takes.
    pub const fn frame_size(self) -> FrameSize {
        match self {
            Self::Ev1 => FrameSize::Bytes64,
            Self::Ev2 => FrameSize::Bytes128,
            Self::Ev3 => FrameSize::Bytes256,
        }
    }
}

/// Selects `aid`, which ends whatever session the card was in, and asks the card what it is. Nothing proves the answer,
/// and nothing depends on it but how the card is spoken to.
///
/// # Errors
/// [`CardError`]: no DESFire, or no such application.
pub fn identify<T: Transport>(transport: &mut T, aid: Aid) -> Result<Chip, CardError> {
    let mut card = Card::new(transport, FrameSize::Bytes64);
    card.select_application(aid).map_err(CardError::not_ours)?;
    let version = card.get_version().map_err(CardError::not_ours)?;
    let generation = Generation::of(&version)
        .ok_or(CardError::NotOurs(Error::Refused { command: Command::GetVersion, status: Status::IllegalCommand }))?;
    Ok(Chip { generation, frame_size: generation.frame_size() })
}

/// The session of one generation: how a card is opened, and how a transaction goes on under another key.
pub trait Session: AesMessaging + Sized {
    /// Authenticates.
    ///
    /// # Errors
    /// What the card did wrong, or what the holder could not do.
    fn authenticate<T: Transport, K: KeyHolder>(
        card: Card<T, Idle>,
        number: KeyNumber,
        holder: K,
    ) -> Result<Card<T, Authenticated<Self>>, AuthenticationError<K::Error>>;

    /// Goes on with the transaction under another key.
    ///
    /// # Errors
    /// As [`authenticate`](Session::authenticate). Nothing of the transaction takes effect then.
    fn go_on<T: Transport, K: KeyHolder>(
        card: Card<T, Staged<Self>>,
        number: KeyNumber,
        holder: K,
    ) -> Result<Card<T, Staged<Self>>, AuthenticationError<K::Error>>;

    /// Makes the Transaction MAC file; an EV1 card cannot have one, and nothing is sent.
    ///
    /// # Errors
    /// Any [`Error`].
    fn create_transaction_mac_file<T: Transport>(
        card: &mut Card<T, Authenticated<Self>>,
        file: FileNumber,
        mode: CommunicationMode,
        rights: AccessRights,
        key: NewKey<'_>,
    ) -> Result<(), Error>;

    /// What a commit proves.
    fn proof(transaction_mac: Self::TransactionMac) -> Option<TransactionMac>;
}

impl Session for Ev2 {
    fn authenticate<T: Transport, K: KeyHolder>(
        card: Card<T, Idle>,
        number: KeyNumber,
        holder: K,
    ) -> Result<Card<T, Authenticated<Self>>, AuthenticationError<K::Error>> {
        card.authenticate_ev2_first_by(number, holder)
    }

    fn go_on<T: Transport, K: KeyHolder>(
        card: Card<T, Staged<Self>>,
        number: KeyNumber,
        holder: K,
    ) -> Result<Card<T, Staged<Self>>, AuthenticationError<K::Error>> {
        card.authenticate_ev2_non_first_by(number, holder)
    }

    fn create_transaction_mac_file<T: Transport>(
        card: &mut Card<T, Authenticated<Self>>,
        file: FileNumber,
        mode: CommunicationMode,
        rights: AccessRights,
        key: NewKey<'_>,
    ) -> Result<(), Error> {
        card.create_transaction_mac_file(file, mode, rights, key)
    }

    fn proof(mac: card_crypto::TransactionMac) -> Option<TransactionMac> {
        Some(TransactionMac { counter: mac.counter, value: mac.value })
    }
}

impl Session for Ev1 {
    fn authenticate<T: Transport, K: KeyHolder>(
        card: Card<T, Idle>,
        number: KeyNumber,
        holder: K,
    ) -> Result<Card<T, Authenticated<Self>>, AuthenticationError<K::Error>> {
        card.authenticate_aes_by(number, holder)
    }

    fn go_on<T: Transport, K: KeyHolder>(
        card: Card<T, Staged<Self>>,
        number: KeyNumber,
        holder: K,
    ) -> Result<Card<T, Staged<Self>>, AuthenticationError<K::Error>> {
        card.authenticate_aes_by(number, holder)
    }

    fn create_transaction_mac_file<T: Transport>(
        _card: &mut Card<T, Authenticated<Self>>,
        _file: FileNumber,
        _mode: CommunicationMode,
        _rights: AccessRights,
        _key: NewKey<'_>,
    ) -> Result<(), Error> {
        Ok(())
    }

    fn proof(NoTransactionMac: NoTransactionMac) -> Option<TransactionMac> {
        None
    }
}

/// A card under key 2 whose newest record is read. Nothing is written yet.
#[derive(Debug)]
pub struct Opened<T, S> {
    card: Card<T, Authenticated<S>>,
    uid: [u8; 7],
    validate_version: u8,
    load_version: Option<u8>,
    /// The newest record, as read.
    pub record_bytes: [u8; RECORD_LEN],
    /// The newest record.
    pub record: Record,
    /// The issuer file, where it was asked for: as read, and decoded.
    pub issuer: Option<([u8; ISSUER_LEN], Issuer)>,
}

/// An opened card of either generation.
#[derive(Debug)]
pub enum Opening<T> {
    /// An EV1 card.
    Ev1(Opened<T, Ev1>),
    /// An EV2 or EV3 card.
    Ev2(Opened<T, Ev2>),
}

/// What to read besides the newest record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Also {
    /// Nothing.
    Nothing,
    /// The issuer file.
    Issuer,
}

/// Opens a card of ours under key 2 and reads it.
///
/// # Errors
/// [`CardError`]; the card is unchanged.
pub fn open<'a, T: Transport, K: KeyStore>(
    transport: &'a mut T,
    uid: &[u8; 7],
    also: Also,
    keys: &mut K,
    random: Random<'_>,
) -> Result<Opening<&'a mut T>, CardError> {
    let chip = identify(transport, Aid(APPLICATION_ID))?;
    let mut card = Card::new(transport, chip.frame_size);
    let validate_version = version_on_card(&mut card, keys, KeyRole::Validate, VALIDATE)?;
    let load_version = match keys.versions(KeyRole::Load)[..] {
        [] => None,
        _ => Some(version_on_card(&mut card, keys, KeyRole::Load, LOAD)?),
    };
    let versions = (validate_version, load_version);
    match chip.generation {
        Generation::Ev1 => {
            let mut opened = Opened::<_, Ev1>::new(card, uid, versions, also, keys, random)?;
            // Whoever stands between could make a later card speak as an EV1 one, which has no Transaction MAC.
            let version = opened.card.get_version().map_err(CardError::of_session)?;
            if Generation::of(&version) != Some(Generation::Ev1) {
                return Err(CardError::NotGenuine(card_crypto::Misbehaviour::WrongCapabilities.into()));
            }
            Ok(Opening::Ev1(opened))
        }
        Generation::Ev2 | Generation::Ev3 => {
            Ok(Opening::Ev2(Opened::<_, Ev2>::new(card, uid, versions, also, keys, random)?))
        }
    }
}

/// The version of a key to use with a card: the only live one, or, where two are live, the one that the card says.
pub(crate) fn version_on_card<T: Transport, K: KeyStore>(
    card: &mut Card<T, Idle>,
    keys: &K,
    role: KeyRole,
    number: KeyNumber,
) -> Result<u8, CardError> {
    match keys.versions(role)[..] {
        [] => Err(CardError::Keys(KeyStoreError::Keys(key_store::KeySetError::NoKey(role)))),
        [only] => Ok(only),
        ref live => {
            let version = card.get_key_version(number).map_err(CardError::not_ours)?;
            if live.contains(&version) { Ok(version) } else { Err(CardError::KeyVersion { role, version }) }
        }
    }
}

/// What one transaction writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// What is credited, in minor units; nothing at 0.
    pub credit_minor: u32,
    /// What is debited, in minor units; nothing at 0.
    pub debit_minor: u32,
    /// The issuer file, where it changes.
    pub issuer: Option<[u8; ISSUER_LEN]>,
    /// The record.
    pub record: [u8; RECORD_LEN],
}

impl<T: Transport, S: Session> Opened<T, S> {
    fn new<K: KeyStore>(
        card: Card<T, Idle>,
        uid: &[u8; 7],
        (validate_version, load_version): (u8, Option<u8>),
        also: Also,
        keys: &mut K,
        random: Random<'_>,
    ) -> Result<Self, CardError> {
        let holder = keys.holder(KeyRole::Validate, validate_version, uid, random())?;
        let mut card = S::authenticate(card, VALIDATE, holder).map_err(CardError::of_authentication)?;
        let record_bytes: [u8; RECORD_LEN] = read_records(&mut card, 0, 1).and_then(exactly)?;
        let record = Record::decode(&record_bytes).map_err(CardError::Content)?;
        let issuer = match also {
            Also::Nothing => None,
            Also::Issuer => {
                let data = card.read_data(ISSUER, MODE, 0, ISSUER_LEN_U32).map_err(CardError::of_session)?;
                let bytes: [u8; ISSUER_LEN] = exactly(data)?;
                Some((bytes, Issuer::decode(&bytes).map_err(CardError::Content)?))
            }
        };
        Ok(Self { card, uid: *uid, validate_version, load_version, record_bytes, record, issuer })
    }

    /// The issuer file of a card that was opened with [`Also::Issuer`].
    ///
    /// # Errors
    /// [`CardError::Content`]: it was not read.
    pub fn issuer_file(&self) -> Result<Issuer, CardError> {
        let not_read = CardError::Content(LayoutError::Length { expected: ISSUER_LEN, found: 0 });
        self.issuer.map(|(_, issuer)| issuer).ok_or(not_read)
    }

    /// The records below the newest one, newest first: all that the card keeps. The newest one's number says how many
    /// those are, so that exactly these are asked for, and a card that has fewer is in error rather than without older
    /// evidence. The Transaction MAC of a transaction in the same session would cover them, so nothing is written after
    /// this.
    ///
    /// # Errors
    /// [`CardError`]; [`CardError::Refused`] where the card has fewer records than it must.
    pub fn older_records(&mut self) -> Result<Vec<Record>, CardError> {
        let older = self.record.card_sequence.min(RECORDS_KEPT).saturating_sub(1);
        if older == 0 {
            return Ok(Vec::new());
        }
        let bytes = read_records(&mut self.card, 1, older)?;
        let (records, _) = bytes.as_chunks::<RECORD_LEN>();
        records.iter().rev().map(|record| Record::decode(record).map_err(CardError::Content)).collect()
    }

    /// What the purse holds, by the purse itself.
    ///
    /// # Errors
    /// [`CardError`].
    pub fn purse_minor(&mut self) -> Result<i32, CardError> {
        self.card.get_value(PURSE, MODE).map_err(CardError::of_session)
    }

    /// Does everything of a transaction but its commit; nothing of it counts before that.
    ///
    /// # Errors
    /// [`CardError`]: the card dropped what was staged.
    pub fn stage<K: KeyStore>(
        self,
        changes: &Changes,
        keys: &mut K,
        random: Random<'_>,
    ) -> Result<Card<T, Staged<S>>, CardError> {
        let versions = (self.validate_version, self.load_version);
        stage(self.card.stage(), &self.uid, versions, changes, keys, random)
    }
}

/// Does everything of a transaction but its commit, on a card under key 2; `versions` are those of keys 2 and 3.
pub(crate) fn stage<T: Transport, S: Session, K: KeyStore>(
    mut card: Card<T, Staged<S>>,
    uid: &[u8; 7],
    (validate_version, load_version): (u8, Option<u8>),
    changes: &Changes,
    keys: &mut K,
    random: Random<'_>,
) -> Result<Card<T, Staged<S>>, CardError> {
    let needs_load_key = changes.credit_minor > 0 || changes.issuer.is_some();
    if needs_load_key {
        let version = load_version.ok_or(KeyStoreError::Keys(key_store::KeySetError::NoKey(KeyRole::Load)))?;
        let holder = keys.holder(KeyRole::Load, version, uid, random())?;
        card = S::go_on(card, LOAD, holder).map_err(CardError::of_authentication)?;
    }
    if changes.credit_minor > 0 {
        card = card.credit(PURSE, MODE, changes.credit_minor).map_err(CardError::of_session)?;
    }
    if changes.debit_minor > 0 {
        card = card.debit(PURSE, MODE, changes.debit_minor).map_err(CardError::of_session)?;
    }
    if let Some(issuer) = &changes.issuer {
        card = card.write_data(ISSUER, MODE, 0, issuer).map_err(CardError::of_session)?;
    }
    if needs_load_key {
        let holder = keys.holder(KeyRole::Validate, validate_version, uid, random())?;
        card = S::go_on(card, VALIDATE, holder).map_err(CardError::of_authentication)?;
    }
    card.write_record(RECORD, MODE, 0, &changes.record).map_err(CardError::of_session)
}

/// Commits. `Ok` holds the card's proof, where it has one; an error proves nothing either way.
///
/// # Errors
/// What is wrong with the answer.
pub fn commit<T: Transport, S: Session>(card: Card<T, Staged<S>>) -> Result<Option<TransactionMac>, Error> {
    match card.commit() {
        Commit::Done { transaction_mac, .. } => Ok(S::proof(transaction_mac)),
        Commit::Unknown { why } => Err(why),
    }
}

const ISSUER_LEN_U32: u32 = 64;
const RECORD_LEN_U32: u32 = 60;
const _: () = assert!(ISSUER_LEN == 64 && RECORD_LEN == 60);

fn read_records<T: Transport, S: Session>(
    card: &mut Card<T, Authenticated<S>>,
    first: u32,
    count: u32,
) -> Result<Vec<u8>, CardError> {
    let range = RecordRange { first, count, record_length: RECORD_LEN_U32 };
    card.read_records(RECORD, MODE, range).map_err(CardError::of_session)
}

fn exactly<const N: usize>(data: Vec<u8>) -> Result<[u8; N], CardError> {
    let found = data.len();
    data.try_into().map_err(|_| CardError::Content(LayoutError::Length { expected: N, found }))
}
