//! ReadRecords, WriteRecord, UpdateRecord and ClearRecordFile.

use crate::{
    data_files::{Header, overwrite},
    file::{Content, PendingRecord, Records, Right},
    instruction,
    picc::{Outcome, Picc, Reply},
    status::Status,
};

const READ: [Right; 2] = [Right::Read, Right::ReadWrite];
const WRITE: [Right; 2] = [Right::Write, Right::ReadWrite];
const CLEAR: [Right; 1] = [Right::ReadWrite];

impl Picc {
    /// `BB|AB FileNo RecordNo Count`, record 0 is the newest, count 0 is all from there: oldest first. libfreefare's
    /// suite on real cards; an empty file answers BE there.
    pub(crate) fn read_records(&mut self, instruction: u8, data: &[u8]) -> Outcome {
        let number = *data.first().ok_or(Status::Length)?;
        let (file, protection) = self.permitted(number, &READ)?;
        let Content::Records(records) = &file.content else { return Err(Status::PermissionDenied) };
        let committed = records.committed.clone();
        let header = self.open_header(protection, instruction, data)?;
        let behind = committed.len().checked_sub(header.start).ok_or(Status::Boundary)?;
        let count = if header.count == 0 { behind } else { header.count };
        if count == 0 || count > behind {
            return Err(Status::Boundary);
        }
        let newest_first = committed.iter().skip(header.start).take(count);
        let read: Vec<u8> = newest_first.rev().flatten().copied().collect();
        self.hash_into_transaction(instruction, &header.with_count(count), &read);
        Ok(self.seal_read(protection, &header, &read))
    }

    /// `3B|8B FileNo Offset Length Data`: several in one transaction go into one pending record. libfreefare's suite on
    /// real cards.
    pub(crate) fn write_record(&mut self, instruction: u8, data: &[u8]) -> Outcome {
        let (header, body) = Header::split(data)?;
        let (_, protection) = self.permitted(header.file, &WRITE)?;
        let Some(written) = self.open_written(protection, instruction, header.bytes(), header.count, body)? else {
            return Ok(Reply::Incomplete);
        };
        let records = self.records_mut(header.file)?;
        let mut record = match records.pending.take() {
            None if records.is_full() => return Err(Status::Boundary),
            None => vec![0; records.record_length],
            Some(PendingRecord::New(record)) => record,
            // Seen by libfreefare after ClearRecordFile; one pending record of one kind is this model's for the other.
            Some(PendingRecord::Clear | PendingRecord::Update(..)) => return Err(Status::PermissionDenied),
        };
        overwrite(&mut record, header.start, &written)?;
        records.pending = Some(PendingRecord::New(record));
        self.hash_into_transaction(instruction, header.bytes(), &written);
        Ok(self.seal(protection, &[]))
    }

    /// `DB|BA FileNo RecordNo Offset Length Data`, record 0 is the newest. AN12343 section 8; proxmark3. That a
    /// transaction may update one record of a file is this model's.
    pub(crate) fn update_record(&mut self, instruction: u8, data: &[u8]) -> Outcome {
        let (header, body) = data.split_first_chunk::<10>().ok_or(Status::Length)?;
        let &[number, r0, r1, r2, o0, o1, o2, l0, l1, l2] = header;
        let of = |low, middle, high| usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
        let (index, offset, length) = (of(r0, r1, r2), of(o0, o1, o2), of(l0, l1, l2));
        let (_, protection) = self.permitted(number, &WRITE)?;
        let Some(written) = self.open_written(protection, instruction, header, length, body)? else {
            return Ok(Reply::Incomplete);
        };
        let records = self.records_mut(number)?;
        let mut record = match records.pending.take() {
            None => records.committed.get(index).cloned().ok_or(Status::Boundary)?,
            Some(PendingRecord::Update(pending, record)) if pending == index => record,
            Some(PendingRecord::New(_) | PendingRecord::Clear | PendingRecord::Update(..)) => {
                return Err(Status::PermissionDenied);
            }
        };
        overwrite(&mut record, offset, &written)?;
        records.pending = Some(PendingRecord::Update(index, record));
        self.hash_into_transaction(instruction, header, &written);
        Ok(self.seal(protection, &[]))
    }

    /// `EB FileNo`: pending until the commit; no record can be written before. libfreefare's suite on real cards.
    pub(crate) fn clear_record_file(&mut self, data: &[u8]) -> Outcome {
        let number = *data.first().ok_or(Status::Length)?;
        self.permitted(number, &CLEAR)?;
        let parameters = self.open_command(instruction::CLEAR_RECORD_FILE, data)?;
        if parameters != [number] {
            return Err(Status::Length);
        }
        self.records_mut(number)?.pending = Some(PendingRecord::Clear);
        self.hash_into_transaction(instruction::CLEAR_RECORD_FILE, &[number], &[]);
        self.done()
    }

    fn records_mut(&mut self, number: u8) -> Result<&mut Records, Status> {
        match self.content_mut(number)? {
            Content::Records(records) => Ok(records),
            Content::StandardData(_) | Content::BackupData(_) | Content::Value(_) | Content::TransactionMac(_) => {
                Err(Status::PermissionDenied)
            }
        }
    }
}
