//! SetConfiguration.

use crate::{
    instruction,
    memory::DefaultKey,
    picc::{Outcome, Picc},
    session::Protection,
    status::Status,
};

impl Picc {
    /// `5C Option data`, enciphered, under the card's master key: 00 what is for ever (bit 0 no format, bit 1 a random
    /// identifier), 01 the key of new applications, 02 the answer to select. libfreefare; proxmark3. Other options are
    /// refused: what they do is not public.
    pub(crate) fn set_configuration(&mut self, data: &[u8]) -> Outcome {
        const FORMAT_DISABLED: u8 = 0x01;
        const RANDOM_ID: u8 = 0x02;
        self.at_card_level()?;
        self.master_key_or(0)?;
        let (&option, body) = data.split_first().ok_or(Status::Length)?;
        let length = match option {
            0x00 => Some(1),
            0x01 => Some(25),
            0x02 => None,
            _ => return Err(Status::Parameter),
        };
        let opened = self.open_data(Protection::Enciphered, instruction::SET_CONFIGURATION, &[option], body, length)?;
        match (option, &opened[..]) {
            (0x00, &[flags]) => {
                if flags & !(FORMAT_DISABLED | RANDOM_ID) != 0 {
                    return Err(Status::Parameter);
                }
                self.memory.is_format_disabled |= flags & FORMAT_DISABLED != 0;
                self.memory.has_random_id |= flags & RANDOM_ID != 0;
            }
            (0x01, [bytes @ .., version]) => {
                let bytes = bytes.try_into().map_err(|_| Status::Length)?;
                self.memory.default_key = DefaultKey { bytes, version: *version };
            }
            (0x02, ats) => {
                const LONGEST: usize = 20;
                // TL, T0, TA, TB, TC, then the historical bytes.
                let [length, _, _, _, _, historical @ ..] = ats else { return Err(Status::Length) };
                if usize::from(*length) != ats.len() || ats.len() > LONGEST {
                    return Err(Status::Length);
                }
                self.memory.historical_bytes = historical.to_vec();
            }
            _ => return Err(Status::Length),
        }
        self.done()
    }
}
