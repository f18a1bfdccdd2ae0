//! CommitTransaction, AbortTransaction, CommitReaderID and the Transaction MAC.

use crate::{
    crypto::{BLOCK, Block, cmac, encrypt_cbc, truncated_cmac},
    file::{Access, CommunicationMode, Content, File, Right, TransactionMac},
    instruction,
    picc::{Generation, Outcome, Picc, Transaction},
    session::Protection,
    status::Status,
};

impl Picc {
    /// `C7 [Option]`: everything pending becomes the state at once. Option 01 returns the counter and the Transaction
    /// MAC. MF2DL section 10.3; within an EV2 session the command needs its MAC even if all files are plain.
    pub(crate) fn commit_transaction(&mut self, data: &[u8]) -> Outcome {
        let wants_transaction_mac = match self.open_command(instruction::COMMIT_TRANSACTION, data)?[..] {
            [] => false,
            _ if self.identity.generation == Generation::Ev1 => return Err(Status::Length),
            [0] => false,
            [1] => true,
            [_] => return Err(Status::Parameter),
            _ => return Err(Status::Length),
        };
        if !self.has_transaction()? {
            return Err(Status::NoChanges);
        }
        let uid = self.identity.uid;
        let Transaction { input, reader_id } = std::mem::take(&mut self.transaction);
        let files = &mut self.application_mut()?.files;
        let mut answer = vec![];
        let transaction_mac_file = files.iter_mut().find(|file| matches!(file.content, Content::TransactionMac(_)));
        match transaction_mac_file {
            Some(File { rights, content: Content::TransactionMac(transaction_mac), .. }) => {
                // Unless its ReadWrite right is "never", a transaction says who it is with.
                if rights.read_write != Access::Never && reader_id.is_none() {
                    return Err(Status::PermissionDenied);
                }
                // At the end of the counter the application commits nothing any more.
                transaction_mac.counter = transaction_mac.next_counter()?;
                transaction_mac.value = transaction_mac_value(transaction_mac, uid, &input);
                transaction_mac.reader_id = reader_id.unwrap_or(transaction_mac.reader_id);
                if wants_transaction_mac {
                    answer.extend(transaction_mac.counter.to_le_bytes());
                    answer.extend(transaction_mac.value);
                }
            }
            _ if wants_transaction_mac => return Err(Status::Parameter),
            _ => {}
        }
        for file in files {
            file.commit();
        }
        Ok(self.seal(Protection::Command, &answer))
    }

    /// `A7`: forgets everything pending. libfreefare's suite on real cards.
    pub(crate) fn abort_transaction(&mut self, data: &[u8]) -> Outcome {
        self.open_empty(instruction::ABORT_TRANSACTION, data)?;
        if !self.has_transaction()? {
            return Err(Status::NoChanges);
        }
        self.discard_transaction();
        self.done()
    }

    /// `C8 TMRI`: says who the transaction is with. To a reader that has authenticated it tells, enciphered for the
    /// holder of the Transaction MAC key, who the last one was with. MF2DL section 10.3.
    pub(crate) fn commit_reader_id(&mut self, data: &[u8]) -> Outcome {
        let mac_file = |file: &&File| matches!(file.content, Content::TransactionMac(_));
        let number = self.application()?.files.iter().find(mac_file).ok_or(Status::PermissionDenied)?.number;
        self.permitted(number, &[Right::ReadWrite])?;
        let is_authenticated = self.session.is_some();
        let protection = Protection::File(CommunicationMode::Mac);
        let opened = self.open_data(protection, instruction::COMMIT_READER_ID, &[], data, Some(BLOCK))?;
        let reader_id: Block = opened.try_into().map_err(|_| Status::Length)?;
        if self.transaction.reader_id.is_some() {
            return Err(Status::PermissionDenied);
        }
        let uid = self.identity.uid;
        let Content::TransactionMac(transaction_mac) = self.content_mut(number)? else {
            return Err(Status::PermissionDenied);
        };
        let answer = if is_authenticated {
            let key = session_key([0xA5, 0x00], transaction_mac, transaction_mac.next_counter()?, uid);
            encrypt_cbc(&key, [0; BLOCK], &transaction_mac.reader_id)
        } else {
            vec![]
        };
        self.transaction.reader_id = Some(reader_id);
        self.hash_into_transaction(instruction::COMMIT_READER_ID, &[&reader_id[..], &answer].concat(), &[]);
        Ok(self.seal(protection, &answer))
    }

