//! Applications: SelectApplication, GetApplicationIDs, GetDFNames, CreateApplication, DeleteApplication, FormatPICC.

use std::collections::VecDeque;

use crate::{
    application::{Application, KeySets},
    instruction,
    key::{CardKey, KeyType},
    picc::{Generation, Outcome, Picc, Reply},
    session::{Length, Protection},
    status::Status,
};

/// Bits of KS1.
pub(crate) mod key_settings {
    pub(crate) const MASTER_KEY_CHANGEABLE: u8 = 0x01;
    pub(crate) const LIST_FREE: u8 = 0x02;
    pub(crate) const CREATE_AND_DELETE_FREE: u8 = 0x04;
    pub(crate) const CHANGEABLE: u8 = 0x08;
}

const CARD_LEVEL: [u8; 3] = [0; 3];

impl Picc {
    /// `5A AID`: always plain; ends the session and the transaction. libfreefare; AN12343 section 5.
    ///
    /// The second identifier that EV2 accepts is not supported.
    pub(crate) fn select_application(&mut self, data: &[u8]) -> Outcome {
        let aid: [u8; 3] = data.try_into().map_err(|_| Status::Length)?;
        self.end_session();
        self.selected = None;
        self.selected_file = None;
        if aid != CARD_LEVEL {
            let index = self.memory.applications.iter().position(|application| application.aid == aid);
            self.selected = Some(index.ok_or(Status::ApplicationNotFound)?);
        }
        Ok(Reply::Whole(vec![]))
    }

    /// `6A`: three bytes each, at card level. libfreefare.
    pub(crate) fn get_application_ids(&mut self, data: &[u8]) -> Outcome {
        self.open_empty(instruction::GET_APPLICATION_IDS, data)?;
        self.at_card_level()?;
        self.master_key_or(key_settings::LIST_FREE)?;
        let aids: Vec<u8> = self.memory.applications.iter().flat_map(|application| application.aid).collect();
        Ok(self.seal(Protection::Command, &aids))
    }

    /// `6D`: one frame each for the applications that ISO/IEC 7816-4 commands can select. libfreefare.
    pub(crate) fn get_df_names(&mut self, data: &[u8]) -> Outcome {
        self.open_empty(instruction::GET_DF_NAMES, data)?;
        self.at_card_level()?;
        self.master_key_or(key_settings::LIST_FREE)?;
        let mut frames: VecDeque<Vec<u8>> = self
            .memory
            .applications
            .iter()
            .filter_map(|application| {
                let identifier = application.iso_file_id?.to_le_bytes();
                Some([&application.aid[..], &identifier, &application.df_name].concat())
            })
            .collect();
        let all: Vec<u8> = frames.iter().flatten().copied().collect();
        let sealed = self.seal_bytes(Protection::Command, &all, Length::Known);
        match frames.back_mut() {
            Some(last) => last.extend(&sealed[all.len()..]),
            None => frames.push_back(sealed),
        }
        Ok(Reply::Frames(frames))
    }

    /// `CA AID KS1 KS2 [KS3] [key sets] [ISO FID] [DF name]`. libfreefare; for KS3 and key sets proxmark3.
    pub(crate) fn create_application(&mut self, data: &[u8]) -> Outcome {
        const APPLICATIONS_MAX_EV1: usize = 28;
        let parameters = self.open_command(instruction::CREATE_APPLICATION, data)?;
        self.at_card_level()?;
        self.master_key_or(key_settings::CREATE_AND_DELETE_FREE)?;
        let application = self.new_application(&parameters)?;
        let applications = &self.memory.applications;
        let is_duplicate = applications.iter().any(|other| {
            let has_same_name = !application.df_name.is_empty() && other.df_name == application.df_name;
            let has_same_id = application.iso_file_id.is_some() && other.iso_file_id == application.iso_file_id;
            other.aid == application.aid || has_same_name || has_same_id
        });
        if is_duplicate {
            return Err(Status::Duplicate);
        }
        if self.identity.generation == Generation::Ev1 && applications.len() >= APPLICATIONS_MAX_EV1 {
            return Err(Status::Count);
        }
        self.allocate(application.memory_bytes())?;
        self.memory.applications.push(application);
        self.done()
    }

