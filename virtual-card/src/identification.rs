//! What a card tells about itself: GetVersion, GetCardUID, FreeMem and Read_Sig.

use std::collections::VecDeque;

use crate::{
    instruction,
    picc::{Generation, Outcome, Picc, Reply},
    session::{Length, Protection},
    status::Status,
};

impl Picc {
    /// `60`: three frames of 7, 7 and 14 bytes, the last with a MAC over all within a session. libfreefare; proxmark3.
    pub(crate) fn get_version(&mut self, data: &[u8]) -> Outcome {
        const NXP: u8 = 0x04;
        const DESFIRE: u8 = 0x01;
        const EIGHT_KILOBYTES: u8 = 0x1A;
        const ISO_14443_3_AND_4: u8 = 0x05;
        const BATCH_WEEK_YEAR: [u8; 7] = [0xBA, 0x00, 0x00, 0x00, 0x01, 0x30, 0x26];
        self.open_empty(instruction::GET_VERSION, data)?;
        let (hardware, software) = match self.identity.generation {
            Generation::Ev1 => ([0x01, 0x00], [0x01, 0x04]),
            Generation::Ev2 => ([0x12, 0x00], [0x02, 0x01]),
            Generation::Ev3 => ([0x33, 0x00], [0x03, 0x00]),
        };
        let block =
            |version: [u8; 2]| vec![NXP, DESFIRE, 0x01, version[0], version[1], EIGHT_KILOBYTES, ISO_14443_3_AND_4];
        let mut version = [block(hardware), block(software)].concat();
        // A card that shows a random identifier hides the real one here too.
        version.extend(if self.memory.has_random_id { [0; 7] } else { self.identity.uid });
        version.extend(BATCH_WEEK_YEAR);
        let mut sealed = self.seal_bytes(Protection::Command, &version, Length::Known);
        let last = sealed.split_off(14);
        let second = sealed.split_off(7);
        Ok(Reply::Frames(VecDeque::from([sealed, second, last])))
    }

    /// `51`: the real identifier, enciphered, to whoever has authenticated. libfreefare.
    pub(crate) fn get_card_uid(&mut self, data: &[u8]) -> Outcome {
        if self.session.is_none() {
            return Err(Status::Authentication);
        }
        self.open_empty(instruction::GET_CARD_UID, data)?;
        let uid = self.identity.uid;
        Ok(self.seal(Protection::Enciphered, &uid))
    }

    /// `6E`: three bytes. libfreefare.
    pub(crate) fn free_memory(&mut self, data: &[u8]) -> Outcome {
        self.open_empty(instruction::FREE_MEMORY, data)?;
        let free = self.memory.free_bytes().to_le_bytes();
        Ok(self.seal(Protection::Command, &free[..3]))
    }

    /// `3C 00`: 56 bytes, with status 90. AN12343 section 11; proxmark3 for EV1.
    pub(crate) fn read_signature(&mut self, data: &[u8]) -> Outcome {
        match self.open_command(instruction::READ_SIGNATURE, data)?[..] {
            [0] => {}
            [_] => return Err(Status::Parameter),
            _ => return Err(Status::Length),
        }
        let signature = self.memory.signature.clone();
        if signature.is_empty() {
            return Err(Status::IllegalCommand);
        }
        Ok(Reply::Whole90(self.seal_bytes(Protection::Command, &signature, Length::Known)))
    }
}
