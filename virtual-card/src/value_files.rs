//! GetValue, Debit, Credit and LimitedCredit.

use crate::{
    file::{CommunicationMode, Content, Right},
    picc::{Picc, instruction},
    status::Status,
};

/// Whoever may read a value may debit it: the rule that makes Read on a purse a key's, never free.
const GET_OR_DEBIT: [Right; 3] = [Right::Read, Right::Write, Right::ReadWrite];
const CREDIT: [Right; 1] = [Right::ReadWrite];
const LIMITED_CREDIT: [Right; 2] = [Right::Write, Right::ReadWrite];

impl Picc {
    /// `6C FileNo`: the committed value, to the debitor too. libfreefare's suite on real cards.
    pub(crate) fn get_value(&mut self, data: &[u8]) -> Result<Vec<u8>, Status> {
        let (&number, body) = data.split_first().ok_or(Status::Length)?;
        let (file, mode) = self.permitted(number, &GET_OR_DEBIT)?;
        let Content::Value(value) = &file.content else { return Err(Status::PermissionDenied) };
        let value = value.committed.to_le_bytes();
        if !self.open(mode, instruction::GET_VALUE, &[number], body)?.is_empty() {
            return Err(Status::Length);
        }
        self.hash_into_transaction(instruction::GET_VALUE, &[&[number][..], &value].concat(), &[]);
        Ok(self.seal(mode, &value))
    }

    /// `DC FileNo Amount`: pending until the commit, the lower limit holds at once. libfreefare's suite on real cards.
    pub(crate) fn debit(&mut self, data: &[u8]) -> Result<Vec<u8>, Status> {
        let change = self.open_amount(instruction::DEBIT, &GET_OR_DEBIT, data)?;
        self.change_value(instruction::DEBIT, &change, -change.amount, change.amount.unsigned_abs())
    }

    /// `0C FileNo Amount`: pending until the commit, the upper limit holds at once. libfreefare's suite on real cards.
    pub(crate) fn credit(&mut self, data: &[u8]) -> Result<Vec<u8>, Status> {
        let change = self.open_amount(instruction::CREDIT, &CREDIT, data)?;
        self.change_value(instruction::CREDIT, &change, change.amount, 0)
    }

    /// `1C FileNo Amount`: the value files of this card have limited credit off.
    pub(crate) fn limited_credit(&mut self, data: &[u8]) -> Result<Vec<u8>, Status> {
        self.open_amount(instruction::LIMITED_CREDIT, &LIMITED_CREDIT, data)?;
        Err(Status::PermissionDenied)
    }

    fn open_amount(&self, instruction: u8, rights: &[Right], data: &[u8]) -> Result<Change, Status> {
        let (&number, body) = data.split_first().ok_or(Status::Length)?;
        let (_, mode) = self.permitted(number, rights)?;
        let amount = self.open(mode, instruction, &[number], body)?;
        let amount = i32::from_le_bytes(amount.try_into().map_err(|_| Status::Length)?);
        if amount < 0 {
            return Err(Status::Parameter);
        }
        Ok(Change { file: number, mode, amount })
    }

    fn change_value(
        &mut self,
        instruction: u8,
        change: &Change,
        difference: i32,
        debit: u32,
    ) -> Result<Vec<u8>, Status> {
        let Content::Value(value) = self.content_mut(change.file)? else { return Err(Status::PermissionDenied) };
        value.change(difference, debit)?;
        let parameters = [&[change.file][..], &change.amount.to_le_bytes()].concat();
        self.hash_into_transaction(instruction, &parameters, &[]);
        Ok(self.seal(change.mode, &[]))
    }
}

/// A checked change of a value.
struct Change {
    file: u8,
    mode: CommunicationMode,
    /// 0 or more.
    amount: i32,
}
