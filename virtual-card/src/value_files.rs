//! GetValue, Debit, Credit and LimitedCredit.

use crate::{
    file::{CommunicationMode, Content, Right, Value},
    instruction,
    picc::{Outcome, Picc},
    session::Protection,
    status::Status,
};

/// Whoever may read a value may debit it: the rule that makes Read on a purse a key's, never free.
const GET_OR_DEBIT: [Right; 3] = [Right::Read, Right::Write, Right::ReadWrite];
const CREDIT: [Right; 1] = [Right::ReadWrite];
const LIMITED_CREDIT: [Right; 2] = [Right::Write, Right::ReadWrite];

impl Picc {
    /// `6C FileNo`: the committed value, to the debitor too. libfreefare's suite on real cards. Free GetValue (flag bit 1)
    /// lets anybody, in clear.
    pub(crate) fn get_value(&mut self, data: &[u8]) -> Outcome {
        let number = *data.first().ok_or(Status::Length)?;
        let file = self.application()?.file(number).ok_or(Status::FileNotFound)?;
        let Content::Value(value) = &file.content else { return Err(Status::PermissionDenied) };
        let (value, is_free) = (value.committed.to_le_bytes(), value.is_get_value_free);
        let protection = match self.permitted(number, &GET_OR_DEBIT) {
            Ok((_, protection)) => protection,
            Err(_) if is_free => Protection::File(CommunicationMode::Plain),
            Err(status) => return Err(status),
        };
        let parameters = self.open_parameters(protection, instruction::GET_VALUE, data)?;
        if parameters != [number] {
            return Err(Status::Length);
        }
        self.hash_into_transaction(instruction::GET_VALUE, &[&[number][..], &value].concat(), &[]);
        Ok(self.seal(protection, &value))
    }

    /// `DC FileNo Amount`: pending until the commit, the lower limit holds at once. libfreefare's suite on real cards.
    pub(crate) fn debit(&mut self, data: &[u8]) -> Outcome {
        self.change_value(instruction::DEBIT, &GET_OR_DEBIT, data, Value::debit)
    }

    /// `0C FileNo Amount`: pending until the commit, the upper limit holds at once. libfreefare's suite on real cards.
    pub(crate) fn credit(&mut self, data: &[u8]) -> Outcome {
        self.change_value(instruction::CREDIT, &CREDIT, data, Value::credit)
    }

    /// `1C FileNo Amount`: gives back what the last transaction with a debit took, where the file allows it.
    /// libfreefare's suite on real cards.
    pub(crate) fn limited_credit(&mut self, data: &[u8]) -> Outcome {
        self.change_value(instruction::LIMITED_CREDIT, &LIMITED_CREDIT, data, Value::credit_limited)
    }

    fn change_value(
        &mut self,
        instruction: u8,
        rights: &[Right],
        data: &[u8],
        change: impl FnOnce(&mut Value, i32) -> Result<(), Status>,
    ) -> Outcome {
        let (&number, body) = data.split_first().ok_or(Status::Length)?;
        let (_, protection) = self.permitted(number, rights)?;
        let amount = self.open_data(protection, instruction, &[number], body, Some(4))?;
        let amount = i32::from_le_bytes(amount.try_into().map_err(|_| Status::Length)?);
        if amount < 0 {
            return Err(Status::Parameter);
        }
        let Content::Value(value) = self.content_mut(number)? else { return Err(Status::PermissionDenied) };
        change(value, amount)?;
        let parameters = [&[number][..], &amount.to_le_bytes()].concat();
        self.hash_into_transaction(instruction, &parameters, &[]);
        Ok(self.seal(protection, &[]))
    }
}
