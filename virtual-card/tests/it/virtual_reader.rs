//! A card on a virtual reader; the test plays the reader's service.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
};

use virtual_card::{
    CardInField, Fault, Traffic,
    vpcd::{Event, Holder},
};

use crate::raw_reader::{AID, card, fixture, wrap};

/// The service's end of a card's connection.
pub(crate) struct VirtualReader(TcpStream);

impl VirtualReader {
    /// A reader and where it listens.
    pub(crate) fn listen() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        (listener, address)
    }

    pub(crate) fn accept(listener: &TcpListener) -> Self {
        Self(listener.accept().expect("a card").0)
    }

    pub(crate) fn send(&mut self, message: &[u8]) {
        let length = u16::try_from(message.len()).expect("a short message").to_be_bytes();
        // Two writes, as vpcd does.
        self.0.write_all(&length).expect("a card that listens");
        self.0.write_all(message).expect("a card that listens");
    }

    /// The card's next message; none when it has closed the connection without a byte.
    pub(crate) fn receive(&mut self) -> Option<Vec<u8>> {
        let mut bytes = [0; 2];
        if self.0.read(&mut bytes[..1]).expect("a card") == 0 {
            return None;
        }
        self.0.read_exact(&mut bytes[1..]).expect("a whole length");
        let mut message = vec![0; usize::from(u16::from_be_bytes(bytes))];
        self.0.read_exact(&mut message).expect("a whole message");
        Some(message)
    }

    /// Everything until the card closes the connection.
    pub(crate) fn receive_rest(&mut self) -> Vec<u8> {
        let mut bytes = vec![];
        self.0.read_to_end(&mut bytes).expect("a card");
        bytes
    }

    pub(crate) fn exchange(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        self.send(message);
        self.receive()
    }
}

fn present(card: CardInField) -> (Holder, VirtualReader, Receiver<Event>) {
    let (listener, address) = VirtualReader::listen();
    let (events, received) = channel();
    let stream = TcpStream::connect(address).expect("the reader listens");
    let on_event = move |event| events.send(event).expect("the test listens");
    let holder = Holder::present(stream, card, on_event).expect("a thread");
    (holder, VirtualReader::accept(&listener), received)
}

/// Of a DESFire as it leaves the factory, by PC/SC part 3, section 3.1.3.2.3.
const ATR: [u8; 6] = [0x3B, 0x81, 0x80, 0x01, 0x80, 0x80];
const SELECTED: &[u8] = &[0x91, 0x00];

#[test]
fn control_messages_and_commands() {
    let (holder, mut reader, events) = present(CardInField::new(card("adult-listed")));
    assert_eq!(reader.exchange(&[0x04]).as_deref(), Some(&ATR[..]), "the ATR is given even before power");
    reader.send(&[0x01]);
    assert_eq!(reader.exchange(&[0x04]).as_deref(), Some(&ATR[..]));
    let uid = [&fixture("adult-listed").identity().uid[..], &[0x90, 0x00]].concat();
    assert_eq!(reader.exchange(&[0xFF, 0xCA, 0x00, 0x00, 0x00]), Some(uid));
    assert_eq!(reader.exchange(&wrap(0x5A, &AID)).as_deref(), Some(SELECTED));
    assert_eq!(reader.exchange(&wrap(0x6F, &[])), Some(vec![1, 2, 3, 0x91, 0x00]));
    for control in [0x00, 0x02] {
        reader.send(&[control]);
        assert_eq!(reader.exchange(&wrap(0x6F, &[])), Some(vec![0x91, 0x9D]), "the selection went with the power");
        assert_eq!(reader.exchange(&wrap(0x5A, &AID)).as_deref(), Some(SELECTED));
    }
    let card = holder.remove().expect("a card");
    assert_eq!(card.traffic().exchanges, 6);
    assert_eq!(reader.receive(), None);
    let names: Vec<_> = events.iter().collect();
    assert_eq!(names[0], Event::Exchange { number: 1, instruction: "SelectApplication" });
    assert_eq!(names[6], Event::Removed(card.traffic()));
}

/// What lies there decides what a reader makes of it: a card of another kind has another ATR, two at once have one that
/// no reader can power up.
#[test]
fn what_is_no_desfire() {
    let (holder, mut reader, _events) = present(CardInField::new(card("classic")));
    let classic = "3B8F8001804F0CA000000306030001000000006A";
    assert_eq!(reader.exchange(&[0x04]).map(hex::encode_upper).as_deref(), Some(classic), "PC/SC part 3, supplement");
    assert_eq!(reader.exchange(&[0xFF, 0xCA, 0, 0, 0]), Some(vec![0xC1, 0xA5, 0x51, 0xC0, 0x90, 0x00]));
    assert_eq!(reader.exchange(&wrap(0x60, &[])), Some(vec![0x6A, 0x81]));
    holder.remove().expect("a card");

    let (holder, mut reader, _events) = present(CardInField::new(card("clash")));
    assert!(reader.exchange(&[0x04]).is_some_and(|atr| atr.len() > 33), "no ATR is that long");
    assert_eq!(reader.exchange(&wrap(0x60, &[])), None);
    holder.remove().expect("cards");
}

#[test]
fn a_torn_card_closes_the_connection_without_a_byte() {
    for fault in [Fault::LoseBefore(2), Fault::LoseAfter(2)] {
        let (holder, mut reader, events) = present(CardInField::new(card("torn")).with_fault(fault));
        assert_eq!(reader.exchange(&wrap(0x5A, &AID)).as_deref(), Some(SELECTED));
        assert_eq!(reader.exchange(&wrap(0x5A, &AID)), None, "{fault:?}");
        let card = holder.wait().expect("a card");
        // Each exchange: command 9 + 3 bytes, answer 2 + 3; the second has no answer.
        assert_eq!(card.traffic(), Traffic { exchanges: 2, bytes_on_air: 17 + 12 });
        assert_eq!(events.iter().nth(2), Some(Event::Lost));
    }
}

#[test]
fn a_held_answer_waits_for_its_release() {
    let (holder, mut reader, events) = present(CardInField::new(card("adult")).with_fault(Fault::Hold(1)));
    reader.send(&wrap(0x5A, &AID));
    assert_eq!(events.recv(), Ok(Event::Exchange { number: 1, instruction: "SelectApplication" }));
    assert_eq!(events.recv(), Ok(Event::Holding { number: 1 }));
    holder.release();
    assert_eq!(reader.receive().as_deref(), Some(SELECTED));
    holder.remove().expect("a card");
}

#[test]
fn a_card_taken_away_while_it_holds_never_answers() {
    let (holder, mut reader, events) = present(CardInField::new(card("adult")).with_fault(Fault::Hold(1)));
    reader.send(&wrap(0x5A, &AID));
    assert!(events.iter().any(|event| event == Event::Holding { number: 1 }));
    holder.remove().expect("a card");
    assert_eq!(reader.receive(), None);
}

#[test]
fn a_reader_that_goes_away_ends_the_presentation() {
    let (holder, reader, events) = present(CardInField::new(card("adult")));
    drop(reader);
    holder.wait().expect("a card");
    assert_eq!(events.iter().collect::<Vec<_>>(), [Event::Removed(Traffic::default())]);
}
