//! Each single bit of each secure message, flipped: the card refuses it, and nothing has changed.

use virtual_card::Picc;

use crate::{
    raw_reader::{counting, fixture, wrap},
    secure_reader::{Messaging, Protection, Session, checksum},
};

const KEY: [u8; 16] = [0; 16];
const NEW_KEY: [u8; 16] = *b"another AES key.";

/// A command, its clear header, its data in clear, how both travel, and what the answer does.
struct Message {
    name: &'static str,
    protection: Protection,
    instruction: u8,
    header: Vec<u8>,
    data: Vec<u8>,
    /// Commands in MAC before it in the same session.
    before: Vec<(u8, Vec<u8>)>,
}

/// A card with an application under two AES keys of zeros, in which key 0 has every right: a standard and a backup data
/// file, a value that can be credited, records in both kinds of file, and where the chip can a Transaction MAC.
fn card(messaging: Messaging, mode: u8) -> Picc {
    let is_ev2 = messaging == Messaging::Ev2;
    let mut card = fixture(if is_ev2 { "blank-ev2" } else { "blank-ev1" }).card(counting());
    let application: &[u8] = if is_ev2 {
        &[1, 2, 3, 0x0F, 0x92, 0x01, 0, 2, 16, 0] // AES, key sets
    } else {
        &[1, 2, 3, 0x0F, 0x82]
    };
    let mut plain = |instruction: u8, data: &[u8]| {
        assert_eq!(card.handle(&wrap(instruction, data)), [0x91, 0x00], "{instruction:02X} {data:02X?}");
    };
    const FREE: u8 = 0xEE;
    plain(0xCA, application);
    plain(0x5A, &[1, 2, 3]);
    plain(0xCD, &[1, 0, FREE, FREE, 32, 0, 0]);
    plain(0xCB, &[2, 0, FREE, FREE, 32, 0, 0]);
    plain(0xCC, &[3, 0, FREE, FREE, 0, 0, 0, 0, 0xE8, 3, 0, 0, 0xF4, 1, 0, 0, 1]);
    plain(0xC1, &[4, 0, FREE, FREE, 16, 0, 0, 4, 0, 0]);
    plain(0xC0, &[5, 0, FREE, FREE, 16, 0, 0, 4, 0, 0]);
    plain(0x3B, &[&[4, 0, 0, 0, 16, 0, 0][..], &[7; 16]].concat());
    plain(0x3B, &[&[5, 0, 0, 0, 16, 0, 0][..], &[8; 16]].concat());
    plain(0xDC, &[3, 100, 0, 0, 0]);
    plain(0xC7, &[]);
    for file in 1..=5 {
        plain(0x5F, &[file, mode, 0, 0]);
    }
    if is_ev2 {
        plain(0xCE, &[&[15, mode, 0x00, 0x0F, 2][..], &[9; 16], &[0]].concat());
    }
    card
}

