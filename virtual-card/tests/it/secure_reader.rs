//! A reader that builds secure messages by itself, EV1 and EV2: from AES and CMAC alone, and so from neither side's code.

use virtual_card::Picc;

use crate::raw_reader::{RND_A, cmac, decrypt, encrypt, odd_bytes, wrap};

/// Whose messaging a session speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Messaging {
    Ev1,
    Ev2,
}

/// What protects the data of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// Parameters alone: a MAC in EV2, nothing in EV1.
    Parameters,
    Mac,
    Full,
    /// A ChangeKey cryptogram, whose checksums are part of the data.
    Key,
}

/// A session under an AES key.
pub(crate) struct Session {
    messaging: Messaging,
    encryption_key: [u8; 16],
    mac_key: [u8; 16],
    identifier: [u8; 4],
    counter: u16,
    vector: [u8; 16],
}

fn block(bytes: &[u8]) -> [u8; 16] {
    bytes.try_into().expect("a block")
}

fn xor(one: &[u8], other: &[u8]) -> Vec<u8> {
    one.iter().zip(other).map(|(a, b)| a ^ b).collect()
}

/// CBC from a vector: its first block takes the vector with it.
pub(crate) fn encrypt_from(key: [u8; 16], vector: [u8; 16], data: &[u8]) -> Vec<u8> {
    encrypt(key, &[&xor(&data[..16], &vector)[..], &data[16..]].concat())
}

fn decrypt_from(key: [u8; 16], vector: [u8; 16], data: &[u8]) -> Vec<u8> {
    let clear = decrypt(key, data);
    [&xor(&clear[..16], &vector)[..], &clear[16..]].concat()
}

/// A CMAC that starts from a vector: that of a message whose first block enciphers to the vector.
fn cmac_from(key: [u8; 16], vector: [u8; 16], message: &[u8]) -> [u8; 16] {
    cmac(key, &[&decrypt(key, &vector)[..], message].concat())
}

/// IEEE 802.3 without the final complement, bit by bit from the polynomial as printed.
pub(crate) fn checksum(data: &[u8]) -> [u8; 4] {
    let mut register = u32::MAX;
    for bit in data.iter().flat_map(|byte| (0..8).map(move |shift| u32::from(byte >> shift & 1))) {
        let feedback = register >> 31 ^ bit;
        register = register << 1 ^ if feedback == 1 { 0x04C1_1DB7 } else { 0 };
    }
    register.reverse_bits().to_le_bytes()
}

impl Session {
    /// Authenticates on the selected level: AA or 71.
    pub(crate) fn open(card: &mut Picc, messaging: Messaging, number: u8, key: [u8; 16]) -> Self {
        let (instruction, parameters) = match messaging {
            Messaging::Ev1 => (0xAA, vec![number]),
            Messaging::Ev2 => (0x71, vec![number, 0]),
        };
        let challenge = strip(card.handle(&wrap(instruction, &parameters)), 0xAF);
        let rnd_b = decrypt(key, &challenge);
        let response = [&RND_A[..], &rnd_b[1..], &rnd_b[..1]].concat();
        let vector = if messaging == Messaging::Ev1 { block(&challenge) } else { [0; 16] };
        let sent = encrypt_from(key, vector, &response);
        let answer = strip(card.handle(&wrap(0xAF, &sent)), 0x00);
        let rotated = [&RND_A[1..], &RND_A[..1]].concat();
        match messaging {
            Messaging::Ev1 => {
                assert_eq!(decrypt_from(key, block(&sent[16..]), &answer), rotated, "the card's proof");
                let session_key = [&RND_A[..4], &rnd_b[..4], &RND_A[12..], &rnd_b[12..]].concat();
                let session_key = block(&session_key);
                Self {
                    messaging,
                    encryption_key: session_key,
                    mac_key: session_key,
                    identifier: [0; 4],
                    counter: 0,
                    vector: [0; 16],
                }
            }
            Messaging::Ev2 => {
                let clear = decrypt(key, &answer);
                assert_eq!(clear[4..20], rotated, "the card's proof");
                let mixed = xor(&RND_A[2..8], &rnd_b[..6]);
                let keys = [[0xA5, 0x5A], [0x5A, 0xA5]].map(|label| {
                    let vector = [&label, &[0, 1, 0, 0x80][..], &RND_A[..2], &mixed, &rnd_b[6..], &RND_A[8..]].concat();
                    cmac(key, &vector)
                });
                let identifier = [clear[0], clear[1], clear[2], clear[3]];
                Self { messaging, encryption_key: keys[0], mac_key: keys[1], identifier, counter: 0, vector: [0; 16] }
            }
        }
    }

