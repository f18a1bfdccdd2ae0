//! A card laid on a virtual reader: the card's side of vsmartcard's vpcd protocol.
//!
//! Each message is a length (two bytes, most significant first) and that many bytes. Five single bytes are control
//! messages, of which only "send the ATR" is answered; everything else is a command and is always answered. Another
//! byte alone is a native DESFire command, which some clients send unwrapped.
//! Source: the vpcd driver of vsmartcard 3.3, as packaged by Debian.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    os::linux::net::TcpStreamExt,
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
};

use crate::field::{CardInField, Step, Traffic};

/// What happens while a card lies on the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A command was sent to the card.
    Exchange {
        /// From 1.
        number: u32,
        /// The command's name in the documents.
        instruction: &'static str,
    },
    /// The card has acted on this exchange, and its answer waits for [`Holder::release`].
    Holding {
        /// From 1.
        number: u32,
    },
    /// The card tore: it left without answering.
    Lost,
    /// The card is out of the field, whatever the reason. Always the last event.
    Removed(Traffic),
}

/// Somebody who holds a card on a virtual reader; the card answers from a thread of its own.
#[derive(Debug)]
pub struct Holder {
    orders: Sender<Order>,
    stream: TcpStream,
    thread: JoinHandle<CardInField>,
}

enum Order {
    Release,
    Remove,
}

impl Holder {
    /// Presents a card to the virtual reader behind this connection.
    ///
    /// `on_event` is called from the card's thread.
    ///
    /// # Errors
    /// When the system has no more threads or file descriptors.
    pub fn present(
        stream: TcpStream,
        card: CardInField,
        on_event: impl FnMut(Event) + Send + 'static,
    ) -> io::Result<Self> {
        let (orders, received_orders) = channel();
        let connection = Connection { stream: stream.try_clone()?, orders: received_orders };
        let thread =
            std::thread::Builder::new().name("card".to_owned()).spawn(move || connection.serve(card, on_event))?;
        Ok(Self { orders, stream, thread })
    }

    /// Lets a held answer go; without one it has no effect on what comes later.
    pub fn release(&self) {
        // A card that has left takes no orders.
        let _ = self.orders.send(Order::Release);
    }

    /// Takes the card away.
    ///
    /// # Errors
    /// When the card's thread panicked; the card is gone with it.
    pub fn remove(self) -> io::Result<CardInField> {
        // A card that has left takes no orders, and its connection is closed.
        let _ = self.orders.send(Order::Remove);
        let _ = self.stream.shutdown(Shutdown::Both);
        self.wait()
    }

    /// Waits until the card has left by itself: it tore, or the reader is gone.
    ///
    /// # Errors
    /// When the card's thread panicked; the card is gone with it.
    pub fn wait(self) -> io::Result<CardInField> {
        self.thread.join().map_err(|_| io::Error::other("the card's thread panicked"))
    }
}

/// The card's end of the connection.
struct Connection {
    stream: TcpStream,
    orders: Receiver<Order>,
}

impl Connection {
    fn serve(mut self, mut card: CardInField, mut on_event: impl FnMut(Event)) -> CardInField {
        // A reader that goes away ends a presentation like a hand that takes the card.
        let _ = self.answer_until_gone(&mut card, &mut on_event);
        let _ = self.stream.shutdown(Shutdown::Both);
        on_event(Event::Removed(card.traffic()));
        card
    }

    fn answer_until_gone(&mut self, card: &mut CardInField, on_event: &mut impl FnMut(Event)) -> io::Result<()> {
        loop {
            let message = self.read_message()?;
            match message[..] {
                [] => {}
                [0x00..=0x02] => card.power_cycle(),
                [0x04] => self.write_message(&card.card().answer_to_reset())?,
                [0x03] => {}
                _ => {
                    let Some((answer, arrived)) = self.exchange(&message, card, on_event) else { return Ok(()) };
                    if arrived < answer.len() {
                        return self.write_part(&answer, arrived);
                    }
                    self.write_message(&answer)?;
                }
            }
        }
    }

    /// The answer to an APDU, and how much of it arrives; none when the card has left.
    fn exchange(
        &self,
        command: &[u8],
        card: &mut CardInField,
        on_event: &mut impl FnMut(Event),
    ) -> Option<(Vec<u8>, usize)> {
        let before = card.transcript().len();
        // An order to release is for an answer that is being held, not for a later one.
        let is_removed = self.orders.try_iter().any(|order| matches!(order, Order::Remove));
        if is_removed {
            return None;
        }
        let step = card.step(command);
        let exchange = card.transcript().get(before);
        if let Some(exchange) = exchange {
            on_event(Event::Exchange { number: exchange.number, instruction: exchange.instruction_name() });
        }
        if exchange.is_some() {
            std::thread::sleep(card.chip_time());
        }
        let answer = match step {
            Step::Answered(answer) => answer,
            Step::Torn(answer, arrived) => {
                on_event(Event::Lost);
                return Some((answer, arrived));
            }
            Step::Held(answer) => {
                on_event(Event::Holding { number: exchange.map_or(0, |exchange| exchange.number) });
                match self.orders.recv() {
                    Ok(Order::Release) => answer,
                    Ok(Order::Remove) | Err(_) => return None,
                }
            }
            Step::Lost => {
                on_event(Event::Lost);
                return None;
            }
        };
        // The reader's service would wait for ever behind an empty answer.
        let length = answer.len();
        (length > 0).then_some((answer, length))
    }

    fn read_message(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 2];
        self.read_exact(&mut length)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        self.read_exact(&mut message)?;
        Ok(message)
    }

    /// vpcd writes length and body apart with Nagle's algorithm on: unless each is acknowledged at once, an exchange takes
    /// 44 ms. The kernel forgets the setting, so it is renewed before every read.
    fn read_exact(&mut self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            self.stream.set_quickack(true)?;
            match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => buffer = &mut buffer[read..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A message that breaks off within its body.
    fn write_part(&mut self, payload: &[u8], arrived: usize) -> io::Result<()> {
        let length = u16::try_from(payload.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        self.stream.write_all(&[&length.to_be_bytes()[..], &payload[..arrived]].concat())
    }

    /// In one write, so that a message is never torn.
    fn write_message(&mut self, payload: &[u8]) -> io::Result<()> {
        let length = u16::try_from(payload.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        self.stream.write_all(&[&length.to_be_bytes()[..], payload].concat())
    }
}
