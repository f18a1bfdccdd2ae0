//! Our application on a card: what a tap reads from it and writes to it.

use card_crypto::auth::AuthenticationError;
use card_crypto::{
    Aid, Card, CommunicationMode, Error, FileNumber, FrameSize, KeyNumber, Transport,
    card::{Authenticated, Idle},
};
use card_crypto::{Command, Commit, NotAuthenticated, RecordRange, Status};
use key_store::{KeyRole, KeySetError, KeyStore, KeyStoreError, Keys};
use transit::card::{
    APPLICATION_ID, FILE_ISSUER, FILE_PURSE, FILE_RECORD, ISSUER_LEN, Issuer, KEY_VALIDATE, LayoutError, RECORD_LEN,
    Record,
};

use crate::keys::versions;

const ISSUER: FileNumber = FileNumber::new(FILE_ISSUER).expect("a file number");
const PURSE: FileNumber = FileNumber::new(FILE_PURSE).expect("a file number");
const RECORD: FileNumber = FileNumber::new(FILE_RECORD).expect("a file number");
const VALIDATE: KeyNumber = KeyNumber::new(KEY_VALIDATE).expect("a key number");
const MODE: CommunicationMode = CommunicationMode::Mac;

/// How many records the cyclic file keeps.
pub const RECORDS_KEPT: u32 = 11;

/// An authenticated card whose newest record is read. Nothing is written yet.
#[derive(Debug)]
pub struct Purse<T> {
    card: Card<T, Authenticated>,
    /// The newest record, as read.
    pub record_bytes: [u8; RECORD_LEN],
    /// The newest record.
    pub record: Record,
    /// The issuer file, where the record says that a pass or a profile counts: as read, and decoded.
    pub issuer: Option<([u8; ISSUER_LEN], Issuer)>,
}

