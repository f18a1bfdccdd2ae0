//! The card: APDU in, answer out.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{
    application::Application,
    authentication::Challenge,
    file::{Access, CommunicationMode, Content, File, Right},
    framing::{Command, FrameSize, Unwrappable, frames, unwrap, wrap},
    instruction,
    memory::Memory,
    proximity_check::ProximityCheck,
    session::{Length, Protection, Session},
    status::Status,
};

/// A source of 16 random bytes a call: the card's challenges and session identifiers.
pub type Random = Box<dyn FnMut() -> [u8; 16] + Send>;

/// The generation of the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum Generation {
    /// MIFARE DESFire EV1: no EV2 authentication, no Transaction MAC.
    #[serde(rename = "EV1")]
    Ev1,
    /// MIFARE DESFire EV2.
    #[serde(rename = "EV2")]
    Ev2,
    /// MIFARE DESFire EV3.
    #[serde(rename = "EV3")]
    Ev3,
}

/// What a reader finds when it activates what lies in its field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// A DESFire.
    #[default]
    Desfire,
    /// A MIFARE Classic, which knows no APDU.
    Classic,
    /// Two cards at once: the reader sees that something is there, and gets no card.
    Clash,
}

/// What distinguishes one chip from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The unique identifier.
    pub uid: [u8; 7],
    /// What GetVersion says.
    pub generation: Generation,
    /// What a frame holds, both ways.
    pub frame_size: FrameSize,
}

/// A DESFire card in memory.
///
/// It keeps what is committed; session, selection and transaction live until [`power_off`](Self::power_off).
pub struct Picc {
    pub(crate) identity: Identity,
    activation: Activation,
    pub(crate) memory: Memory,
    pub(crate) random: Random,
    /// Index of the selected application; none is the card level.
    pub(crate) selected: Option<usize>,
    /// The file that an ISO SELECT chose.
    pub(crate) selected_file: Option<u8>,
    pub(crate) session: Option<Session>,
    pub(crate) transaction: Transaction,
    pub(crate) proximity_check: Option<ProximityCheck>,
    /// The identifier of this activation, on a card that shows a random one.
    random_id: [u8; 4],
    chain: Option<Chain>,
}

/// What is known of the running transaction beside what is pending on its files.
#[derive(Default)]
pub(crate) struct Transaction {
    /// What it read and wrote, as the Transaction MAC hashes it.
    pub(crate) input: Vec<u8>,
    /// Who it is with, where that was said.
    pub(crate) reader_id: Option<[u8; 16]>,
}

/// What the card awaits an AF for.
enum Chain {
    /// Frames of an answer that are still to be sent.
    Sending(VecDeque<Vec<u8>>),
    /// Frames of a command that have come so far.
    Receiving { instruction: u8, received: Vec<u8> },
    /// The second half of an authentication.
    Authenticating(Challenge),
}

/// What a command comes to.
pub(crate) type Outcome = Result<Reply, Status>;

/// What a handler hands back.
pub(crate) enum Reply {
    /// Data, cut at the frame size.
    Whole(Vec<u8>),
    /// Data, with the status of Read_Sig and the proximity check (90 instead of 00).
    Whole90(Vec<u8>),
    /// Frames of their own lengths.
    Frames(VecDeque<Vec<u8>>),
    /// The first half of an authentication.
    Challenge(Challenge, Vec<u8>),
    /// More of this command must come.
    Incomplete,
}

impl Picc {
    /// A factory card that got these applications. `random` is asked for a challenge or a session identifier at a time.
    #[must_use]
    pub fn new(identity: Identity, applications: Vec<Application>, random: Random) -> Self {
        Self::with_memory(identity, Memory::with_applications(applications), random)
    }

    /// A card with this memory.
    #[must_use]
    pub fn with_memory(identity: Identity, memory: Memory, random: Random) -> Self {
        Self {
            identity,
            activation: Activation::Desfire,
            memory,
            random,
            selected: None,
            selected_file: None,
            session: None,
            transaction: Transaction::default(),
            proximity_check: None,
            random_id: [0; 4],
            chain: None,
        }
    }

    /// The same card, if it is one at all.
    #[must_use]
    pub fn with_activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// What a reader finds.
    #[must_use]
    pub const fn activation(&self) -> Activation {
        self.activation
    }