fn messages(messaging: Messaging, mode: Protection) -> Vec<Message> {
    let message = |name, protection, instruction, header: &[u8], data: &[u8]| Message {
        name,
        protection,
        instruction,
        header: header.to_vec(),
        data: data.to_vec(),
        before: vec![],
    };
    let mut own = [&NEW_KEY[..], &[1]].concat();
    let mut other = own.clone();
    match messaging {
        Messaging::Ev1 => {
            own.extend(checksum(&[&[0xC4, 0][..], &NEW_KEY, &[1]].concat()));
            other.extend(checksum(&[&[0xC4, 1][..], &NEW_KEY, &[1]].concat()));
            other.extend(checksum(&NEW_KEY));
        }
        Messaging::Ev2 => other.extend(checksum(&NEW_KEY)),
    }
    let mut messages = vec![
        message("WriteData", mode, 0x3D, &[1, 0, 0, 0, 4, 0, 0], &[1, 2, 3, 4]),
        message("WriteData, backup", mode, 0x3D, &[2, 0, 0, 0, 32, 0, 0], &[5; 32]),
        message("Credit", mode, 0x0C, &[3], &[7, 0, 0, 0]),
        message("Debit", mode, 0xDC, &[3], &[7, 0, 0, 0]),
        message("LimitedCredit", mode, 0x1C, &[3], &[7, 0, 0, 0]),
        message("WriteRecord, linear", mode, 0x3B, &[4, 0, 0, 0, 16, 0, 0], &[6; 16]),
        message("WriteRecord, cyclic", mode, 0x3B, &[5, 0, 0, 0, 16, 0, 0], &[6; 16]),
        message("ChangeKeySettings", Protection::Full, 0x54, &[], &[0x0B]),
        message("ChangeFileSettings", Protection::Full, 0x5F, &[1], &[0, 0, 0x10]),
        message("ChangeKey, own", Protection::Key, 0xC4, &[0], &own),
        message("ChangeKey, other", Protection::Key, 0xC4, &[1], &other),
    ];
    if messaging == Messaging::Ev1 {
        return messages;
    }
    let parameters = |name, instruction, header: &[u8]| message(name, Protection::Parameters, instruction, header, &[]);
    messages.extend([
        message("UpdateRecord", mode, 0xDB, &[5, 0, 0, 0, 0, 0, 0, 16, 0, 0], &[6; 16]),
        message("WriteData, ISO chaining", mode, 0x8D, &[1, 0, 0, 0, 4, 0, 0], &[1, 2, 3, 4]),
        message("ChangeKeyEV2", Protection::Key, 0xC6, &[0, 1], &other),
        parameters("ReadData", 0xBD, &[1, 0, 0, 0, 4, 0, 0]),
        parameters("GetValue", 0x6C, &[3]),
        parameters("ReadRecords", 0xBB, &[4, 0, 0, 0, 1, 0, 0]),
        parameters("ClearRecordFile", 0xEB, &[4]),
        parameters("CommitReaderID", 0xC8, &[3; 16]),
        parameters("CreateStdDataFile", 0xCD, &[6, 0, 0, 0, 32, 0, 0]),
        parameters("DeleteFile", 0xDF, &[1]),
        parameters("GetFileIDs", 0x6F, &[]),
        parameters("GetFileSettings", 0xF5, &[1]),
        parameters("GetKeySettings", 0x45, &[]),
        parameters("GetKeyVersion", 0x64, &[1]),
        parameters("GetVersion", 0x60, &[]),
        parameters("GetCardUID", 0x51, &[]),
        parameters("FreeMem", 0x6E, &[]),
        parameters("Read_Sig", 0x3C, &[0]),
        parameters("InitializeKeySet", 0x56, &[1, 2]),
        Message { before: vec![(0xEB, vec![5]), (0xC8, vec![3; 16])], ..parameters("CommitTransaction", 0xC7, &[1]) },
        Message { before: vec![(0xEB, vec![5])], ..parameters("AbortTransaction", 0xA7, &[]) },
    ]);
    messages
}

/// The card just before the message, and the message.
fn before(card: &Picc, messaging: Messaging, message: &Message) -> (Picc, Session, Vec<u8>) {
    let mut card = Picc::with_memory(card.identity().clone(), card.memory().clone(), counting());
    assert_eq!(card.handle(&wrap(0x5A, &[1, 2, 3])), [0x91, 0x00]);
    let mut session = Session::open(&mut card, messaging, 0, KEY);
    for (instruction, header) in &message.before {
        let command = session.command(Protection::Parameters, *instruction, header, &[]);
        session.answer(Protection::Parameters, card.handle(&command));
    }
    let command = session.command(message.protection, message.instruction, &message.header, &message.data);
    (card, session, command)
}

#[test]
fn every_bit_of_every_command() {
    for (messaging, mode, byte, expected) in [
        (Messaging::Ev1, Protection::Mac, 1, (11, 2_656)),
        (Messaging::Ev1, Protection::Full, 3, (11, 2_976)),
        (Messaging::Ev2, Protection::Mac, 1, (32, 6_200)),
        (Messaging::Ev2, Protection::Full, 3, (32, 7_192)),
    ] {
        let messages = messages(messaging, mode);
        let mut flips = 0;
        let issued = card(messaging, byte);
        for message in &messages {
            let (mut genuine, _, command) = before(&issued, messaging, message);
            let answer = genuine.handle(&command);
            let status = &answer[answer.len() - 2..];
            assert!([[0x91, 0x00], [0x91, 0xAF], [0x91, 0x90]].iter().any(|good| good == status), "{}", message.name);
            for bit in 0..8 * command.len() {
                let (mut card, _, mut command) = before(&issued, messaging, message);
                let memory = card.memory().clone();
                command[bit / 8] ^= 1 << (bit % 8);
                let answer = card.handle(&command);
                // A longer length makes the card wait for more, and whatever comes then is refused.
                let waits = answer == [0x91, 0xAF];
                let refused = match answer[answer.len() - 2..] {
                    [0x91, 0x00 | 0x90] | [0x90, 0x00] => false,
                    [0x91, 0xAF] => waits,
                    _ => true,
                };
                assert!(refused, "{} in {messaging:?} {mode:?}, bit {bit}: {answer:02X?}", message.name);
                if waits {
                    let more = card.handle(&wrap(0xAF, &[0; 20]));
                    assert!(!more.ends_with(&[0x91, 0x00]), "{}, bit {bit}: {more:02X?}", message.name);
                } else if message.before.is_empty() {
                    assert_eq!(*card.memory(), memory, "{}, bit {bit}", message.name);
                }
                flips += 1;
            }
        }
        println!("{messaging:?} {mode:?}: {} messages, {flips} flips, none accepted", messages.len());
        assert_eq!(messages.len(), expected.0);
        assert_eq!(flips, expected.1);
    }
}
