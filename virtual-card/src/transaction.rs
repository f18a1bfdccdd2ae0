//! CommitTransaction, AbortTransaction and the Transaction MAC.

use crate::{
    crypto::{BLOCK, cmac, truncated_cmac},
    file::{Content, File, TransactionMac},
    picc::{Picc, instruction},
    status::Status,
};

impl Picc {
    /// `C7 [Option]`: everything pending becomes the state at once. Option 01 returns the counter and the Transaction
    /// MAC. MF2DL section 10.3; within a session the command needs its MAC even if all files are plain.
    pub(crate) fn commit_transaction(&mut self, data: &[u8]) -> Result<Vec<u8>, Status> {
        let mode = self.command_mode();
        let wants_transaction_mac = match self.open(mode, instruction::COMMIT_TRANSACTION, &[], data)?[..] {
            [] | [0] => false,
            [1] => true,
            [_] => return Err(Status::Parameter),
            _ => return Err(Status::Length),
        };
        if !self.has_transaction()? {
            return Err(Status::NoChanges);
        }
        let uid = self.identity.uid;
        let input = std::mem::take(&mut self.transaction_input);
        let index = self.selected.ok_or(Status::PermissionDenied)?;
        let files = &mut self.applications[index].files;
        let transaction_mac = files.iter_mut().find_map(transaction_mac_mut);
        let mut answer = vec![];
        match transaction_mac {
            Some(transaction_mac) => {
                // At the end of the counter the application commits nothing any more.
                transaction_mac.counter = transaction_mac.counter.checked_add(1).ok_or(Status::PermissionDenied)?;
                transaction_mac.value = transaction_mac_value(transaction_mac, uid, &input);
                if wants_transaction_mac {
                    answer.extend(transaction_mac.counter.to_le_bytes());
                    answer.extend(transaction_mac.value);
                }
            }
            None if wants_transaction_mac => return Err(Status::Parameter),
            None => {}
        }
        for file in files {
            file.commit();
        }
        Ok(self.seal(mode, &answer))
    }

    /// `A7`: forgets everything pending. libfreefare's suite on real cards.
    pub(crate) fn abort_transaction(&mut self, data: &[u8]) -> Result<Vec<u8>, Status> {
        let mode = self.command_mode();
        if !self.open(mode, instruction::ABORT_TRANSACTION, &[], data)?.is_empty() {
            return Err(Status::Length);
        }
        if !self.has_transaction()? {
            return Err(Status::NoChanges);
        }
        self.discard_transaction();
        Ok(self.seal(mode, &[]))
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
        for part in [&[&[instruction], parameters].concat(), data] {
            self.transaction_input.extend(part);
            self.transaction_input.resize(self.transaction_input.len().next_multiple_of(BLOCK), 0);
        }
    }

    pub(crate) fn discard_transaction(&mut self) {
        self.transaction_input.clear();
        for file in self.applications.iter_mut().flat_map(|application| &mut application.files) {
            file.discard();
        }
    }

    fn has_transaction(&self) -> Result<bool, Status> {
        let is_pending = self.application()?.files.iter().any(File::is_pending);
        Ok(is_pending || !self.transaction_input.is_empty())
    }
}

const fn transaction_mac_mut(file: &mut File) -> Option<&mut TransactionMac> {
    match &mut file.content {
        Content::TransactionMac(transaction_mac) => Some(transaction_mac),
        Content::StandardData(_) | Content::BackupData(_) | Content::Value(_) | Content::CyclicRecords(_) => None,
    }
}

/// The MAC under the session key of this counter, which is already the one after the transaction.
fn transaction_mac_value(transaction_mac: &TransactionMac, uid: [u8; 7], input: &[u8]) -> [u8; 8] {
    let mut vector = vec![0x5A, 0x00, 0x01, 0x00, 0x80];
    vector.extend(transaction_mac.counter.to_le_bytes());
    vector.extend(uid);
    truncated_cmac(&cmac(&transaction_mac.key, &vector), input)
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
            let transaction_mac = TransactionMac { key: bytes(key), counter, value: [0; 8] };
            let value = transaction_mac_value(&transaction_mac, bytes(uid), input);
            assert_eq!(value, truncated_cmac(&bytes(session_key), input), "counter {counter}");
        }
    }

    /// A worked example, not silicon: WriteRecord of 20 bytes, then Debit of 3500.
    #[test]
    fn value_of_a_worked_example() {
        let key = bytes("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf");
        let transaction_mac = TransactionMac { key, counter: 4, value: [0; 8] };
        let input = bytes::<64>(
            "3b020000001400000000000000000000000102030405060708090a0b0c0d0e0f10111213000000000000000000000000\
             dc04ac0d000000000000000000000000",
        );
        let value = transaction_mac_value(&transaction_mac, bytes("04be5c8b25b7ef"), &input);
        assert_eq!(hex::encode(value), "64f2d49ddb78119f");
    }
}
