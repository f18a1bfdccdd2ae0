//! ReadRecords and WriteRecord.

use crate::{
    data_files::{Header, overwrite},
    file::{Content, Right},
    picc::{Picc, Reply, instruction},
    status::Status,
};

const READ: [Right; 2] = [Right::Read, Right::ReadWrite];
const WRITE: [Right; 2] = [Right::Write, Right::ReadWrite];

impl Picc {
    /// `BB FileNo RecordNo Count`, record 0 is the newest, count 0 is all from there: oldest first. libfreefare's suite
    /// on real cards; an empty file answers BE there.
    pub(crate) fn read_records(&mut self, data: &[u8]) -> Result<Vec<u8>, Status> {
        let (header, body) = Header::split(data)?;
        let (file, mode) = self.permitted(header.file, &READ)?;
        let Content::CyclicRecords(records) = &file.content else { return Err(Status::PermissionDenied) };
        if !self.open(mode, instruction::READ_RECORDS, header.bytes(), body)?.is_empty() {
            return Err(Status::Length);
        }
        let behind = records.committed.len().checked_sub(header.start).ok_or(Status::Boundary)?;
        let count = if header.count == 0 { behind } else { header.count };
        if count == 0 || count > behind {
            return Err(Status::Boundary);
        }
        let newest_first = records.committed.iter().skip(header.start).take(count);
        let read: Vec<u8> = newest_first.rev().flatten().copied().collect();
        self.hash_into_transaction(instruction::READ_RECORDS, &header.with_count(count), &read);
        Ok(self.seal(mode, &read))
    }

    /// `3B FileNo Offset Length Data`: several in one transaction go into one pending record. libfreefare's suite on
    /// real cards.
    pub(crate) fn write_record(&mut self, data: &[u8]) -> Result<Reply, Status> {
        let (header, body) = Header::split(data)?;
        let (_, mode) = self.permitted(header.file, &WRITE)?;
        let Some(written) = self.open_written(mode, instruction::WRITE_RECORD, &header, body)? else {
            return Ok(Reply::Incomplete);
        };
        let Content::CyclicRecords(records) = self.content_mut(header.file)? else {
            return Err(Status::PermissionDenied);
        };
        let record_length = records.record_length;
        let pending = records.pending.get_or_insert_with(|| vec![0; record_length]);
        overwrite(pending, header.start, &written)?;
        self.hash_into_transaction(instruction::WRITE_RECORD, header.bytes(), &written);
        Ok(Reply::Whole(self.seal(mode, &[])))
    }
}