    /// Notes what a command read or wrote: the command byte and its parameters, then the data, each filled up with zeros
    /// to whole blocks. MF2DL section 10.3.
    ///
    /// With a Transaction MAC file even a read makes a commit one of something (reported of EV3 silicon).
    pub(crate) fn hash_into_transaction(&mut self, instruction: u8, parameters: &[u8], data: &[u8]) {
        let Ok(application) = self.application() else { return };
        if !application.files.iter().any(|file| matches!(file.content, Content::TransactionMac(_))) {
            return;
        }
        let input = &mut self.transaction.input;
        for part in [&[&[instruction], parameters].concat(), data] {
            input.extend(part);
            input.resize(input.len().next_multiple_of(BLOCK), 0);
        }
    }

    pub(crate) fn discard_transaction(&mut self) {
        self.transaction = Transaction::default();
        for file in self.memory.applications.iter_mut().flat_map(|application| &mut application.files) {
            file.discard();
        }
    }

    fn has_transaction(&self) -> Result<bool, Status> {
        let is_pending = self.application()?.files.iter().any(File::is_pending);
        Ok(is_pending || !self.transaction.input.is_empty())
    }
}

impl TransactionMac {
    /// The counter after the next transaction.
    fn next_counter(&self) -> Result<u32, Status> {
        self.counter.checked_add(1).ok_or(Status::PermissionDenied)
    }
}

/// The session key of a transaction that ends with this counter.
fn session_key(label: [u8; 2], transaction_mac: &TransactionMac, counter: u32, uid: [u8; 7]) -> Block {
    let mut vector = label.to_vec();
    vector.extend([0x01, 0x00, 0x80]);
    vector.extend(counter.to_le_bytes());
    vector.extend(uid);
    cmac(&transaction_mac.key, &vector)
}

/// The MAC under the session key of this counter, which is already the one after the transaction.
fn transaction_mac_value(transaction_mac: &TransactionMac, uid: [u8; 7], input: &[u8]) -> [u8; 8] {
    truncated_cmac(&session_key([0x5A, 0x00], transaction_mac, transaction_mac.counter, uid), input)
}

#[cfg(test)]
mod tests {
    //! Known answers; no Transaction MAC of real silicon with known inputs is public.

    use super::*;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).expect("hex").try_into().expect("length")
    }

    /// proxmark3 `desfiretest.c` TestTransSessionKeys; desfire-sdk `ev3_offline_test.cpp` transaction_vectors().
    #[test]
    fn session_keys() {
        let cases = [
            ("66A8CB93269DC9BC2885B7A91B9C697B", 9u32, "04010203040506", "7C1AD2D9C5C08154A0A4914B401A6598"),
            ("00112233445566778899AABBCCDDEEFF", 1, "04782E21801D80", "2DB206D20F493AC4524EADE977E976B4"),
            ("00112233445566778899AABBCCDDEEFF", 0x0102_0304, "04782E21801D80", "B20237FAB63F46765A10CB37B8CF3363"),
        ];
        for (key, counter, uid, session_key) in cases {
            let input = b"any input";
            let transaction_mac = TransactionMac { counter, ..TransactionMac::new(bytes(key), 0) };
            let value = transaction_mac_value(&transaction_mac, bytes(uid), input);
            assert_eq!(value, truncated_cmac(&bytes(session_key), input), "counter {counter}");
        }
    }

    /// A worked example, not silicon: WriteRecord of 20 bytes, then Debit of 3500.
    #[test]
    fn value_of_a_worked_example() {
        let key = bytes("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf");
        let transaction_mac = TransactionMac { counter: 4, ..TransactionMac::new(key, 0) };
        let input = bytes::<64>(
            "3b020000001400000000000000000000000102030405060708090a0b0c0d0e0f10111213000000000000000000000000\
             dc04ac0d000000000000000000000000",
        );
        let value = transaction_mac_value(&transaction_mac, bytes("04be5c8b25b7ef"), &input);
        assert_eq!(hex::encode(value), "64f2d49ddb78119f");
    }
}