    /// The APDU of a command.
    pub(crate) fn command(&mut self, protection: Protection, instruction: u8, header: &[u8], data: &[u8]) -> Vec<u8> {
        let message = [&[instruction], header, data].concat();
        let body = match (self.messaging, protection) {
            (Messaging::Ev1, Protection::Parameters) => {
                self.vector = cmac_from(self.mac_key, self.vector, &message);
                data.to_vec()
            }
            (Messaging::Ev1, Protection::Mac) => {
                self.vector = cmac_from(self.mac_key, self.vector, &message);
                [data, &self.vector[..8]].concat()
            }
            (Messaging::Ev1, Protection::Full | Protection::Key) => {
                let checksum = if protection == Protection::Full { checksum(&message).to_vec() } else { vec![] };
                let mut plain = [data, &checksum].concat();
                plain.resize(plain.len().next_multiple_of(16), 0);
                let enciphered = encrypt_from(self.encryption_key, self.vector, &plain);
                self.vector = block(&enciphered[enciphered.len() - 16..]);
                enciphered
            }
            (Messaging::Ev2, _) => {
                let data = match protection {
                    Protection::Full | Protection::Key if !data.is_empty() => {
                        let mut plain = [data, &[0x80]].concat();
                        plain.resize(plain.len().next_multiple_of(16), 0);
                        encrypt_from(self.encryption_key, self.initial([0xA5, 0x5A]), &plain)
                    }
                    Protection::Parameters | Protection::Mac | Protection::Full | Protection::Key => data.to_vec(),
                };
                let counted =
                    [&[instruction], &self.counter.to_le_bytes()[..], &self.identifier, header, &data].concat();
                [data, odd_bytes(cmac(self.mac_key, &counted))].concat()
            }
        };
        wrap(instruction, &[header, &body].concat())
    }

    /// The data of a whole answer, whose MAC, checksum and padding are checked.
    pub(crate) fn answer(&mut self, protection: Protection, answer: Vec<u8>) -> Vec<u8> {
        let mut answer = strip(answer, 0x00);
        self.counter += 1;
        match self.messaging {
            Messaging::Ev1 if protection == Protection::Full && answer.len() > 8 => {
                let clear = decrypt_from(self.encryption_key, self.vector, &answer);
                self.vector = block(&answer[answer.len() - 16..]);
                let length = (0..clear.len() - 3)
                    .find(|&length| checksum(&[&clear[..length], &[0]].concat()) == clear[length..length + 4])
                    .expect("a checksum");
                clear[..length].to_vec()
            }
            Messaging::Ev1 => {
                let mac = answer.split_off(answer.len() - 8);
                self.vector = cmac_from(self.mac_key, self.vector, &[&answer[..], &[0]].concat());
                assert_eq!(mac, self.vector[..8], "the answer's MAC");
                answer
            }
            Messaging::Ev2 => {
                let mac = answer.split_off(answer.len() - 8);
                let counted = [&[0], &self.counter.to_le_bytes()[..], &self.identifier, &answer].concat();
                assert_eq!(mac, odd_bytes(cmac(self.mac_key, &counted)), "the answer's MAC");
                if protection != Protection::Full || answer.is_empty() {
                    return answer;
                }
                let clear = decrypt_from(self.encryption_key, self.initial([0x5A, 0xA5]), &answer);
                let mark = clear.iter().rposition(|&byte| byte != 0).expect("a padding");
                assert_eq!(clear[mark], 0x80, "the answer's padding");
                clear[..mark].to_vec()
            }
        }
    }

    /// Follows a session past a whole answer, whatever it says: counts it, and takes its MAC or last block for the vector.
    pub(crate) fn accept(&mut self, answer: &[u8]) {
        self.counter += 1;
        let body = &answer[..answer.len() - 2];
        if self.messaging == Messaging::Ev1 && body.len() >= 8 {
            let data = [&body[..body.len() - 8], &[0]].concat();
            self.vector = cmac_from(self.mac_key, self.vector, &data);
        }
    }

    fn initial(&self, label: [u8; 2]) -> [u8; 16] {
        let mut vector = [&label[..], &self.identifier, &self.counter.to_le_bytes()].concat();
        vector.resize(16, 0);
        block(&encrypt(self.encryption_key, &vector))
    }
}

/// An answer without its status, which must be this one.
pub(crate) fn strip(mut answer: Vec<u8>, status: u8) -> Vec<u8> {
    let ending = answer.split_off(answer.len() - 2);
    assert_eq!(ending, [0x91, status], "the card's status");
    answer
}
