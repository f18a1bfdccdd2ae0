//! Framing, secure messaging and access rights, command by command.

use virtual_card::{CardInField, Fixture, field::Step, framing::FrameSize};

use crate::raw_reader::{
    AID, INSPECT, ISSUER, LOAD, MASTER, MOMENT, PURSE, RECORD, RawReader, Refusal, VALIDATE, card, counting, fixture,
    fixtures, keys, wrap,
};

const LENGTH: u8 = 0x7E;

fn refused(status: u8) -> Result<Vec<u8>, Refusal> {
    Err(Refusal::Status(status))
}

#[test]
fn apdus_that_are_no_wrapped_command() {
    let cases: [(&[u8], [u8; 2]); 10] = [
        (&[], [0x91, LENGTH]),
        (&[0x90], [0x91, LENGTH]),
        (&[0x90, 0x60, 0x00, 0x00], [0x91, LENGTH]),
        (&[0x90, 0x60, 0x01, 0x00, 0x00], [0x91, 0x9E]),
        (&[0x90, 0x60, 0x00, 0x00, 0x01], [0x91, 0x9E]),
        (&[0x90, 0x5A, 0x00, 0x00, 0x03, 0x01, 0x4E, 0x00], [0x91, LENGTH]),
        (&[0x00, 0xA4, 0x04, 0x00, 0x00], [0x67, 0x00]),
        (&[0x80, 0xA4, 0x04, 0x00, 0x00], [0x6E, 0x00]),
        (&[0x90, 0xAF, 0x00, 0x00, 0x00], [0x91, 0x1C]),
        (&[0x90, 0x99, 0x00, 0x00, 0x00], [0x91, 0x1C]),
    ];
    for (apdu, answer) in cases {
        assert_eq!(card("adult").handle(apdu), answer, "{apdu:02X?}");
    }
}

#[test]
fn the_reader_answers_for_itself() {
    let mut field = CardInField::new(card("adult"));
    let uid = [&fixture("adult").identity().uid[..], &[0x90, 0x00]].concat();
    assert_eq!(field.step(&[0xFF, 0xCA, 0x00, 0x00, 0x00]), Step::Answered(uid));
    assert_eq!(field.step(&[0xFF, 0x00, 0x00, 0x00, 0x00]), Step::Answered(vec![0x6A, 0x81]));
    assert_eq!(field.traffic().exchanges, 0);
}

#[test]
fn version_in_three_frames() {
    let mut reader = RawReader::new(CardInField::new(card("adult")));
    let frames = [(0x60, 7), (0xAF, 7), (0xAF, 14)];
    let version: Vec<u8> = frames
        .into_iter()
        .flat_map(|(instruction, length)| {
            let frame = reader.send(instruction, &[]).expect("a version");
            assert_eq!(frame.len(), length);
            frame
        })
        .collect();
    assert_eq!(version[3], 0x12, "hardware of EV2");
    assert_eq!(version[14..21], fixture("adult").identity().uid);

    let mut reader = RawReader::authenticated("adult", VALIDATE);
    let mac = reader.mac(0x60, &[]);
    reader.send(0x60, &mac).expect("a version");
    reader.send(0xAF, &[]).expect("a version");
    assert_eq!(reader.send(0xAF, &[]).expect("a version").len(), 14 + 8, "one MAC over all three frames");
}

#[test]
fn wrong_keys_are_refused() {
    let mut reader = RawReader::new(CardInField::new(card("clone")));
    reader.select().expect("our application");
    assert_eq!(reader.authenticate(VALIDATE), Err(Refusal::Status(0xAE)));
    let mut reader = RawReader::new(CardInField::new(card("adult")));
    reader.select().expect("our application");
    assert_eq!(reader.send(0x71, &[4, 0]), refused(0x40));
    let mut reader = RawReader::new(CardInField::new(card("foreign")));
    assert_eq!(reader.select(), refused(0xA0));
}

/// Which key may do what; the status of each command without data of its own.
#[test]
fn access_rights() {
    const DENIED: Option<u8> = Some(0xAE);
    const NEVER: Option<u8> = Some(0x9D);
    let read_issuer = (0xBD, vec![ISSUER, 0, 0, 0, 0, 0, 0]);
    let write_issuer = (0x3D, vec![ISSUER, 0, 0, 0, 1, 0, 0, 7]);
    let get_value = (0x6C, vec![PURSE]);
    let debit = (0xDC, vec![PURSE, 1, 0, 0, 0]);
    let credit = (0x0C, vec![PURSE, 1, 0, 0, 0]);
    let limited_credit = (0x1C, vec![PURSE, 1, 0, 0, 0]);
    let read_records = (0xBB, vec![RECORD, 0, 0, 0, 1, 0, 0]);
    let write_record = (0x3B, vec![RECORD, 0, 0, 0, 1, 0, 0, 7]);
    let read_transaction_mac = (0xBD, vec![0x0F, 0, 0, 0, 0, 0, 0]);
    // (command, under the inspect key, under validate, under load)
    let table = [
        (read_issuer, DENIED, None, None),
        (write_issuer, DENIED, DENIED, None),
        (get_value, DENIED, None, None),
        (debit, DENIED, None, None),
        (credit, DENIED, DENIED, None),
        (limited_credit, DENIED, DENIED, NEVER),
        (read_records, None, None, DENIED),
        (write_record, DENIED, None, DENIED),
        (read_transaction_mac, NEVER, NEVER, NEVER),
    ];
    for ((instruction, data), inspect, validate, load) in table {
        for (key, expected) in [(INSPECT, inspect), (VALIDATE, validate), (LOAD, load)] {
            let answer = RawReader::authenticated("adult", key).maced(instruction, &data);
            let status = answer.err().map(|refusal| match refusal {
                Refusal::Status(status) => status,
                Refusal::Lost => panic!("nothing loses the field here"),
            });
            assert_eq!(status, expected, "{instruction:02X} under key {key}");
        }
        let mut reader = RawReader::new(CardInField::new(card("adult")));
        reader.select().expect("our application");
        let without_session = if inspect == NEVER { 0x9D } else { 0xAE };
        assert_eq!(reader.send(instruction, &data), refused(without_session), "{instruction:02X} without a session");
    }
}

