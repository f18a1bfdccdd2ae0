//! The spare key set of an EV2 or EV3 card: the next version of every key is laid there at a desk, and a validator rolls
//! it into force at a tap. An EV1 card has one key set: its keys are changed when it is exchanged.

use card_crypto::{Aid, Card, Key, KeyNumber, KeySetNumber, NewKey, Transport};
use key_store::{KeyRole, KeyStore};
use transit::card::APPLICATION_ID;
use transit::id::CardToken;

use crate::desk::Desk;
use crate::lint::KEYS_OF_APPLICATION;
use crate::refusal::{DeskError, Refusal};
use crate::report::Report;
use crate::session::{CardError, Generation, Random, identify, version_on_card};

/// The set that waits.
const SPARE: KeySetNumber = KeySetNumber::new(1).expect("a key set number");
/// The keys of a set that has just been initialised.
static ZERO_KEY: Key = Key::new([0; 16]);

impl<K: KeyStore> Desk<K> {
    /// Lays the newest version of every key in the card's spare key set, where the card's own are older. Torn anywhere,
    /// the set is not finalised and nobody can roll to it; laid down again, it is begun anew.
    ///
    /// # Errors
    /// [`DeskError`]; the keys in force are unchanged in every case.
    pub fn load_key_set<T: Transport>(
        &mut self,
        transport: &mut T,
        uid: &[u8],
        random: Random<'_>,
    ) -> Result<Report, DeskError> {
        let (uid, card) = self.token(uid)?;
        let chip = identify(transport, Aid(APPLICATION_ID))?;
        if chip.generation == Generation::Ev1 {
            return Err(Refusal::OneKeySet.into());
        }
        Ok(self.lay_keys(Card::new(transport, chip.frame_size), &uid, card, random)?)
    }

    fn lay_keys<T: Transport>(
        &mut self,
        mut card: Card<T, card_crypto::Idle>,
        uid: &[u8; 7],
        token: CardToken,
        random: Random<'_>,
    ) -> Result<Report, CardError> {
        let of_session = CardError::of_session;
        let master = version_on_card(&mut card, &self.keys, KeyRole::ApplicationMaster, KeyNumber::MASTER)?;
        let holder = self.keys.holder(KeyRole::ApplicationMaster, master, uid, random())?;
        let mut card =
            card.authenticate_ev2_first_by(KeyNumber::MASTER, holder).map_err(CardError::of_authentication)?;

        let mut wanted = Vec::new();
        let mut is_newer = false;
        for (role, number) in KEYS_OF_APPLICATION {
            let on_card = card.get_key_version(number).map_err(of_session)?;
            let newest = self.keys.versions(role).first().copied().unwrap_or(on_card);
            is_newer |= newest > on_card;
            wanted.push((role, number, newest));
        }
        let set_version = wanted.iter().map(|(_, _, version)| *version).max().unwrap_or(master);
        if is_newer {
            card.initialize_key_set(SPARE).map_err(of_session)?;
            for (role, number, version) in wanted {
                let key = self.keys.card_key(role, version, uid)?;
                card.change_key_ev2(SPARE, number, &ZERO_KEY, NewKey { key: &key, version }).map_err(of_session)?;
            }
            card.finalize_key_set(SPARE, set_version).map_err(of_session)?;
        }
        Ok(Report::KeySetLoaded { card: token, set_version, is_newer })
    }
}
