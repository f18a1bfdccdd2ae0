//! The crate `desfire` 0.2.0-alpha3: EV1 AES authentication and ChangeKey. It does not check CMACs.

use desfire::{
    Card,
    desfire::{Desfire, FileCommunication},
    error::Error,
    iso7816_4::{apducommand::APDUCommand, apduresponse::APDUResponse},
};

use crate::{
    outcome::Outcome,
    reader::CardOnReader,
    stand::{Stand, outcome},
};

const CLIENT: &str = "desfire (crate)";
const APPLICATION: u32 = 0x33_2211;
const NEW_KEY: [u8; 16] = *b"a newer AES key.";
const FILE: u8 = 1;

/// Creates an application and a file, authenticates, writes, reads, and changes keys.
#[must_use]
pub fn run(stand: &Stand) -> Outcome {
    let result = stand
        .prepared_card("blank-ev1", &[])
        .and_then(|card| stand.run(card, &mut stand.own_client("desfire")))
        .map(|(_, run)| run.lines());
    outcome(CLIENT, "create application and file, AES, write, read, ChangeKey", result)
}

struct Connection(CardOnReader);

impl Card for Connection {
    fn connect(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn disconnect(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn transmit(&self, command: APDUCommand) -> Result<APDUResponse, Error> {
        let (data, sw1, sw2) = self.0.transmit(&Vec::try_from(command)?).map_err(|_| Error::CardError)?;
        Ok(APDUResponse { body: (!data.is_empty()).then_some(data), sw1, sw2 })
    }
}

/// The client's own process; `done` hears of each thing that was done.
///
/// # Errors
/// Client and card disagree; the error is the client's.
pub fn play(reader: &str, mut done: impl FnMut(&str)) -> Result<(), String> {
    let told = |what: &str| {
        let what = what.to_owned();
        move |error: Error| format!("{what}: {error}")
    };
    let card = CardOnReader::connect(reader).map_err(|error| error.to_string())?;
    let mut client = Desfire { card: Some(Box::new(Connection(card))), session_key: None, cbc_iv: None };
    let zero = [0; 16];

    client.create_application(APPLICATION, 0x0F, 0x83).map_err(told("CreateApplication"))?;
    done("CreateApplication");
    if client.get_application_ids().map_err(told("GetApplicationIDs"))? != [APPLICATION] {
        return Err("GetApplicationIDs does not name the new application".to_owned());
    }
    done("GetApplicationIDs");
    client.select_application(APPLICATION).map_err(told("SelectApplication"))?;
    done("SelectApplication");
    let rights = 0x0000;
    client.create_file_standard(FILE, FileCommunication::PLAIN, rights, 64).map_err(told("CreateStdDataFile"))?;
    done("CreateStdDataFile");

    client.authenticate_iso_aes(0, &zero, None).map_err(told("AuthenticateAES"))?;
    done("AuthenticateAES");
    client.write_data(FILE, 0, &[0x5A; 60]).map_err(told("WriteData"))?;
    done("WriteData");
    if client.read_data(FILE, 0, 60).map_err(told("ReadData"))? != [0x5A; 60] {
        return Err("ReadData gives back other bytes than WriteData wrote".to_owned());
    }
    done("ReadData");

    // The crate leaves the CMACs of plain commands out of its chained IV, so a key is changed in a session of its own.
    client.authenticate_iso_aes(0, &zero, None).map_err(told("AuthenticateAES"))?;
    client.change_other_key_aes(1, &NEW_KEY, &zero, 0x21).map_err(told("ChangeKey, another one"))?;
    done("ChangeKey, another one");
    client.authenticate_iso_aes(0, &zero, None).map_err(told("AuthenticateAES"))?;
    client.change_key_aes(0, &NEW_KEY, 0x42).map_err(told("ChangeKey, the session's own"))?;
    done("ChangeKey, the session's own");
    if client.authenticate_iso_aes(0, &zero, None).is_ok() {
        return Err("the card takes the old key".to_owned());
    }
    done("the old key is refused");
    for key in [0, 1] {
        client.authenticate_iso_aes(key, &NEW_KEY, None).map_err(told("AuthenticateAES"))?;
        done("AuthenticateAES, new key");
    }
    Ok(())
}