#[test]
fn a_wrong_or_missing_mac_ends_the_session() {
    let mut reader = RawReader::authenticated("adult", VALIDATE);
    assert_eq!(reader.send(0xDC, &[PURSE, 1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]), refused(0x1E));
    assert_eq!(reader.get_value(), Err(Refusal::Status(0xAE)));

    for option in [&[][..], &[1]] {
        let mut reader = RawReader::authenticated("adult", VALIDATE);
        reader.debit(1).expect("enough money");
        assert_eq!(reader.send(0xC7, option), refused(LENGTH), "a commit without MAC");
    }
}

#[test]
fn a_command_replayed_does_not_count_twice() {
    let mut reader = RawReader::authenticated("adult", VALIDATE);
    let data = [PURSE, 1, 0, 0, 0];
    let command = [&data[..], &reader.mac(0xDC, &data)].concat();
    reader.maced(0xDC, &data).expect("enough money");
    assert_eq!(reader.send(0xDC, &command), refused(0x1E));
}

#[test]
fn chains_in_both_directions() {
    let path = fixtures().join("cards/adult.toml");
    let source = std::fs::read_to_string(path).expect("a card of the project");
    for (frame_size, frames_written, frames_read) in [("64", 2, 2), ("128", 1, 1), ("256", 1, 1)] {
        let directory = directory_for(&format!("frame-{frame_size}"));
        let path = directory.join("card.toml");
        std::fs::copy(fixtures().join("cards/layout-1.toml"), directory.join("layout-1.toml")).expect("a copy");
        std::fs::write(&path, source.replace("frame_size = 128", &format!("frame_size = {frame_size}")))
            .expect("a copy");
        let fixture = Fixture::load(&path, &keys(), MOMENT).expect("a valid card");
        let limit = match fixture.identity().frame_size {
            FrameSize::Bytes64 => 59,
            FrameSize::Bytes128 => 123,
            FrameSize::Bytes256 => 251,
        };
        let mut reader = RawReader::new(CardInField::new(fixture.card(counting())));
        reader.select().expect("our application");
        reader.authenticate(VALIDATE).expect("the right key");

        let data = [&[RECORD, 0, 0, 0, 60, 0, 0][..], &[7; 60]].concat();
        let command = [&data[..], &reader.mac(0x3B, &data)].concat();
        let before = reader.field.traffic().exchanges;
        let mut instruction = 0x3B;
        for frame in command.chunks(limit) {
            reader.send(instruction, frame).expect("a frame of a record");
            instruction = 0xAF;
        }
        assert_eq!(reader.field.traffic().exchanges - before, frames_written, "written at {frame_size}");

        let mut reader = RawReader::new(reader.field);
        reader.select().expect("our application");
        reader.authenticate(VALIDATE).expect("the right key");
        let data = [RECORD, 0, 0, 0, 1, 0, 0];
        let command = [&data[..], &reader.mac(0xBB, &data)].concat();
        let mut read = reader.send(0xBB, &command).expect("a record");
        let mut frames = 1;
        while reader.has_more() {
            read.extend(reader.send(0xAF, &[]).expect("a frame of a record"));
            frames += 1;
        }
        assert_eq!((read.len(), frames), (60 + 8, frames_read), "read at {frame_size}");
        std::fs::remove_dir_all(directory).expect("the copy");
    }
}

#[test]
fn a_chain_is_not_interrupted() {
    let mut reader = RawReader::new(CardInField::new(card("adult")));
    reader.send(0x60, &[]).expect("a version");
    assert_eq!(reader.send(0x5A, &AID), refused(0xCA));
    assert_eq!(reader.send(0xAF, &[]), refused(0x1C));
}

#[test]
fn a_frame_has_a_limit() {
    assert_eq!(card("adult").handle(&wrap(0x5A, &[0; 124])), [0x91, LENGTH]);
}

#[test]
fn what_the_card_tells_about_its_files() {
    let mut reader = RawReader::authenticated("adult", MASTER);
    assert_eq!(reader.maced(0x6F, &[]), Ok(vec![ISSUER, PURSE, RECORD, 0x0F]));
    let settings = [
        (ISSUER, "010130 2F 400000"),
        (PURSE, "020130 2F 00000000 80841E00 00000000 00"),
        (RECORD, "040120 1F 3C0000 0C0000 010000"),
        (0x0F, "0501F0 FF 02 00"),
    ];
    for (file, expected) in settings {
        let expected = hex::decode(expected.replace(' ', "")).expect("hexadecimal");
        assert_eq!(reader.maced(0xF5, &[file]), Ok(expected), "file {file}");
    }
    assert_eq!(reader.maced(0x64, &[VALIDATE]), Ok(vec![0]));
    assert_eq!(reader.maced(0xF5, &[9]), refused(0xF0));
}

fn directory_for(name: &str) -> std::path::PathBuf {
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&directory).expect("a directory for the test");
    directory
}