    /// The answer to reset that a PC/SC reader builds (PC/SC part 3, section 3.1.3.2.3): of a DESFire from its historical
    /// bytes, of a MIFARE Classic from its name. Of a clash it is longer than any may be, so that the power-up fails.
    #[must_use]
    pub fn answer_to_reset(&self) -> Vec<u8> {
        const CLASSIC: [u8; 15] =
            [0x80, 0x4F, 0x0C, 0xA0, 0x00, 0x00, 0x03, 0x06, 0x03, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00];
        const LONGEST: usize = 33;
        let historical = match self.activation {
            Activation::Desfire => &self.memory.historical_bytes[..],
            Activation::Classic => &CLASSIC,
            Activation::Clash => return vec![0x3B; LONGEST + 1],
        };
        let count = historical.len().to_le_bytes()[0] & 0x0F;
        let mut answer = vec![0x3B, 0x80 | count, 0x80, 0x01];
        answer.extend(&historical[..usize::from(count)]);
        let check = answer.iter().skip(1).fold(0, |check, byte| check ^ byte);
        answer.push(check);
        answer
    }

    /// The chip's identity.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the card keeps: to look at, or to save.
    #[must_use]
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// What the card says in the anticollision: its identifier, or four random bytes that begin with 08.
    #[must_use]
    pub fn shown_uid(&self) -> Vec<u8> {
        const CLASSIC_LENGTH: usize = 4;
        if self.activation == Activation::Classic {
            return self.identity.uid[..CLASSIC_LENGTH].to_vec();
        }
        if self.memory.has_random_id { self.random_id.to_vec() } else { self.identity.uid.to_vec() }
    }

    /// The committed value of a value file.
    #[must_use]
    pub fn value(&self, aid: [u8; 3], file: u8) -> Option<i32> {
        match self.content(aid, file)? {
            Content::Value(value) => Some(value.committed),
            Content::StandardData(_) | Content::BackupData(_) | Content::Records(_) | Content::TransactionMac(_) => {
                None
            }
        }
    }

    /// The committed records of a record file, newest first.
    #[must_use]
    pub fn records(&self, aid: [u8; 3], file: u8) -> Option<Vec<Vec<u8>>> {
        match self.content(aid, file)? {
            Content::Records(records) => Some(records.committed.iter().cloned().collect()),
            Content::StandardData(_) | Content::BackupData(_) | Content::Value(_) | Content::TransactionMac(_) => None,
        }
    }

    /// How many transactions an application with a Transaction MAC file has committed.
    #[must_use]
    pub fn transaction_counter(&self, aid: [u8; 3]) -> Option<u32> {
        let application = self.memory.applications.iter().find(|application| application.aid == aid)?;
        application.files.iter().find_map(|file| match &file.content {
            Content::TransactionMac(mac) => Some(mac.counter),
            Content::StandardData(_) | Content::BackupData(_) | Content::Value(_) | Content::Records(_) => None,
        })
    }

    fn content(&self, aid: [u8; 3], file: u8) -> Option<&Content> {
        let application = self.memory.applications.iter().find(|application| application.aid == aid)?;
        application.file(file).map(|file| &file.content)
    }

    /// The field is gone: selection, session and everything pending are lost.
    pub fn power_off(&mut self) {
        self.end_session();
        self.selected = None;
        self.selected_file = None;
        self.proximity_check = None;
        if self.memory.has_random_id {
            const RANDOM_ID: u8 = 0x08;
            let [_, b, c, d, ..] = (self.random)();
            self.random_id = [RANDOM_ID, b, c, d];
        }
    }

    /// The reader resets the card: to the card it is a short loss of the field.
    pub fn reset(&mut self) {
        self.power_off();
    }

    /// Answers one command: an APDU of class 90 that wraps a native command, one of ISO/IEC 7816-4, or a native command as
    /// it is. The answer to an APDU is never shorter than the two status bytes, that to a native command never than its
    /// one.
    ///
    /// Any error status discards everything pending and ends an EV1 or EV2 session.
    pub fn handle(&mut self, apdu: &[u8]) -> Vec<u8> {
        if self.activation != Activation::Desfire {
            const FUNCTION_NOT_SUPPORTED: [u8; 2] = [0x6A, 0x81];
            return FUNCTION_NOT_SUPPORTED.to_vec();
        }
        let outcome = match unwrap(apdu) {
            Ok(command) => self.process(&command),
            Err(Unwrappable::Native) => return self.handle_native(apdu),
            Err(Unwrappable::Length) => Err(Status::Length),
            Err(Unwrappable::Parameter) => Err(Status::Parameter),
            Err(Unwrappable::Iso7816) => return self.handle_iso7816(apdu),
            Err(Unwrappable::Class) => {
                const CLASS_NOT_SUPPORTED: [u8; 2] = [0x6E, 0x00];
                self.end_session();
                return CLASS_NOT_SUPPORTED.to_vec();
            }
        };
        match outcome {
            Ok((data, status)) => wrap(data, status),
            Err(status) => {
                self.fail();
                wrap(vec![], status)
            }
        }
    }

