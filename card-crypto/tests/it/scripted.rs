//! Cards made of prepared answers: the handshake is a published one, so what follows can be computed beforehand.

use std::collections::VecDeque;

use aes::{
    Aes128Enc,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use card_crypto::{
    Authenticated, Card, CommunicationMode, Ev2, FrameSize, Key, KeyNumber, Lost, Misuse, SecureMessaging, Transport,
    channel::{Plaintext, SessionKeys},
};
use cmac::{Cmac, Mac};

use crate::vectors::{self, Vector};

/// A card that gives prepared answers, whatever it is asked, and then falls silent.
pub(crate) struct ScriptedCard {
    answers: VecDeque<Result<Vec<u8>, Lost>>,
    pub(crate) sent: Vec<Vec<u8>>,
}

impl ScriptedCard {
    pub(crate) fn new(answers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { answers: answers.into_iter().map(Ok).collect(), sent: Vec::new() }
    }

    pub(crate) fn then_lost(mut self, lost: Lost) -> Self {
        self.answers.push_back(Err(lost));
        self
    }
}

impl Transport for ScriptedCard {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        self.sent.push(command.to_vec());
        self.answers.pop_front().unwrap_or(Err(Lost::Silent))
    }
}

/// The card's end of the session that a published handshake opens, from primitives alone.
pub(crate) struct Peer(Vector);

impl Peer {
    /// AN12196, section 5.6: AuthenticateEV2First with the factory key.
    pub(crate) fn example() -> Self {
        const FILE: &str = include_str!("../vectors/authenticate_ev2_first.txt");
        Self(vectors::named(FILE, "AuthenticateEV2First AN12196 key 0 (with SV1/SV2)"))
    }

    /// The same session under other keys, as after AuthenticateEV2NonFirst.
    pub(crate) fn with_keys(&self, encryption: &str, authentication: &str) -> Self {
        Self(self.0.with("ses_enc", encryption).with("ses_mac", authentication))
    }

    /// The two answers of the handshake.
    pub(crate) fn handshake(&self) -> [Vec<u8>; 2] {
        [with_status(self.0.bytes("enc_rndb"), 0xAF), ok(self.0.bytes("card_response"))]
    }

    /// The reader's end, authenticated with a card that continues with these answers.
    pub(crate) fn authenticated<T: Transport>(&self, card: T, frame_size: FrameSize) -> Card<T, Authenticated> {
        self.authenticate(card, frame_size).expect("the published handshake holds")
    }

    pub(crate) fn authenticate<T: Transport>(
        &self,
        card: T,
        frame_size: FrameSize,
    ) -> Result<Card<T, Authenticated>, card_crypto::Error> {
        let card = Card::new(card, frame_size);
        card.authenticate_ev2_first(KeyNumber::MASTER, &self.0.key("key"), self.0.array("rnda"))
    }

    pub(crate) fn channel(&self, counter: u16) -> Ev2 {
        let keys = SessionKeys { encryption: self.0.key("ses_enc"), authentication: self.0.key("ses_mac") };
        Ev2::new(&keys, self.0.array("ti"), counter)
    }

    /// The answer that says `data`, without status; `counter` is that of the command plus one.
    pub(crate) fn answer(&self, mode: CommunicationMode, counter: u16, data: &[u8]) -> Vec<u8> {
        match mode {
            CommunicationMode::Plain => data.to_vec(),
            CommunicationMode::Mac => [data, &self.mac(0, counter, data)].concat(),
            CommunicationMode::Full if data.is_empty() => self.mac(0, counter, data).to_vec(),
            CommunicationMode::Full => {
                let mut padded = [data, &[0x80]].concat();
                padded.resize(padded.len().next_multiple_of(16), 0);
                self.full_answer_of_padded(counter, padded)
            }
        }
    }

    /// An enciphered answer whose padding is whatever the caller put there; a broken last block stays in clear.
    pub(crate) fn full_answer_of_padded(&self, counter: u16, mut padded: Vec<u8>) -> Vec<u8> {
        let mut chained = [0; 16];
        chained[..2].copy_from_slice(&[0x5A, 0xA5]);
        chained[2..6].copy_from_slice(&self.0.bytes("ti"));
        chained[6..8].copy_from_slice(&counter.to_le_bytes());
        let cipher = Aes128Enc::new(self.0.key("ses_enc").expose_secret().into());
        cipher.encrypt_block((&mut chained).into());
        for block in padded.as_chunks_mut::<16>().0 {
            for (byte, previous) in block.iter_mut().zip(chained) {
                *byte ^= previous;
            }
            cipher.encrypt_block(block.into());
            chained = *block;
        }
        let mac = self.mac(0, counter, &padded);
        [padded.as_slice(), &mac].concat()
    }

    /// The odd bytes of CMAC over `first ‖ counter ‖ TI ‖ body`.
    pub(crate) fn mac(&self, first: u8, counter: u16, body: &[u8]) -> [u8; 8] {
        let message = [&[first][..], &counter.to_le_bytes(), &self.0.bytes("ti"), body].concat();
        let key: Key = self.0.key("ses_mac");
        let mac: [u8; 16] =
            Cmac::<Aes128Enc>::new(key.expose_secret().into()).chain_update(message).finalize().into_bytes().into();
        std::array::from_fn(|i| mac[2 * i + 1])
    }
}

/// Seals a command without the checksum of a key.
pub(crate) fn seal(
    session: &mut impl SecureMessaging,
    mode: CommunicationMode,
    instruction: u8,
    header: &[u8],
    data: &[u8],
) -> Result<Vec<u8>, Misuse> {
    session.seal(&Plaintext { mode, instruction, header, data, checksum: None })
}

pub(crate) fn ok(data: Vec<u8>) -> Vec<u8> {
    with_status(data, 0x00)
}

pub(crate) fn with_status(mut data: Vec<u8>, status: u8) -> Vec<u8> {
    data.extend_from_slice(&[0x91, status]);
    data
}
