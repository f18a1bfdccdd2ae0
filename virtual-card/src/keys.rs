//! Keys and their settings: GetKeySettings, ChangeKeySettings, GetKeyVersion, ChangeKey, ChangeKeyEV2.

use crate::{
    applications::key_settings,
    instruction,
    key::{CardKey, KeyType},
    picc::{Outcome, Picc, Reply},
    session::Protection,
    status::Status,
};

/// The number of the proximity check's key.
pub(crate) const PROXIMITY_KEY: u8 = 0x21;

/// Which key a command names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// The card's own, which may change its type.
    Master(KeyType),
    /// One of the selected application, in its active set.
    Active(u8),
    /// One in reserve.
    Reserve {
        set: u8,
        number: u8,
    },
    Proximity,
}

impl Picc {
    /// `45`: KS1, then the number of keys and their type; EV2 appends what it knows of key sets. libfreefare; proxmark3.
    pub(crate) fn get_key_settings(&mut self, data: &[u8]) -> Outcome {
        self.open_empty(instruction::GET_KEY_SETTINGS, data)?;
        self.master_key_or(key_settings::LIST_FREE)?;
        let answer = match self.application() {
            Ok(application) => {
                let count = application.keys.len().to_le_bytes()[0];
                let mut answer = vec![application.key_settings, application.key_type.bits() | count];
                if let Some(sets) = &application.key_sets {
                    answer.extend([sets.active_version, sets.count, sets.key_length_max, sets.roll_key]);
                }
                answer
            }
            Err(_) => vec![self.memory.key_settings, self.memory.master_key.key_type().bits() | 1],
        };
        Ok(self.seal(Protection::Command, &answer))
    }

    /// `54 KS1`, enciphered, under the master key, until KS1 forbids it. libfreefare.
    pub(crate) fn change_key_settings(&mut self, data: &[u8]) -> Outcome {
        if self.authenticated_key() != Some(0) {
            return Err(Status::Authentication);
        }
        if self.key_settings() & key_settings::CHANGEABLE == 0 {
            return Err(Status::PermissionDenied);
        }
        let opened = self.open_data(Protection::Enciphered, instruction::CHANGE_KEY_SETTINGS, &[], data, Some(1))?;
        let [settings] = opened[..] else { return Err(Status::Length) };
        match self.application_mut() {
            Ok(application) => application.key_settings = settings,
            // At card level the high nibble has no meaning.
            Err(_) => self.memory.key_settings = settings & 0x0F,
        }
        self.done()
    }

    /// `64 KeyNo [KeySetNo]`: bit 6 of the key number announces a set; set 80 asks for the versions of all. libfreefare;
    /// proxmark3.
    pub(crate) fn get_key_version(&mut self, data: &[u8]) -> Outcome {
        const SET_FOLLOWS: u8 = 0x40;
        const VERSIONS_OF_SETS: u8 = 0x80;
        let parameters = self.open_command(instruction::GET_KEY_VERSION, data)?;
        let versions = match parameters[..] {
            [number] => {
                let slot = self.slot(number, 0)?;
                vec![self.key_in(slot).ok_or(Status::NoSuchKey)?.version()]
            }
            [number, VERSIONS_OF_SETS] if number & SET_FOLLOWS != 0 => {
                let application = self.application()?;
                let sets = application.key_sets.as_ref().ok_or(Status::Parameter)?;
                let reserve =
                    (1..sets.count).map(|set| application.key_set(set).and_then(|set| set.version).unwrap_or_default());
                [sets.active_version].into_iter().chain(reserve).collect()
            }
            [number, set] if number & SET_FOLLOWS != 0 => {
                let slot = self.slot(number & !SET_FOLLOWS, set)?;
                vec![self.key_in(slot).ok_or(Status::NoSuchKey)?.version()]
            }
            [_, _] => return Err(Status::Parameter),
            _ => return Err(Status::Length),
        };
        Ok(self.seal(Protection::Command, &versions))
    }

    /// `C4 KeyNo cryptogram`: AN0945 tables 32 and 33; AN12196 tables 25 and 26.
    pub(crate) fn change_key(&mut self, data: &[u8]) -> Outcome {
        let (&number, cryptogram) = data.split_first().ok_or(Status::Length)?;
        let slot = self.slot(number, 0)?;
        self.change_key_in(slot, instruction::CHANGE_KEY, &[number], cryptogram)
    }

