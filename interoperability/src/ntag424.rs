//! The crate `ntag424` 0.1.1: EV2 sessions, every response MAC checked.
//!
//! It knows the NTAG 424 DNA, whose secure messaging is that of the DESFire EV2: the card gets an application of that
//! name, with five keys and files 1 to 3.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use ntag424::{
    AuthenticatedSession, Response, Session, Transport,
    types::{File, KeyNumber, NonMasterKeyNumber, file_settings::CommMode},
};

use crate::{
    outcome::Outcome,
    reader::CardOnReader,
    stand::{Stand, outcome},
};

const CLIENT: &str = "ntag424 (crate)";
const NEW_KEY: [u8; 16] = *b"a newer AES key.";

/// Application 112233, free to create files, with five AES keys of zeros and the NTAG 424 DNA's file identifier and DF
/// name (NT4H2421Gx, 8.2.2).
const CREATE_APPLICATION: [u8; 20] = [
    0x90, 0xCA, 0x00, 0x00, 0x0E, 0x11, 0x22, 0x33, 0x0F, 0xA5, 0x10, 0xE1, 0xD2, 0x76, 0x00, 0x00, 0x85, 0x01, 0x01,
    0x00,
];
const SELECT_APPLICATION: [u8; 9] = [0x90, 0x5A, 0x00, 0x00, 0x03, 0x11, 0x22, 0x33, 0x00];

/// CreateStdDataFile of 128 bytes under key 0 alone, and read under key 2.
const fn create_file(number: u8, identifier: u8, mode: u8) -> [u8; 15] {
    [0x90, 0xCD, 0x00, 0x00, 0x09, number, identifier, 0xE1, mode, 0x00, 0x20, 0x80, 0x00, 0x00, 0x00]
}

/// Sessions under two keys, files in MAC and Full mode, and keys changed.
#[must_use]
pub fn run(stand: &Stand) -> Outcome {
    let files = [create_file(1, 0x03, 0x00), create_file(2, 0x04, 0x01), create_file(3, 0x05, 0x03)];
    let preparation = [&CREATE_APPLICATION[..], &SELECT_APPLICATION, &files[0], &files[1], &files[2]];
    let result = stand
        .prepared_card("blank-ev2", &preparation)
        .and_then(|card| stand.run(card, &mut stand.own_client("ntag424")))
        .map(|(_, run)| run.lines());
    outcome(CLIENT, "EV2 First, NonFirst, MAC and Full files, GetCardUID, ChangeKey", result)
}

struct Connection(CardOnReader);

impl Transport for Connection {
    type Error = pcsc::Error;
    type Data = Vec<u8>;

    async fn transmit(&mut self, apdu: &[u8]) -> Result<Response<Vec<u8>>, pcsc::Error> {
        let (data, sw1, sw2) = self.0.transmit(apdu)?;
        Ok(Response { data, sw1, sw2 })
    }

    async fn get_uid(&mut self) -> Result<Vec<u8>, pcsc::Error> {
        let (uid, ..) = self.0.transmit(&[0xFF, 0xCA, 0x00, 0x00, 0x00])?;
        Ok(uid)
    }
}

/// The client's own process; `done` hears of each thing that was done.
///
/// # Errors
/// Client and card disagree; the error is the client's.
pub fn play(reader: &str, done: impl FnMut(&str)) -> Result<(), String> {
    let card = CardOnReader::connect(reader).map_err(|error| error.to_string())?;
    finish(dialogue(Connection(card), done)).map_err(|error| error.to_string())
}

/// Runs a future that never waits: the transport answers at once.
fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}

async fn dialogue(mut card: Connection, mut done: impl FnMut(&str)) -> Result<(), Box<dyn std::error::Error>> {
    let zero = [0; 16];
    let rnd_a = *b"reader challenge";
    let at_selection = card.get_uid().await?;

    let session = Session::default();
    session.get_version(&mut card).await?;
    done("GetVersion");
    let session = session.authenticate_aes(&mut card, KeyNumber::Key0, &zero, rnd_a).await?;
    done("ISOSelectFile, AuthenticateEV2First");
    let (uid, mut session) = session.get_uid(&mut card).await?;
    agree(uid[..] == at_selection, "GetCardUID")?;
    done("GetCardUID");

    let text = *b"one hundred bytes, which is more than a frame of the oldest cards holds and less than the newer do!!";
    for (file, mode) in
        [(File::CapabilityContainer, CommMode::Plain), (File::Ndef, CommMode::Mac), (File::Proprietary, CommMode::Full)]
    {
        let (settings, next) = session.get_file_settings(&mut card, file).await?;
        agree(settings.comm_mode == mode, "GetFileSettings")?;
        done("GetFileSettings");
        let next = next.write_file(&mut card, file, 3, &text).await?;
        done("WriteData");
        let mut read = [0; 100];
        let (length, next) = next.read_file(&mut card, file, 3, 100, &mut read).await?;
        agree(length == 100 && read == text, "ReadData")?;
        done("ReadData");
        session = next;
    }

    let session = session.change_key(&mut card, NonMasterKeyNumber::Key2, &NEW_KEY, 0x21, &zero).await?;
    done("ChangeKey, another one");
    let (version, session) = session.get_key_version(&mut card, KeyNumber::Key2).await?;
    agree(version == 0x21, "GetKeyVersion")?;
    done("GetKeyVersion");
    let session = session.authenticate(&mut card, KeyNumber::Key2, &NEW_KEY, rnd_a).await?;
    done("AuthenticateEV2NonFirst, new key");
    let mut read = [0; 100];
    let (_, session) = session.read_file(&mut card, File::Ndef, 3, 100, &mut read).await?;
    agree(read == text, "ReadData under another key")?;
    done("ReadData under another key");
    let session = session.authenticate(&mut card, KeyNumber::Key0, &zero, rnd_a).await?;
    done("AuthenticateEV2NonFirst");
    let session = session.change_master_key(&mut card, &NEW_KEY, 0x42).await?;
    done("ChangeKey, the session's own");
    let session = session.authenticate_aes(&mut card, KeyNumber::Key0, &NEW_KEY, rnd_a).await?;
    done("AuthenticateEV2First, new key");
    session.get_key_version(&mut card, KeyNumber::Key0).await?;
    done("GetKeyVersion");
    Ok(())
}

fn agree(is_so: bool, what: &str) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(format!("{what}: the client got something else")) }
}
