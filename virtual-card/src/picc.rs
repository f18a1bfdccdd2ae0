//! The card: APDU in, answer out.

use std::collections::VecDeque;

use crate::{
    application::Application,
    authentication::Challenge,
    file::{Access, CommunicationMode, Content, File, Right},
    framing::{Command, FrameSize, Unwrappable, frames, unwrap, wrap},
    session::Session,
    status::Status,
};

pub(crate) mod instruction {
    //! Command bytes.
    pub(crate) const ADDITIONAL_FRAME: u8 = 0xAF;
    pub(crate) const SELECT_APPLICATION: u8 = 0x5A;
    pub(crate) const GET_VERSION: u8 = 0x60;
    pub(crate) const GET_KEY_VERSION: u8 = 0x64;
    pub(crate) const GET_FILE_IDS: u8 = 0x6F;
    pub(crate) const GET_FILE_SETTINGS: u8 = 0xF5;
    pub(crate) const AUTHENTICATE_EV2_FIRST: u8 = 0x71;
    pub(crate) const AUTHENTICATE_EV2_NON_FIRST: u8 = 0x77;
    pub(crate) const READ_DATA: u8 = 0xBD;
    pub(crate) const WRITE_DATA: u8 = 0x3D;
    pub(crate) const GET_VALUE: u8 = 0x6C;
    pub(crate) const CREDIT: u8 = 0x0C;
    pub(crate) const DEBIT: u8 = 0xDC;
    pub(crate) const LIMITED_CREDIT: u8 = 0x1C;
    pub(crate) const READ_RECORDS: u8 = 0xBB;
    pub(crate) const WRITE_RECORD: u8 = 0x3B;
    pub(crate) const COMMIT_TRANSACTION: u8 = 0xC7;
    pub(crate) const ABORT_TRANSACTION: u8 = 0xA7;
}

/// A source of 16 random bytes a call: the card's challenges and session identifiers.
pub type Random = Box<dyn FnMut() -> [u8; 16] + Send>;

/// The generation of the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub enum Generation {
    /// MIFARE DESFire EV1; this card still speaks EV2 secure messaging.
    #[serde(rename = "EV1")]
    Ev1,
    /// MIFARE DESFire EV2.
    #[serde(rename = "EV2")]
    Ev2,
    /// MIFARE DESFire EV3.
    #[serde(rename = "EV3")]
    Ev3,
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
    pub(crate) applications: Vec<Application>,
    pub(crate) random: Random,
    /// Index of the selected application; none is the card level.
    pub(crate) selected: Option<usize>,
    pub(crate) session: Option<Session>,
    /// What the running transaction read and wrote, as the Transaction MAC hashes it.
    pub(crate) transaction_input: Vec<u8>,
    chain: Option<Chain>,
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

/// What a handler hands back.
pub(crate) enum Reply {
    /// Data, cut at the frame size.
    Whole(Vec<u8>),
    /// Frames of their own lengths.
    Frames(VecDeque<Vec<u8>>),
    /// The first half of an authentication.
    Challenge(Challenge, Vec<u8>),
    /// More of this command must come.
    Incomplete,
}

impl Picc {
    /// A card as it leaves the issuer. `random` is asked for a challenge or a session identifier at a time.
    #[must_use]
    pub fn new(identity: Identity, applications: Vec<Application>, random: Random) -> Self {
        Self { identity, applications, random, selected: None, session: None, transaction_input: vec![], chain: None }
    }

    /// The chip's identity.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The committed value of a value file.
    #[must_use]
    pub fn value(&self, aid: [u8; 3], file: u8) -> Option<i32> {
        match self.content(aid, file)? {
            Content::Value(value) => Some(value.committed),
            Content::StandardData(_)
            | Content::BackupData(_)
            | Content::CyclicRecords(_)
            | Content::TransactionMac(_) => None,
        }
    }

    /// The committed records of a record file, newest first.
    #[must_use]
    pub fn records(&self, aid: [u8; 3], file: u8) -> Option<Vec<Vec<u8>>> {
        match self.content(aid, file)? {
            Content::CyclicRecords(records) => Some(records.committed.iter().cloned().collect()),
            Content::StandardData(_) | Content::BackupData(_) | Content::Value(_) | Content::TransactionMac(_) => None,
        }
    }

    /// How many transactions an application with a Transaction MAC file has committed.
    #[must_use]
    pub fn transaction_counter(&self, aid: [u8; 3]) -> Option<u32> {
        let application = self.applications.iter().find(|application| application.aid == aid)?;
        application.files.iter().find_map(|file| match &file.content {
            Content::TransactionMac(mac) => Some(mac.counter),
            Content::StandardData(_) | Content::BackupData(_) | Content::Value(_) | Content::CyclicRecords(_) => None,
        })
    }

    fn content(&self, aid: [u8; 3], file: u8) -> Option<&Content> {
        let application = self.applications.iter().find(|application| application.aid == aid)?;
        application.file(file).map(|file| &file.content)
    }

    /// The field is gone: selection, session and everything pending are lost.
    pub fn power_off(&mut self) {
        self.end_session();
        self.selected = None;
    }

    /// The reader resets the card: to the card it is a short loss of the field.
    pub fn reset(&mut self) {
        self.power_off();
    }