/// Why a card cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The card has no application of ours, or is no DESFire.
    #[error("not a card of this system")]
    NotOurs(#[source] Error),
    /// The card does not know its key, or answers what no genuine card answers.
    #[error("not a genuine card")]
    NotGenuine(#[source] Error),
    /// No answer came.
    #[error("the card was lost")]
    Lost(#[source] Error),
    /// Ours and genuine, but it refused.
    #[error("the card refused")]
    Refused(#[source] Error),
    /// Ours and genuine, but its content is not of a layout that we know.
    #[error("the card's content cannot be used")]
    Content(#[source] LayoutError),
    /// The card is not to blame: the SAM that holds the keys failed.
    #[error("the keys cannot be used")]
    Keys(#[source] KeyStoreError),
}

impl<T: Transport> Purse<T> {
    /// Selects our application, authenticates, and reads the newest record, and the issuer file where the record says
    /// that it counts: four exchanges, or five; two more for a card that has the older of two live keys.
    ///
    /// # Errors
    /// [`Unusable`]; the card is unchanged.
    pub fn open(
        transport: T,
        frame_size: FrameSize,
        keys: &mut Keys,
        uid: &[u8; 7],
        rnd_a: [u8; 16],
    ) -> Result<Self, Unusable> {
        let mut card = Card::new(transport, frame_size);
        card.select_application(Aid(APPLICATION_ID)).map_err(Unusable::not_ours)?;
        let mut card = authenticate(card, keys, uid, rnd_a)?;
        let record_bytes: [u8; RECORD_LEN] = read_records(&mut card, 0, 1)?;
        let record = Record::decode(&record_bytes).map_err(Unusable::Content)?;
        let issuer = if record.has_pass || record.has_profile {
            let data = card.read_data(ISSUER, MODE, 0, ISSUER_LEN_U32).map_err(Unusable::of_session)?;
            let bytes: [u8; ISSUER_LEN] = exactly(data)?;
            Some((bytes, Issuer::decode(&bytes).map_err(Unusable::Content)?))
        } else {
            None
        };
        Ok(Self { card, record_bytes, record, issuer })
    }

    /// Debits `fare_minor` (nothing at 0) and writes `record`; neither counts before the commit.
    ///
    /// # Errors
    /// [`Error`]: the card dropped what was staged.
    pub fn stage(self, fare_minor: u32, record: &[u8; RECORD_LEN]) -> Result<StagedPurse<T>, Error> {
        let mut staged = self.card.stage();
        if fare_minor > 0 {
            staged = staged.debit(PURSE, MODE, fare_minor)?;
        }
        staged.write_record(RECORD, MODE, 0, record).map(StagedPurse)
    }
}

/// Tries the live versions of the validate key, newest first: a card that has not been rolled yet holds the older.
fn authenticate<T: Transport>(
    mut card: Card<T, Idle>,
    keys: &mut Keys,
    uid: &[u8; 7],
    rnd_a: [u8; 16],
) -> Result<Card<T, Authenticated>, Unusable> {
    let mut refused = Unusable::Keys(KeySetError::NoKey(KeyRole::Validate).into());
    for version in versions(keys) {
        let holder = keys.holder(KeyRole::Validate, version, uid, rnd_a).map_err(Unusable::Keys)?;
        let failed = match card.try_authenticate_ev2_first_by(VALIDATE, holder) {
            Ok(card) => return Ok(card),
            Err(NotAuthenticated { card: again, error }) => {
                card = again;
                error
            }
        };
        match failed {
            AuthenticationError::Holder(error) => return Err(Unusable::Keys(error)),
            AuthenticationError::Card(error) => {
                refused = Unusable::of_authentication(error);
                if !matches!(error, Error::Refused { status: Status::Authentication, .. }) {
                    break;
                }
            }
        }
    }
    Err(refused)
}

/// A card with a debit and a record staged.
#[derive(Debug)]
pub struct StagedPurse<T>(Card<T, card_crypto::card::Staged>);

impl<T: Transport> StagedPurse<T> {
    /// Commits: from here the card may be charged, and only a verified answer says that it was.
    pub fn commit(self) -> Commit<T> {
        self.0.commit()
    }

    /// Gives up what is staged. The commit was not sent, so the card is unchanged whatever it answers.
    pub fn give_up(self) {
        let _ = self.0.abort();
    }
}

/// Reads up to two records older than the `newest` ones, newest first, from a card that has just committed.
///
/// # Errors
/// [`Unusable`], such as a card that left: they are evidence, and no tap depends on them.
pub fn read_older_records<T: Transport>(
    card: &mut Card<T, Authenticated>,
    skip: u32,
    count: u8,
) -> Result<Vec<[u8; RECORD_LEN]>, Unusable> {
    let mut records = match count {
        0 => Vec::new(),
        1 => vec![read_records::<T, RECORD_LEN>(card, skip, 1)?],
        _ => {
            let both: [u8; 2 * RECORD_LEN] = read_records(card, skip, 2)?;
            both.as_chunks().0.to_vec()
        }
    };
    // The card answers oldest first.
    records.reverse();
    Ok(records)
}

const ISSUER_LEN_U32: u32 = 64;
const RECORD_LEN_U32: u32 = 60;
const _: () = assert!(ISSUER_LEN == 64 && RECORD_LEN == 60);

fn read_records<T: Transport, const N: usize>(
    card: &mut Card<T, Authenticated>,
    first: u32,
    count: u32,
) -> Result<[u8; N], Unusable> {
    let range = RecordRange { first, count, record_length: RECORD_LEN_U32 };
    card.read_records(RECORD, MODE, range).map_err(Unusable::of_session).and_then(exactly)
}

fn exactly<const N: usize>(data: Vec<u8>) -> Result<[u8; N], Unusable> {
    let found = data.len();
    data.try_into().map_err(|_| Unusable::Content(LayoutError::Length { expected: N, found }))
}

impl Unusable {
    fn not_ours(error: Error) -> Self {
        match error {
            Error::Lost(_) => Self::Lost(error),
            Error::Refused { .. } | Error::Misbehaved(_) | Error::Misused(_) => Self::NotOurs(error),
        }
    }

    fn of_authentication(error: Error) -> Self {
        match error {
            Error::Lost(_) => Self::Lost(error),
            Error::Refused { command: Command::AuthenticateEv2First, status: Status::NoSuchKey } => {
                Self::NotOurs(error)
            }
            Error::Refused { .. } | Error::Misbehaved(_) | Error::Misused(_) => Self::NotGenuine(error),
        }
    }

    fn of_session(error: Error) -> Self {
        match error {
            Error::Lost(_) => Self::Lost(error),
            Error::Misbehaved(_) => Self::NotGenuine(error),
            Error::Refused { .. } | Error::Misused(_) => Self::Refused(error),
        }
    }
}