    /// A native command that is not wrapped: the answer is status, then data.
    fn handle_native(&mut self, command: &[u8]) -> Vec<u8> {
        let outcome = match *command {
            [instruction, ref data @ ..] => self.process(&Command { instruction, data }),
            [] => Err(Status::Length),
        };
        match outcome {
            Ok((data, status)) => [&[status.byte()], &data[..]].concat(),
            Err(status) => {
                self.fail();
                vec![status.byte()]
            }
        }
    }

    fn process(&mut self, command: &Command<'_>) -> Result<(Vec<u8>, Status), Status> {
        let Command { instruction, data } = *command;
        if data.len() > self.identity.frame_size.data_length_max() && !instruction::is_chained(instruction) {
            return Err(Status::Length);
        }
        let continues = instruction == instruction::ADDITIONAL_FRAME;
        let reply = match self.chain.take() {
            None if continues => return Err(Status::IllegalCommand),
            None => self.execute(instruction, data)?,
            // Public sources do not agree whether the new command runs all the same; the stricter reading is kept.
            Some(_) if !continues => return Err(Status::Aborted),
            Some(Chain::Sending(_)) if !data.is_empty() => return Err(Status::Length),
            Some(Chain::Sending(frames)) => Reply::Frames(frames),
            Some(Chain::Receiving { instruction, received }) => {
                let received = [&received, data].concat();
                let reply = self.execute(instruction, &received)?;
                return self.answer(reply, instruction, &received);
            }
            Some(Chain::Authenticating(challenge)) => self.authenticate_second(challenge, data)?,
        };
        self.answer(reply, instruction, data)
    }

    fn answer(&mut self, reply: Reply, instruction: u8, received: &[u8]) -> Result<(Vec<u8>, Status), Status> {
        let mut frames = match reply {
            Reply::Whole90(data) => return Ok((data, Status::OkOfSignature)),
            Reply::Whole(data) if instruction::is_chained(instruction) => {
                const ANSWER_LENGTH_MAX: usize = 256;
                let fits = data.len() <= ANSWER_LENGTH_MAX;
                return if fits { Ok((data, Status::Ok)) } else { Err(Status::Length) };
            }
            Reply::Whole(data) => frames(&data, self.identity.frame_size),
            Reply::Frames(frames) => frames,
            Reply::Challenge(challenge, data) => {
                self.chain = Some(Chain::Authenticating(challenge));
                return Ok((data, Status::AdditionalFrame));
            }
            // With the chaining of ISO/IEC 14443-4 the whole command has come.
            Reply::Incomplete if instruction::is_chained(instruction) => return Err(Status::Length),
            Reply::Incomplete => {
                self.chain = Some(Chain::Receiving { instruction, received: received.to_vec() });
                return Ok((vec![], Status::AdditionalFrame));
            }
        };
        let frame = frames.pop_front().unwrap_or_default();
        if frames.is_empty() {
            return Ok((frame, Status::Ok));
        }
        self.chain = Some(Chain::Sending(frames));
        Ok((frame, Status::AdditionalFrame))
    }

