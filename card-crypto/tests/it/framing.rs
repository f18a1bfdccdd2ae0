//! What goes over the air, and what may not come back.

use card_crypto::{
    Aid, Card, CommunicationMode, Error, FileNumber, FrameSize, Generation, Idle, Lost, Misbehaviour, RecordRange,
    Status, Version,
};

use crate::scripted::{Peer, ScriptedCard, ok, seal, with_status};

const RECORDS: FileNumber = FileNumber::new(3).expect("below 32");

#[test]
fn commands_are_wrapped() {
    let mut card = ScriptedCard::new([ok(vec![])]);
    Card::new(&mut card, FrameSize::Bytes64).select_application(Aid([0x01, 0x4E, 0x48])).unwrap();
    assert_eq!(hex::encode_upper(&card.sent[0]), "905A000003014E4800");

    let peer = Peer::example();
    let mut card = ScriptedCard::new(peer.handshake());
    peer.authenticated(&mut card, FrameSize::Bytes128);
    assert_eq!(hex::encode_upper(&card.sent[0]), "9071000002000000");
    assert_eq!(
        hex::encode_upper(&card.sent[1]),
        "90AF00002035C3E05A752E0144BAC0DE51C1F22C56B34408A23D8AEA266CAB947EA8E0118D00"
    );
}

/// A record of 60 bytes with header and MAC is 75 bytes: one frame from EV2 on, two on EV1.
#[test]
fn long_commands_are_cut_by_frame_size() {
    let peer = Peer::example();
    let data: Vec<u8> = (0..60).collect();
    let done = || ok(peer.answer(CommunicationMode::Mac, 1, &[]));
    let sealed = seal(&mut peer.channel(0), CommunicationMode::Mac, 0x3B, &[3, 0, 0, 0, 60, 0, 0], &data).unwrap();
    for (frame_size, more_frames, data_lengths) in
        [(FrameSize::Bytes64, 1, &[54, 21][..]), (FrameSize::Bytes128, 0, &[75]), (FrameSize::Bytes256, 0, &[75])]
    {
        let more = std::iter::repeat_n(with_status(vec![], 0xAF), more_frames);
        let mut card = ScriptedCard::new(peer.handshake().into_iter().chain(more).chain([done()]));
        let staged = peer.authenticated(&mut card, frame_size).stage();
        staged.write_record(RECORDS, CommunicationMode::Mac, 0, &data).unwrap();

        let frames = &card.sent[2..];
        assert_eq!(frames.iter().map(|frame| usize::from(frame[4])).collect::<Vec<_>>(), data_lengths);
        assert_eq!(frames.iter().map(|frame| frame[1]).collect::<Vec<_>>(), [0x3B, 0xAF][..frames.len()]);
        assert!(frames.iter().all(|frame| frame.len() == usize::from(frame[4]) + 6));
        assert_eq!(frames.iter().flat_map(|frame| &frame[5..frame.len() - 1]).copied().collect::<Vec<_>>(), sealed);
    }
}

#[test]
fn answers_are_joined() {
    let peer = Peer::example();
    let data: Vec<u8> = (0..120).collect();
    let range = RecordRange { first: 0, count: 2, record_length: 60 };
    for mode in [CommunicationMode::Plain, CommunicationMode::Mac, CommunicationMode::Full] {
        for frame_bytes in [1, 59, 60, 119, 1000] {
            let answer = peer.answer(mode, 1, &data);
            let mut frames: Vec<Vec<u8>> =
                answer.chunks(frame_bytes).map(|frame| with_status(frame.to_vec(), 0xAF)).collect();
            *frames.last_mut().unwrap().last_mut().unwrap() = 0x00;
            let mut card = ScriptedCard::new(peer.handshake().into_iter().chain(frames));
            let read = peer.authenticated(&mut card, FrameSize::Bytes64).read_records(RECORDS, mode, range);
            assert_eq!(read.as_ref(), Ok(&data), "{mode:?}, {frame_bytes} bytes a frame");
            assert!(card.sent[3..].iter().all(|frame| frame == &[0x90, 0xAF, 0, 0, 0]));
        }
    }
}