    /// Answers one command APDU; the answer is never shorter than the two status bytes.
    ///
    /// Any error status ends the session and discards everything pending, as EV1 and later cards do.
    pub fn handle(&mut self, apdu: &[u8]) -> Vec<u8> {
        let outcome = match unwrap(apdu) {
            Ok(command) => self.process(&command),
            Err(Unwrappable::Length) => Err(Status::Length),
            Err(Unwrappable::Parameter) => Err(Status::Parameter),
            Err(Unwrappable::Class) => {
                const CLASS_NOT_SUPPORTED: [u8; 2] = [0x6E, 0x00];
                self.end_session();
                return CLASS_NOT_SUPPORTED.to_vec();
            }
        };
        match outcome {
            Ok((data, status)) => wrap(data, status),
            Err(status) => {
                self.end_session();
                wrap(vec![], status)
            }
        }
    }

    fn process(&mut self, command: &Command<'_>) -> Result<(Vec<u8>, Status), Status> {
        let Command { instruction, data } = *command;
        if data.len() > self.identity.frame_size.data_length_max() {
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
            Reply::Whole(data) => frames(&data, self.identity.frame_size),
            Reply::Frames(frames) => frames,
            Reply::Challenge(challenge, data) => {
                self.chain = Some(Chain::Authenticating(challenge));
                return Ok((data, Status::AdditionalFrame));
            }
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

    fn execute(&mut self, instruction: u8, data: &[u8]) -> Result<Reply, Status> {
        match instruction {
            instruction::SELECT_APPLICATION => self.select_application(data).map(Reply::Whole),
            instruction::GET_VERSION => self.get_version(data).map(Reply::Frames),
            instruction::GET_KEY_VERSION => self.get_key_version(data).map(Reply::Whole),
            instruction::GET_FILE_IDS => self.get_file_ids(data).map(Reply::Whole),
            instruction::GET_FILE_SETTINGS => self.get_file_settings(data).map(Reply::Whole),
            instruction::AUTHENTICATE_EV2_FIRST => self.authenticate_ev2_first(data),
            instruction::AUTHENTICATE_EV2_NON_FIRST => self.authenticate_ev2_non_first(data),
            instruction::READ_DATA => self.read_data(data).map(Reply::Whole),
            instruction::WRITE_DATA => self.write_data(data),
            instruction::GET_VALUE => self.get_value(data).map(Reply::Whole),
            instruction::CREDIT => self.credit(data).map(Reply::Whole),
            instruction::DEBIT => self.debit(data).map(Reply::Whole),
            instruction::LIMITED_CREDIT => self.limited_credit(data).map(Reply::Whole),
            instruction::READ_RECORDS => self.read_records(data).map(Reply::Whole),
            instruction::WRITE_RECORD => self.write_record(data),
            instruction::COMMIT_TRANSACTION => self.commit_transaction(data).map(Reply::Whole),
            instruction::ABORT_TRANSACTION => self.abort_transaction(data).map(Reply::Whole),
            _ => Err(Status::IllegalCommand),
        }
    }

    /// Ends the session and the transaction.
    pub(crate) fn end_session(&mut self) {
        self.chain = None;
        self.session = None;
        self.discard_transaction();
    }

    /// The selected application; at card level there are no files and, in this model, no keys.
    pub(crate) fn application(&self) -> Result<&Application, Status> {
        self.selected.map(|index| &self.applications[index]).ok_or(Status::PermissionDenied)
    }

    /// The file of this number, and how its data travels, if one of `rights` allows the command.
    ///
    /// A right that the authenticated key gives brings the file's own mode; a right that is free brings plain data
    /// whatever the file says (seen by libfreefare on real cards).
    pub(crate) fn permitted(&self, number: u8, rights: &[Right]) -> Result<(&File, CommunicationMode), Status> {
        let file = self.application()?.file(number).ok_or(Status::FileNotFound)?;
        let accesses: Vec<Access> = rights.iter().map(|&right| file.rights.of(right)).collect();
        let key = self.session.as_ref().map(|session| Access::Key(session.key_number));
        if key.is_some_and(|key| accesses.contains(&key)) {
            Ok((file, file.mode))
        } else if accesses.contains(&Access::Free) {
            Ok((file, CommunicationMode::Plain))
        } else if accesses.iter().all(|access| *access == Access::Never) {
            Err(Status::PermissionDenied)
        } else {
            Err(Status::Authentication)
        }
    }

    /// The content of a file that [`permitted`](Self::permitted) has found.
    pub(crate) fn content_mut(&mut self, number: u8) -> Result<&mut Content, Status> {
        let index = self.selected.ok_or(Status::PermissionDenied)?;
        let mut files = self.applications[index].files.iter_mut();
        files.find(|file| file.number == number).map(|file| &mut file.content).ok_or(Status::FileNotFound)
    }

    /// The mode of commands that belong to no file: MAC within a session.
    pub(crate) const fn command_mode(&self) -> CommunicationMode {
        match self.session {
            Some(_) => CommunicationMode::Mac,
            None => CommunicationMode::Plain,
        }
    }

    /// Checks the body of a command behind its header and returns its data in clear.
    pub(crate) fn open(
        &self,
        mode: CommunicationMode,
        instruction: u8,
        header: &[u8],
        body: &[u8],
    ) -> Result<Vec<u8>, Status> {
        match &self.session {
            Some(session) => session.open(mode, instruction, header, body),
            None => Ok(body.to_vec()),
        }
    }

    /// Counts the command and protects the data of its answer.
    pub(crate) fn seal(&mut self, mode: CommunicationMode, data: &[u8]) -> Vec<u8> {
        match &mut self.session {
            Some(session) => session.seal(mode, data),
            None => data.to_vec(),
        }
    }
}

impl std::fmt::Debug for Picc {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Picc")
            .field("identity", &self.identity)
            .field("applications", &self.applications)
            .finish_non_exhaustive()
    }
}
