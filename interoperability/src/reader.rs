//! What the clients that are Rust crates need of PC/SC.
//!
//! They run in a process of their own: the PC/SC library finds its service by the environment, once.

use std::{ffi::CString, time::Duration};

use pcsc::{Card, Context, Protocols, ReaderState, Scope, ShareMode, State};

/// How long a card may take to be seen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A card on a reader.
pub struct CardOnReader(Card);

impl CardOnReader {
    /// Connects to the card.
    ///
    /// # Errors
    /// No service, no such reader, or no card.
    pub fn connect(reader: &str) -> Result<Self, pcsc::Error> {
        let reader = CString::new(reader).map_err(|_| pcsc::Error::UnknownReader)?;
        Ok(Self(Context::establish(Scope::User)?.connect(&reader, ShareMode::Exclusive, Protocols::ANY)?))
    }

    /// The card's answer to a command: data, SW1 and SW2.
    ///
    /// # Errors
    /// The card or the service is gone.
    pub fn transmit(&self, command: &[u8]) -> Result<(Vec<u8>, u8, u8), pcsc::Error> {
        let mut buffer = [0; pcsc::MAX_BUFFER_SIZE];
        match self.0.transmit(command, &mut buffer)? {
            [data @ .., sw1, sw2] => Ok((data.to_vec(), *sw1, *sw2)),
            // vpcd answers with nothing where the card is gone.
            _ => Err(pcsc::Error::RemovedCard),
        }
    }
}

impl std::fmt::Debug for CardOnReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("CardOnReader").finish_non_exhaustive()
    }
}

/// Waits until the service sees that a card lies on the reader, or that none does.
///
/// # Errors
/// It does not within ten seconds, or there is no such reader.
pub fn wait_for_card(reader: &str, is_present: bool) -> Result<(), pcsc::Error> {
    let reader = CString::new(reader).map_err(|_| pcsc::Error::UnknownReader)?;
    let context = Context::establish(Scope::User)?;
    let wanted = if is_present { State::PRESENT } else { State::EMPTY };
    let mut states = [ReaderState::new(reader, State::UNAWARE)];
    loop {
        context.get_status_change(PATIENCE, &mut states)?;
        if states[0].event_state().contains(wanted) {
            return Ok(());
        }
        states[0].sync_current_state();
    }
}
