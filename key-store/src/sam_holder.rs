//! The SAM's part in the handshakes of cards.

use std::fmt;

use card_crypto::auth::{AuthenticationError, KeyHolder, Opened};
use card_crypto::channel::SessionKeys;
use card_crypto::{Error, Key, Misbehaviour, Transport};
use zeroize::Zeroizing;

use crate::role::DIVERSIFICATION_INPUT_BYTES;
use crate::sam::{SamError, key_at};
use crate::sam_command::{CRYPTO_FAILURE, DUMP_SESSION_KEY, Failure, Handshake, SamCommand};
use crate::store::KeyStoreError;

/// The SAM's part in one handshake.
pub struct SamHolder<'a, T> {
    transport: &'a mut T,
    /// Entry and version.
    name: (u8, u8),
    input: [u8; DIVERSIFICATION_INPUT_BYTES],
}

impl<'a, T> SamHolder<'a, T> {
    pub(crate) fn new(transport: &'a mut T, name: (u8, u8), input: [u8; DIVERSIFICATION_INPUT_BYTES]) -> Self {
        Self { transport, name, input }
    }
}

impl<T> fmt::Debug for SamHolder<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamHolder").field("entry_and_version", &self.name).finish_non_exhaustive()
    }
}

/// What a handshake that succeeded leaves.
struct Taken {
    /// PDcap2 ‖ PCDcap2 after EV2First, else nothing.
    capabilities: Zeroizing<Vec<u8>>,
    /// What SAM_DumpSessionKey gave.
    dump: Zeroizing<Vec<u8>>,
}

type HandshakeError = AuthenticationError<KeyStoreError>;

impl<T: Transport> SamHolder<'_, T> {
    /// The whole handshake: the SAM's cryptogram to the card, the card's last message to the SAM, the session's keys
    /// out of it.
    fn take_part<const MESSAGE: usize>(
        self,
        kind: Handshake,
        challenge: &[u8; 16],
        card: impl FnOnce(&[u8; 32]) -> Result<[u8; MESSAGE], Error>,
    ) -> Result<Taken, HandshakeError> {
        let first = SamCommand::authenticate_picc(kind, self.name, challenge, &self.input);
        let cryptogram = first.exchange_anew(self.transport).map_err(of_sam)?;
        let found = cryptogram.len();
        let cryptogram =
            cryptogram.first_chunk().ok_or(SamError::Length { command: "SAM_AuthenticatePICC", expected: 32, found });
        let message = match card(cryptogram.map_err(|error| AuthenticationError::Holder(error.into()))?) {
            Ok(message) => message,
            Err(error) => {
                // The SAM waits for the second part and would take the next command for it. Whether it hears of the
                // end or is gone itself, the card's error is what counts.
                let _ = SamCommand::authenticate_picc_failed(card_status(error)).exchange(self.transport);
                return Err(error.into());
            }
        };
        let second = SamCommand::authenticate_picc_second(kind, &message);
        let capabilities = match second.exchange(self.transport) {
            Ok(capabilities) => capabilities,
            Err(Failure::Refused { status: CRYPTO_FAILURE, .. }) => {
                return Err(Error::from(Misbehaviour::WrongChallenge).into());
            }
            Err(failure) => return Err(of_sam(failure)),
        };
        let dump = SamCommand::dump_session_key(kind).exchange(self.transport).map_err(of_sam)?;
        Ok(Taken { capabilities, dump })
    }
}

fn of_sam(failure: Failure) -> HandshakeError {
    AuthenticationError::Holder(SamError::from(failure).into())
}

/// The status byte to report to the SAM: AE, "authentication error", where the card gave none.
fn card_status(error: Error) -> u8 {
    const AUTHENTICATION_ERROR: u8 = 0xAE;
    match error {
        Error::Refused { status, .. } => status.code(),
        Error::Lost(_) | Error::Misbehaved(_) | Error::Misused(_) => AUTHENTICATION_ERROR,
    }
}

/// What SAM_DumpSessionKey gives after an EV2 handshake: SesAuthENC (16) ‖ SesAuthMAC (16) ‖ TI (4) ‖ CmdCtr (2).
///
/// Sources: NXP's middleware for the secure element SE05x (`loadSessionKey` of its DESFire EV2 layer, whose dump has
/// these 38 bytes), and the same order in the dump of SAM AV2 after a MIFARE Plus handshake (dumacp/smartcard, `samMFP`).
/// Untried with a SAM AV3: a wrong order would show as a wrong MAC in the first answer of every card.
fn session_keys(dump: &[u8]) -> Result<SessionKeys, HandshakeError> {
    let key = |at| key_at(DUMP_SESSION_KEY, dump, at).map_err(|error| AuthenticationError::Holder(error.into()));
    Ok(SessionKeys { encryption: key(0)?, authentication: key(16)? })
}

impl<T: Transport> KeyHolder for SamHolder<'_, T> {
    type Error = KeyStoreError;

    fn authenticate_aes(
        self,
        challenge: &[u8; 16],
        card: impl FnOnce(&[u8; 32]) -> Result<[u8; 16], Error>,
    ) -> Result<Key, HandshakeError> {
        let Taken { dump, .. } = self.take_part(Handshake::Aes, challenge, card)?;
        key_at(DUMP_SESSION_KEY, &dump, 0).map_err(|error| AuthenticationError::Holder(error.into()))
    }

    fn authenticate_ev2_first(
        self,
        challenge: &[u8; 16],
        card: impl FnOnce(&[u8; 32]) -> Result<[u8; 32], Error>,
    ) -> Result<Opened, HandshakeError> {
        let Taken { capabilities, dump } = self.take_part(Handshake::Ev2First, challenge, card)?;
        let (Some(&card_capabilities), Some(echo)) = (capabilities.first_chunk::<6>(), capabilities.last_chunk::<6>())
        else {
            return Err(Error::from(Misbehaviour::WrongCapabilities).into());
        };
        // No reader capabilities were sent.
        if *echo != [0; 6] {
            return Err(Error::from(Misbehaviour::WrongCapabilities).into());
        }
        let keys = session_keys(&dump)?;
        let transaction_identifier = dump.get(32..36).and_then(|identifier| identifier.try_into().ok());
        let found = dump.len();
        let transaction_identifier = transaction_identifier
            .ok_or_else(|| of_sam(Failure::Length { command: DUMP_SESSION_KEY, expected: 38, found }))?;
        Ok(Opened { keys, transaction_identifier, card_capabilities })
    }

    fn authenticate_ev2_non_first(
        self,
        challenge: &[u8; 16],
        card: impl FnOnce(&[u8; 32]) -> Result<[u8; 16], Error>,
    ) -> Result<SessionKeys, HandshakeError> {
        let Taken { dump, .. } = self.take_part(Handshake::Ev2NonFirst, challenge, card)?;
        session_keys(&dump)
    }
}