    fn new_application(&self, parameters: &[u8]) -> Result<Application, Status> {
        let mut bytes = Bytes(parameters);
        let aid = bytes.take::<3>()?;
        let [settings, second] = bytes.take::<2>()?;
        let key_type = KeyType::from_bits(second).ok_or(Status::Parameter)?;
        let key_count = usize::from(second & 0x0F);
        if aid == CARD_LEVEL || key_count > 14 {
            return Err(Status::Parameter);
        }
        let (uses_iso_file_ids, has_third) = (second & 0x20 != 0, second & 0x10 != 0);
        let mut key_sets = None;
        let mut proximity_key = None;
        if has_third {
            if self.identity.generation == Generation::Ev1 {
                return Err(Status::Parameter);
            }
            let [third] = bytes.take::<1>()?;
            let (has_key_sets, has_virtual_card_keys) = (third & 0x01 != 0, third & 0x02 != 0);
            if has_key_sets {
                key_sets = Some(bytes.take::<4>().and_then(KeySets::new)?);
            }
            proximity_key = has_virtual_card_keys.then(|| CardKey::zero(KeyType::Aes));
        }
        let iso_file_id = match bytes.0 {
            [] => None,
            _ => Some(u16::from_le_bytes(bytes.take::<2>()?)),
        };
        let df_name = bytes.0.to_vec();
        if df_name.len() > 16 {
            return Err(Status::Length);
        }
        let keys = vec![self.memory.default_key(key_type); key_count];
        Ok(Application {
            aid,
            key_settings: settings,
            key_type,
            uses_iso_file_ids,
            iso_file_id,
            df_name,
            proximity_key,
            keys,
            key_sets,
            files: vec![],
        })
    }

    /// `DA AID`: under the card's master key, or where KS1 of the card allows it under the application's own, within it.
    /// Deleting the selected application ends the session. libfreefare.
    pub(crate) fn delete_application(&mut self, data: &[u8]) -> Outcome {
        let parameters = self.open_command(instruction::DELETE_APPLICATION, data)?;
        let aid: [u8; 3] = parameters.try_into().map_err(|_| Status::Length)?;
        let index = self.memory.applications.iter().position(|application| application.aid == aid);
        let is_own = index.is_some() && index == self.selected;
        let is_free = self.memory.key_settings & key_settings::CREATE_AND_DELETE_FREE != 0;
        let may_delete = self.selected.is_none() || (is_own && is_free);
        if self.authenticated_key() != Some(0) || !may_delete {
            return Err(Status::Authentication);
        }
        let index = index.ok_or(Status::ApplicationNotFound)?;
        let answer = self.seal(Protection::Command, &[]);
        self.memory.applications.remove(index);
        if is_own {
            self.end_session();
            self.selected = None;
            self.selected_file = None;
        }
        Ok(answer)
    }

    /// `FC`: deletes every application and gives the memory back; the card's own key and settings stay, and so does the
    /// session (the published trace goes on with it).
    pub(crate) fn format_picc(&mut self, data: &[u8]) -> Outcome {
        self.open_empty(instruction::FORMAT_PICC, data)?;
        self.at_card_level()?;
        if self.memory.is_format_disabled {
            return Err(Status::PermissionDenied);
        }
        self.master_key_or(0)?;
        self.memory.applications.clear();
        self.memory.used_bytes = 0;
        self.done()
    }

    /// Refuses what only the card level knows.
    pub(crate) fn at_card_level(&self) -> Result<(), Status> {
        if self.selected.is_none() { Ok(()) } else { Err(Status::PermissionDenied) }
    }

    /// Takes so much of the memory, which only FormatPICC gives back.
    pub(crate) fn allocate(&mut self, bytes: usize) -> Result<(), Status> {
        if bytes > self.memory.free_bytes() {
            return Err(Status::OutOfMemory);
        }
        self.memory.used_bytes += bytes;
        Ok(())
    }
}

/// The rest of a command's parameters.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Bytes<'_> {
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], Status> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Status::Length)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// Three bytes, least significant first.
    pub(crate) fn take_number(&mut self) -> Result<usize, Status> {
        let [low, middle, high] = self.take::<3>()?;
        Ok(usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16)
    }

    /// Nothing may be left.
    pub(crate) const fn end(&self) -> Result<(), Status> {
        if self.0.is_empty() { Ok(()) } else { Err(Status::Length) }
    }
}