    fn execute(&mut self, instruction: u8, data: &[u8]) -> Outcome {
        use instruction::chained;
        if !instruction::is_known(instruction, self.identity.generation) {
            return Err(Status::IllegalCommand);
        }
        self.check_proximity_mode(instruction)?;
        match instruction {
            instruction::AUTHENTICATE | instruction::AUTHENTICATE_ISO | instruction::AUTHENTICATE_AES => {
                self.authenticate(instruction, data)
            }
            instruction::AUTHENTICATE_EV2_FIRST => self.authenticate_ev2_first(data),
            instruction::AUTHENTICATE_EV2_NON_FIRST => self.authenticate_ev2_non_first(data),
            instruction::GET_VERSION => self.get_version(data),
            instruction::GET_CARD_UID => self.get_card_uid(data),
            instruction::FREE_MEMORY => self.free_memory(data),
            instruction::READ_SIGNATURE => self.read_signature(data),
            instruction::FORMAT_PICC => self.format_picc(data),
            instruction::SET_CONFIGURATION => self.set_configuration(data),
            instruction::SELECT_APPLICATION => self.select_application(data),
            instruction::GET_APPLICATION_IDS => self.get_application_ids(data),
            instruction::GET_DF_NAMES => self.get_df_names(data),
            instruction::CREATE_APPLICATION => self.create_application(data),
            instruction::DELETE_APPLICATION => self.delete_application(data),
            instruction::GET_KEY_SETTINGS => self.get_key_settings(data),
            instruction::CHANGE_KEY_SETTINGS => self.change_key_settings(data),
            instruction::GET_KEY_VERSION => self.get_key_version(data),
            instruction::CHANGE_KEY => self.change_key(data),
            instruction::CHANGE_KEY_EV2 => self.change_key_ev2(data),
            instruction::INITIALIZE_KEY_SET => self.initialize_key_set(data),
            instruction::FINALIZE_KEY_SET => self.finalize_key_set(data),
            instruction::ROLL_KEY_SET => self.roll_key_set(data),
            instruction::GET_FILE_IDS => self.get_file_ids(data),
            instruction::GET_ISO_FILE_IDS => self.get_iso_file_ids(data),
            instruction::GET_FILE_SETTINGS => self.get_file_settings(data),
            instruction::CHANGE_FILE_SETTINGS => self.change_file_settings(data),
            instruction::CREATE_STANDARD_DATA_FILE | instruction::CREATE_BACKUP_DATA_FILE => {
                self.create_data_file(instruction, data)
            }
            instruction::CREATE_VALUE_FILE => self.create_value_file(data),
            instruction::CREATE_LINEAR_RECORD_FILE | instruction::CREATE_CYCLIC_RECORD_FILE => {
                self.create_record_file(instruction, data)
            }
            instruction::CREATE_TRANSACTION_MAC_FILE => self.create_transaction_mac_file(data),
            instruction::DELETE_FILE => self.delete_file(data),
            instruction::READ_DATA | chained::READ_DATA => self.read_data(instruction, data),
            instruction::WRITE_DATA | chained::WRITE_DATA => self.write_data(instruction, data),
            instruction::GET_VALUE => self.get_value(data),
            instruction::CREDIT => self.credit(data),
            instruction::DEBIT => self.debit(data),
            instruction::LIMITED_CREDIT => self.limited_credit(data),
            instruction::READ_RECORDS | chained::READ_RECORDS => self.read_records(instruction, data),
            instruction::WRITE_RECORD | chained::WRITE_RECORD => self.write_record(instruction, data),
            instruction::UPDATE_RECORD | chained::UPDATE_RECORD => self.update_record(instruction, data),
            instruction::CLEAR_RECORD_FILE => self.clear_record_file(data),
            instruction::COMMIT_TRANSACTION => self.commit_transaction(data),
            instruction::ABORT_TRANSACTION => self.abort_transaction(data),
            instruction::COMMIT_READER_ID => self.commit_reader_id(data),
            instruction::PREPARE_PROXIMITY_CHECK => self.prepare_proximity_check(data),
            instruction::PROXIMITY_CHECK => self.proximity_check(data),
            instruction::VERIFY_PROXIMITY_CHECK => self.verify_proximity_check(data),
            _ => Err(Status::IllegalCommand),
        }
    }

    /// Ends the session and the transaction.
    pub(crate) fn end_session(&mut self) {
        self.chain = None;
        self.session = None;
        self.discard_transaction();
    }

    /// What an error does: everything pending is lost, and an EV1 or EV2 session is over.
    pub(crate) fn fail(&mut self) {
        self.chain = None;
        self.session = self.session.take().filter(|session| !session.ends_on_error());
        self.discard_transaction();
    }

    /// The selected application; the card level has no files.
    pub(crate) fn application(&self) -> Result<&Application, Status> {
        self.selected.map(|index| &self.memory.applications[index]).ok_or(Status::PermissionDenied)
    }

    pub(crate) fn application_mut(&mut self) -> Result<&mut Application, Status> {
        self.selected.map(|index| &mut self.memory.applications[index]).ok_or(Status::PermissionDenied)
    }

    /// The number of the key that was shown.
    pub(crate) fn authenticated_key(&self) -> Option<u8> {
        self.session.as_ref().map(|session| session.key_number)
    }

