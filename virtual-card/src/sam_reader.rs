//! A SAM in a virtual reader: the card's side of the vpcd protocol, as in [`vpcd`](crate::vpcd), for a card that stays.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    os::linux::net::TcpStreamExt,
    thread::JoinHandle,
};

use crate::sam::{ATR, Sam};

/// A SAM that answers from a thread of its own until it is taken out or the reader is gone.
#[derive(Debug)]
pub struct SamInReader {
    stream: TcpStream,
    thread: JoinHandle<Sam>,
}

impl SamInReader {
    /// Puts a SAM into the virtual reader behind this connection.
    ///
    /// # Errors
    /// When the system has no more threads or file descriptors.
    pub fn insert(stream: TcpStream, mut sam: Sam) -> io::Result<Self> {
        let mut connection = stream.try_clone()?;
        let thread = std::thread::Builder::new().name("sam".to_owned()).spawn(move || {
            // A reader that goes away ends it like a hand that takes the SAM out.
            let _ = answer_until_gone(&mut connection, &mut sam);
            sam
        })?;
        Ok(Self { stream, thread })
    }

    /// Takes it out.
    ///
    /// # Errors
    /// When its thread panicked; the SAM is gone with it.
    pub fn remove(self) -> io::Result<Sam> {
        let _ = self.stream.shutdown(Shutdown::Both);
        self.thread.join().map_err(|_| io::Error::other("the thread of the SAM panicked"))
    }
}

fn answer_until_gone(stream: &mut TcpStream, sam: &mut Sam) -> io::Result<()> {
    loop {
        let mut length = [0; 2];
        read_exact(stream, &mut length)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        read_exact(stream, &mut message)?;
        match message[..] {
            [] => {}
            [0x00..=0x02] => sam.power_cycle(),
            [0x04] => write_message(stream, &ATR)?,
            [_] => {}
            _ => write_message(stream, &sam.answer(&message))?,
        }
    }
}

/// vpcd waits for an acknowledgement between the length and the body of a message; see [`vpcd`](crate::vpcd).
fn read_exact(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    stream.set_quickack(true)?;
    stream.read_exact(buffer)
}

/// In one write, so that a message is never torn.
fn write_message(stream: &mut TcpStream, payload: &[u8]) -> io::Result<()> {
    let length = u16::try_from(payload.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    stream.write_all(&[&length.to_be_bytes()[..], payload].concat())
}
