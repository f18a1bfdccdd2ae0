//! Our application on a card: what a tap reads from it and writes to it.

use card_crypto::auth::AuthenticationError;
use card_crypto::card::Idle;
use card_crypto::{Aid, Card, Command, Error, FrameSize, KeyNumber, NotAuthenticated, Status, Transport};
use key_store::{KeyRole, KeySetError, KeyStore, KeyStoreError, Keys, KeysHolder};
use transit::card::{APPLICATION_ID, ISSUER_LEN, Issuer, KEY_VALIDATE, LayoutError, RECORD_LEN, Record};

use crate::card::{OpenCard, StagedCard};
use crate::keys::versions;

const VALIDATE: KeyNumber = KeyNumber::new(KEY_VALIDATE).expect("a key number");

/// An authenticated card whose newest record is read. Nothing is written yet.
#[derive(Debug)]
pub struct Purse<T> {
    card: OpenCard<T>,
    /// The card refused the newest version of its key and took the older one.
    pub has_older_key: bool,
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
    /// that it counts: four exchanges, or five; one more for an EV1 chip, two more for a card that has the older of two
    /// live keys.
    ///
    /// # Errors
    /// [`Unusable`]; the card is unchanged.
    pub fn open(
        transport: T,
        frame_size: FrameSize,
        ev1_cards: bool,
        keys: &mut Keys,
        uid: &[u8; 7],
        rnd_a: [u8; 16],
    ) -> Result<Self, Unusable> {
        let mut card = Card::new(transport, frame_size);
        card.select_application(Aid(APPLICATION_ID)).map_err(Unusable::not_ours)?;
        let (mut card, has_older_key) = authenticate(card, ev1_cards, keys, uid, rnd_a)?;
        let record_bytes: [u8; RECORD_LEN] = exactly(card.read_records(0, 1).map_err(Unusable::of_session)?)?;
        let record = Record::decode(&record_bytes).map_err(Unusable::Content)?;
        let issuer = if record.has_pass || record.has_profile {
            let bytes: [u8; ISSUER_LEN] = exactly(card.read_issuer().map_err(Unusable::of_session)?)?;
            Some((bytes, Issuer::decode(&bytes).map_err(Unusable::Content)?))
        } else {
            None
        };
        Ok(Self { card, has_older_key, record_bytes, record, issuer })
    }

    /// Debits `fare_minor` (nothing at 0) and writes `record`; neither counts before the commit.
    ///
    /// # Errors
    /// [`Error`]: the card dropped what was staged.
    pub fn stage(self, fare_minor: u32, record: &[u8; RECORD_LEN]) -> Result<StagedCard<T>, Error> {
        self.card.stage(fare_minor, record)
    }
}

/// Opens the session that the chip speaks: an EV1 chip does not know AuthenticateEV2First. Anybody between reader and card
/// can say so of a newer chip, whose tap then lacks its proof: so it is believed only where EV1 cards are in use. Whether the card has the older
/// of two live keys comes with it.
fn authenticate<T: Transport>(
    card: Card<T, Idle>,
    ev1_cards: bool,
    keys: &mut Keys,
    uid: &[u8; 7],
    rnd_a: [u8; 16],
) -> Result<(OpenCard<T>, bool), Unusable> {
    let refused = match with_live_key(card, keys, uid, rnd_a, |card, holder| {
        card.try_authenticate_ev2_first_by(VALIDATE, holder)
    }) {
        Ok((card, is_older)) => return Ok((OpenCard::Ev2(card), is_older)),
        Err(refused) => refused,
    };
    let knows_no_ev2 =
        matches!(refused.why, Unusable::NotGenuine(Error::Refused { status: Status::IllegalCommand, .. }));
    if !(ev1_cards && knows_no_ev2) {
        return Err(refused.why);
    }
    let card = Card::new(refused.card.into_transport(), FrameSize::Bytes64);
    match with_live_key(card, keys, uid, rnd_a, |card, holder| card.try_authenticate_aes_by(VALIDATE, holder)) {
        Ok((card, is_older)) => Ok((OpenCard::Ev1(card), is_older)),
        Err(refused) => Err(refused.why),
    }
}

/// A card that no live key opened.
struct NotOpened<T> {
    card: Card<T, Idle>,
    why: Unusable,
}

/// Tries the live versions of the validate key, newest first: a card that has not been rolled yet holds the older, and
/// that is told.
fn with_live_key<T: Transport, Opened>(
    mut card: Card<T, Idle>,
    keys: &mut Keys,
    uid: &[u8; 7],
    rnd_a: [u8; 16],
    authenticate: impl Fn(Card<T, Idle>, KeysHolder<'_>) -> Result<Opened, NotAuthenticated<T, KeyStoreError>>,
) -> Result<(Opened, bool), NotOpened<T>> {
    let mut why = Unusable::Keys(KeySetError::NoKey(KeyRole::Validate).into());
    for (place, version) in versions(keys).into_iter().enumerate() {
        let holder = match keys.holder(KeyRole::Validate, version, uid, rnd_a) {
            Ok(holder) => holder,
            Err(error) => return Err(NotOpened { card, why: Unusable::Keys(error) }),
        };
        let failed = match authenticate(card, holder) {
            Ok(opened) => return Ok((opened, place > 0)),
            Err(failed) => failed,
        };
        card = failed.card;
        match failed.error {
            AuthenticationError::Holder(error) => return Err(NotOpened { card, why: Unusable::Keys(error) }),
            AuthenticationError::Card(error) => {
                why = Unusable::of_authentication(error);
                if !matches!(error, Error::Refused { status: Status::Authentication, .. }) {
                    break;
                }
            }
        }
    }
    Err(NotOpened { card, why })
}

/// Reads up to two records older than the `newest` ones, newest first, from a card that has just committed.
///
/// # Errors
/// [`Unusable`], such as a card that left: they are evidence, and no tap depends on them.
pub fn read_older_records<T: Transport>(
    card: &mut OpenCard<T>,
    skip: u32,
    count: u8,
) -> Result<Vec<[u8; RECORD_LEN]>, Unusable> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let count = u32::from(count);
    let bytes = card.read_records(skip, count).map_err(Unusable::of_session)?;
    let (records, _) = bytes.as_chunks();
    // The card answers oldest first.
    Ok(records.iter().rev().copied().collect())
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
            Error::Refused {
                command: Command::AuthenticateEv2First | Command::AuthenticateAes,
                status: Status::NoSuchKey,
            } => Self::NotOurs(error),
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