    /// KS1 of the selected application, or of the card.
    pub(crate) fn key_settings(&self) -> u8 {
        self.application().map_or(self.memory.key_settings, |application| application.key_settings)
    }

    /// Refuses what needs the master key of this level, unless KS1 has `free_bit` set.
    pub(crate) fn master_key_or(&self, free_bit: u8) -> Result<(), Status> {
        let is_free = self.key_settings() & free_bit != 0;
        if is_free || self.authenticated_key() == Some(0) { Ok(()) } else { Err(Status::Authentication) }
    }

    /// The file of this number, and how its data travels, if one of `rights` allows the command.
    ///
    /// A right that the authenticated key gives brings the file's own mode; a right that is free brings plain data
    /// whatever the file says (seen by libfreefare on real cards).
    pub(crate) fn permitted(&self, number: u8, rights: &[Right]) -> Result<(&File, Protection), Status> {
        let file = self.application()?.file(number).ok_or(Status::FileNotFound)?;
        let accesses: Vec<Access> = rights.iter().map(|&right| file.rights.of(right)).collect();
        let key = self.authenticated_key().map(Access::Key);
        if key.is_some_and(|key| accesses.contains(&key)) {
            Ok((file, Protection::File(file.mode)))
        } else if accesses.contains(&Access::Free) {
            Ok((file, Protection::File(CommunicationMode::Plain)))
        } else if accesses.iter().all(|access| *access == Access::Never) {
            Err(Status::PermissionDenied)
        } else {
            Err(Status::Authentication)
        }
    }

    /// The content of a file that [`permitted`](Self::permitted) has found.
    pub(crate) fn content_mut(&mut self, number: u8) -> Result<&mut Content, Status> {
        let mut files = self.application_mut()?.files.iter_mut();
        files.find(|file| file.number == number).map(|file| &mut file.content).ok_or(Status::FileNotFound)
    }

    /// Checks a command that belongs to no file and returns its parameters.
    pub(crate) fn open_command(&mut self, instruction: u8, data: &[u8]) -> Result<Vec<u8>, Status> {
        self.open_parameters(Protection::Command, instruction, data)
    }

    /// Checks a command without parameters.
    pub(crate) fn open_empty(&mut self, instruction: u8, data: &[u8]) -> Result<(), Status> {
        if self.open_command(instruction, data)?.is_empty() { Ok(()) } else { Err(Status::Length) }
    }

    /// Checks a command that has parameters and no data, and returns the parameters.
    pub(crate) fn open_parameters(
        &mut self,
        protection: Protection,
        instruction: u8,
        data: &[u8],
    ) -> Result<Vec<u8>, Status> {
        match &mut self.session {
            Some(session) => session.open_parameters(protection, instruction, data),
            None => Ok(data.to_vec()),
        }
    }

    /// Checks the body of a command behind its header and returns its data in clear; `length` is how much there should
    /// be, where the command says so.
    pub(crate) fn open_data(
        &mut self,
        protection: Protection,
        instruction: u8,
        header: &[u8],
        body: &[u8],
        length: Option<usize>,
    ) -> Result<Vec<u8>, Status> {
        match &mut self.session {
            Some(session) => session.open_data(protection, instruction, header, body, length),
            None => Ok(body.to_vec()),
        }
    }

    /// How long `length` bytes of a command's data are once they are protected.
    pub(crate) fn protected_length(&self, protection: Protection, length: usize) -> usize {
        self.session.as_ref().map_or(length, |session| session.protected_length(protection, length))
    }

    /// Counts the command and protects the data of its answer, whose length the reader knows.
    pub(crate) fn seal(&mut self, protection: Protection, data: &[u8]) -> Reply {
        Reply::Whole(self.seal_bytes(protection, data, Length::Known))
    }

    /// As [`seal`](Self::seal), for whoever cuts the answer into frames or does not tell its length.
    pub(crate) fn seal_bytes(&mut self, protection: Protection, data: &[u8], length: Length) -> Vec<u8> {
        match &mut self.session {
            Some(session) => session.seal(protection, data, length),
            None => data.to_vec(),
        }
    }

    /// The answer of a command that has nothing to say.
    pub(crate) fn done(&mut self) -> Outcome {
        Ok(self.seal(Protection::Command, &[]))
    }
}

impl std::fmt::Debug for Picc {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Picc")
            .field("identity", &self.identity)
            .field("applications", &self.memory.applications)
            .finish_non_exhaustive()
    }
}