    /// `C6 KeySetNo KeyNo cryptogram`: as ChangeKey, in any key set. proxmark3.
    pub(crate) fn change_key_ev2(&mut self, data: &[u8]) -> Outcome {
        let (&[set, number], cryptogram) = data.split_first_chunk::<2>().ok_or(Status::Length)?;
        let slot = self.slot(number, set)?;
        self.change_key_in(slot, instruction::CHANGE_KEY_EV2, &[set, number], cryptogram)
    }

    fn change_key_in(&mut self, slot: Slot, instruction: u8, header: &[u8], cryptogram: &[u8]) -> Outcome {
        self.may_change(slot)?;
        let old = self.key_in(slot).cloned().ok_or(Status::NoSuchKey)?;
        let is_own = match slot {
            Slot::Master(_) => true,
            Slot::Active(number) => self.authenticated_key() == Some(number),
            Slot::Reserve { .. } | Slot::Proximity => false,
        };
        let key_type = match slot {
            Slot::Master(key_type) => key_type,
            Slot::Active(_) | Slot::Reserve { .. } | Slot::Proximity => old.key_type(),
        };
        let session = self.session.as_mut().ok_or(Status::Authentication)?;
        let other = (!is_own).then_some(&old);
        let key = session.open_key(instruction, header, cryptogram, key_type, other)?;
        *self.key_in_mut(slot).ok_or(Status::NoSuchKey)? = key;
        if is_own {
            // There is no key left that could protect the answer.
            self.session = None;
            return Ok(Reply::Whole(vec![]));
        }
        self.done()
    }

    /// The master key changes under itself while KS1 allows it, others under the key that KS1 names: a number, E for
    /// each its own, F for none.
    fn may_change(&self, slot: Slot) -> Result<(), Status> {
        const OWN_KEY: u8 = 0xE;
        const FROZEN: u8 = 0xF;
        let authenticated = self.authenticated_key().ok_or(Status::Authentication)?;
        let settings = self.key_settings();
        let needed = match (slot, settings >> 4) {
            (Slot::Master(_) | Slot::Active(0), _) => {
                if settings & key_settings::MASTER_KEY_CHANGEABLE == 0 {
                    return Err(Status::PermissionDenied);
                }
                0
            }
            (Slot::Proximity, _) => 0,
            (Slot::Active(_) | Slot::Reserve { .. }, FROZEN) => return Err(Status::PermissionDenied),
            (Slot::Active(number) | Slot::Reserve { number, .. }, OWN_KEY) => number,
            (Slot::Active(_) | Slot::Reserve { .. }, number) => number,
        };
        if authenticated == needed { Ok(()) } else { Err(Status::Authentication) }
    }

    fn slot(&self, number: u8, set: u8) -> Result<Slot, Status> {
        let Ok(application) = self.application() else {
            return match number {
                _ if set != 0 => Err(Status::Parameter),
                PROXIMITY_KEY => Ok(Slot::Proximity),
                // The two uppermost bits say what type the card's own key is to have.
                _ if number & 0x3F == 0 => KeyType::from_bits(number).map(Slot::Master).ok_or(Status::NoSuchKey),
                _ => Err(Status::NoSuchKey),
            };
        };
        if number == PROXIMITY_KEY && set == 0 && application.proximity_key.is_some() {
            return Ok(Slot::Proximity);
        }
        if usize::from(number) >= application.keys.len() {
            return Err(Status::NoSuchKey);
        }
        match set {
            0 => Ok(Slot::Active(number)),
            set if application.key_set(set).is_some() => Ok(Slot::Reserve { set, number }),
            _ => Err(Status::Parameter),
        }
    }

    fn key_in(&self, slot: Slot) -> Option<&CardKey> {
        let application = self.application();
        match slot {
            Slot::Master(_) => Some(&self.memory.master_key),
            Slot::Active(number) => application.ok()?.keys.get(usize::from(number)),
            Slot::Reserve { set, number } => application.ok()?.key_set(set)?.keys.get(usize::from(number)),
            Slot::Proximity => match application {
                Ok(application) => application.proximity_key.as_ref(),
                Err(_) => Some(&self.memory.proximity_key),
            },
        }
    }

    fn key_in_mut(&mut self, slot: Slot) -> Option<&mut CardKey> {
        match slot {
            Slot::Master(_) => Some(&mut self.memory.master_key),
            Slot::Active(number) => self.application_mut().ok()?.keys.get_mut(usize::from(number)),
            Slot::Reserve { set, number } => {
                self.application_mut().ok()?.key_set_mut(set)?.keys.get_mut(usize::from(number))
            }
            Slot::Proximity if self.selected.is_none() => Some(&mut self.memory.proximity_key),
            Slot::Proximity => self.application_mut().ok()?.proximity_key.as_mut(),
        }
    }
}