#[test]
fn get_version_reads_three_frames() {
    let frames = [
        with_status(vec![0x04, 0x01, 0x01, 0x12, 0x00, 0x18, 0x05], 0xAF),
        with_status(vec![0x04, 0x01, 0x01, 0x02, 0x01, 0x18, 0x05], 0xAF),
        ok(vec![0x04, 0x78, 0x2E, 0x21, 0x80, 0x1D, 0x80, 1, 2, 3, 4, 5, 0x34, 0x25]),
    ];
    let mut card = ScriptedCard::new(frames.clone());
    let version = Card::new(&mut card, FrameSize::Bytes64).get_version().unwrap();
    assert_eq!((version.hardware.major, version.software.major), (0x12, 0x02));
    assert_eq!(version.uid, [0x04, 0x78, 0x2E, 0x21, 0x80, 0x1D, 0x80]);
    assert_eq!((version.batch, version.production_week, version.production_year), ([1, 2, 3, 4, 5], 0x34, 0x25));

    assert_eq!((version.generation(), version.configured_for), (Some(Generation::Ev2), None));
    let mut longer = frames.clone();
    longer[2].splice(14..14, [0x5A]);
    let longer = Card::new(ScriptedCard::new(longer), FrameSize::Bytes64).get_version().unwrap();
    assert_eq!(longer, Version { configured_for: Some(0x5A), ..version });

    let peer = Peer::example();
    let data: Vec<u8> = frames.iter().flat_map(|frame| &frame[..frame.len() - 2]).copied().collect();
    let [first, second, _] = frames;
    let last = ok(peer.answer(CommunicationMode::Mac, 1, &data)[14..].to_vec());
    let mut card = ScriptedCard::new(peer.handshake().into_iter().chain([first, second, last]));
    assert_eq!(peer.authenticated(&mut card, FrameSize::Bytes64).get_version(), Ok(version));
}

#[test]
fn what_is_no_answer_is_told_apart() {
    let aid = Aid([1, 2, 3]);
    let select = |card: &mut Card<ScriptedCard, Idle>| card.select_application(aid);
    let check = |answer: Vec<u8>, expected: Result<(), Error>| {
        let mut card = Card::new(ScriptedCard::new([answer.clone()]), FrameSize::Bytes64);
        assert_eq!(select(&mut card), expected, "{answer:02X?}");
    };
    let command = card_crypto::Command::SelectApplication;
    check(vec![], Err(Error::Lost(Lost::Card)));
    check(vec![0x91], Err(Error::Lost(Lost::Card)));
    check(vec![0x91, 0xA0], Err(Error::Refused { command, status: Status::ApplicationNotFound }));
    check(vec![0x91, 0x77], Err(Error::Refused { command, status: Status::Other(0x77) }));
    check(vec![0x90, 0x00], Err(Misbehaviour::ForeignStatusWord { sw1: 0x90, sw2: 0x00 }.into()));
    check(vec![0x6D, 0x00], Err(Misbehaviour::ForeignStatusWord { sw1: 0x6D, sw2: 0x00 }.into()));
    check(vec![0x00, 0x91, 0x00], Err(Misbehaviour::WrongLength { expected: 0, actual: 1 }.into()));
    check(vec![0x91, 0xAF], Err(Misbehaviour::UnexpectedFrame.into()));
}

#[test]
fn a_card_cannot_chain_for_ever() {
    struct Endless(Vec<u8>);
    impl card_crypto::Transport for Endless {
        fn exchange(&mut self, _: &[u8]) -> Result<Vec<u8>, Lost> {
            Ok(self.0.clone())
        }
    }
    let version = |frame| Card::new(Endless(frame), FrameSize::Bytes64).get_version();
    assert_eq!(version(with_status(vec![], 0xAF)), Err(Misbehaviour::UnexpectedFrame.into()));
    let too_long = Misbehaviour::WrongLength { expected: 29, actual: 30 };
    assert_eq!(version(with_status(vec![0], 0xAF)), Err(too_long.into()));
}

/// The card must ask for each further frame of a command, with an empty answer.
#[test]
fn a_command_chain_that_the_card_breaks_is_misbehaviour() {
    let peer = Peer::example();
    for early in [ok(vec![]), ok(peer.answer(CommunicationMode::Mac, 1, &[])), with_status(vec![1], 0xAF)] {
        let mut card = ScriptedCard::new(peer.handshake().into_iter().chain([early]));
        let staged = peer.authenticated(&mut card, FrameSize::Bytes64).stage();
        let written = staged.write_record(RECORDS, CommunicationMode::Mac, 0, &[0; 60]);
        assert_eq!(written.unwrap_err(), Misbehaviour::UnexpectedFrame.into());
    }
}
