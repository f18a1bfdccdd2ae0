//! CommitTransaction (C7): makes a transaction take effect.
//!
//! In a session always with MAC, both ways, even where every file is plain. Option 01 asks an EV2 or EV3 card for the
//! Transaction MAC counter and value. Source: NXP AN12343, CommitTransaction.

use crate::{
    card::{Card, Commit, Staged},
    channel::{AesMessaging, Ev2, NoTransactionMac},
    command::{Command, nothing},
    file::CommunicationMode,
    request::Request,
    transport::Transport,
};

impl<T: Transport, S: AesMessaging> Card<T, Staged<S>> {
    /// Makes the transaction take effect and returns the card's Transaction MAC, where it has one (CommitTransaction).
    ///
    /// In an EV2 session the application needs a Transaction MAC file, with a
    /// [`commit_reader_id`](Card::commit_reader_id) before where that file asks for one; see
    /// [`commit_without_transaction_mac`](Card::commit_without_transaction_mac) for the others.
    pub fn commit(mut self) -> Commit<T, S> {
        let request =
            Request::new(Command::CommitTransaction, CommunicationMode::Mac, S::COMMIT_OPTION).answers(S::COMMIT_BYTES);
        match self.run(Ok(request), |answer| S::transaction_mac(&answer)) {
            Ok(transaction_mac) => Commit::Done { card: self.into_authenticated(), transaction_mac },
            Err(why) => Commit::Unknown { why },
        }
    }
}

impl<T: Transport> Card<T, Staged<Ev2>> {
    /// Makes the transaction of an application without a Transaction MAC file take effect (CommitTransaction without
    /// option).
    pub fn commit_without_transaction_mac(mut self) -> Commit<T, Ev2, NoTransactionMac> {
        match self.run(Ok(Request::new(Command::CommitTransaction, CommunicationMode::Mac, [])), nothing) {
            Ok(()) => Commit::Done { card: self.into_authenticated(), transaction_mac: NoTransactionMac },
            Err(why) => Commit::Unknown { why },
        }
    }
}
