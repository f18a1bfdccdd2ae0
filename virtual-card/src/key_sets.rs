//! Key sets in reserve: InitializeKeySet, FinalizeKeySet, RollKeySet (EV2).
//!
//! The data sheets are not public. Formats are proxmark3's; what the card keeps of the sets is this model's: set 0 is the
//! active one, rolling moves another there, and its place in reserve is empty then.

use crate::{
    application::{KeySet, KeySets},
    file::CommunicationMode,
    instruction,
    key::KeyType,
    picc::{Outcome, Picc, Reply},
    session::Protection,
    status::Status,
};

const MACED: Protection = Protection::File(CommunicationMode::Mac);

impl KeySets {
    /// The version of the active set, the number of sets, the length of the longest key, the key that may roll.
    pub(crate) fn new([active_version, count, key_length_max, roll_key]: [u8; 4]) -> Result<Self, Status> {
        if !(2..=16).contains(&count) || !matches!(key_length_max, 16 | 24) {
            return Err(Status::Parameter);
        }
        Ok(Self { active_version, count, key_length_max, roll_key, reserve: vec![] })
    }
}

impl Picc {
    /// `56 KeySetNo KeyType`: a set with the default key in every place. Under the master key.
    pub(crate) fn initialize_key_set(&mut self, data: &[u8]) -> Outcome {
        let [number, key_type] = self.open_key_set_command(instruction::INITIALIZE_KEY_SET, data, 0)?;
        let key_type = match key_type {
            0 => KeyType::TwoKeyTripleDes,
            1 => KeyType::ThreeKeyTripleDes,
            2 => KeyType::Aes,
            _ => return Err(Status::Parameter),
        };
        let default_key = self.memory.default_key(key_type);
        let application = self.application_mut()?;
        let keys = vec![default_key; application.keys.len()];
        let sets = application.key_sets.as_mut().ok_or(Status::PermissionDenied)?;
        if number == 0 || number >= sets.count || key_type.length() > usize::from(sets.key_length_max) {
            return Err(Status::Parameter);
        }
        sets.reserve.retain(|set| set.number != number);
        sets.reserve.push(KeySet { number, key_type, version: None, keys });
        self.done_with_key_sets()
    }

    /// `57 KeySetNo Version`: the set is complete. Under the master key.
    pub(crate) fn finalize_key_set(&mut self, data: &[u8]) -> Outcome {
        let [number, version] = self.open_key_set_command(instruction::FINALIZE_KEY_SET, data, 0)?;
        let set = self.application_mut()?.key_set_mut(number).ok_or(Status::Parameter)?;
        set.version = Some(version);
        self.done_with_key_sets()
    }

    /// `55 KeySetNo`: the set, of a higher version than the active one, takes its place; the session is over. Under the
    /// roll key.
    pub(crate) fn roll_key_set(&mut self, data: &[u8]) -> Outcome {
        let sets = self.application()?.key_sets.as_ref().ok_or(Status::PermissionDenied)?;
        let (roll_key, active_version) = (sets.roll_key, sets.active_version);
        let [number] = self.open_key_set_command(instruction::ROLL_KEY_SET, data, roll_key)?;
        let application = self.application_mut()?;
        let set = application.key_set(number).cloned().ok_or(Status::Parameter)?;
        let version = set.version.filter(|&version| version > active_version).ok_or(Status::Parameter)?;
        if let Some(sets) = &mut application.key_sets {
            sets.active_version = version;
            sets.reserve.retain(|other| other.number != number);
        }
        application.key_type = set.key_type;
        application.keys = set.keys;
        let answer = self.done_with_key_sets();
        self.end_session();
        answer
    }

    /// A MAC on the command in EV1 sessions too: proxmark3.
    fn open_key_set_command<const N: usize>(
        &mut self,
        instruction: u8,
        data: &[u8],
        key: u8,
    ) -> Result<[u8; N], Status> {
        self.application()?.key_sets.as_ref().ok_or(Status::PermissionDenied)?;
        if self.authenticated_key() != Some(key) {
            return Err(Status::Authentication);
        }
        let parameters = self.open_data(MACED, instruction, &[], data, Some(N))?;
        parameters.try_into().map_err(|_| Status::Length)
    }

    fn done_with_key_sets(&mut self) -> Outcome {
        let reply: Reply = self.seal(MACED, &[]);
        Ok(reply)
    }
}
