//! ReadData and WriteData.

use crate::{
    file::{CommunicationMode, Content, Right},
    picc::{Picc, Reply, instruction},
    session::protected_length,
    status::Status,
};

const READ: [Right; 2] = [Right::Read, Right::ReadWrite];
const WRITE: [Right; 2] = [Right::Write, Right::ReadWrite];

/// The seven bytes in clear before the data of a read or a write.
pub(crate) struct Header {
    pub(crate) file: u8,
    /// The offset; in ReadRecords the number of the newest record to be read.
    pub(crate) start: usize,
    /// The length; in ReadRecords the number of records.
    pub(crate) count: usize,
    bytes: [u8; 7],
}

impl Header {
    pub(crate) fn split(data: &[u8]) -> Result<(Self, &[u8]), Status> {
        let (bytes, body) = data.split_first_chunk::<7>().ok_or(Status::Length)?;
        let &[file, s0, s1, s2, c0, c1, c2] = bytes;
        let number = |low, middle, high| usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
        Ok((Self { file, start: number(s0, s1, s2), count: number(c0, c1, c2), bytes: *bytes }, body))
    }

    pub(crate) const fn bytes(&self) -> &[u8; 7] {
        &self.bytes
    }

    /// The header with the count that a count of 0 stands for.
    pub(crate) fn with_count(&self, count: usize) -> [u8; 7] {
        let [file, s0, s1, s2, ..] = self.bytes;
        let count = count.to_le_bytes();
        [file, s0, s1, s2, count[0], count[1], count[2]]
    }
}

impl Picc {
    /// `BD FileNo Offset Length`, length 0 is to the end: AN12343 table 25. Reads the committed state, to the writer too.
    pub(crate) fn read_data(&mut self, data: &[u8]) -> Result<Vec<u8>, Status> {
        let (header, body) = Header::split(data)?;
        let (file, mode) = self.permitted(header.file, &READ)?;
        let content = match &file.content {
            Content::StandardData(data) => data.clone(),
            Content::BackupData(data) => data.committed.clone(),
            Content::TransactionMac(mac) => [&mac.counter.to_le_bytes()[..], &mac.value].concat(),
            Content::Value(_) | Content::CyclicRecords(_) => return Err(Status::PermissionDenied),
        };
        let is_hashed = !matches!(file.content, Content::TransactionMac(_));
        if !self.open(mode, instruction::READ_DATA, header.bytes(), body)?.is_empty() {
            return Err(Status::Length);
        }
        let rest = content.get(header.start..).ok_or(Status::Boundary)?;
        let wanted = if header.count == 0 { rest.len() } else { header.count };
        let read = rest.get(..wanted).filter(|read| !read.is_empty()).ok_or(Status::Boundary)?;
        if is_hashed {
            self.hash_into_transaction(instruction::READ_DATA, &header.with_count(read.len()), read);
        }
        Ok(self.seal(mode, read))
    }

    /// `3D FileNo Offset Length Data`: AN12343 tables 23 and 24. A backup file keeps it pending until the commit.
    pub(crate) fn write_data(&mut self, data: &[u8]) -> Result<Reply, Status> {
        let (header, body) = Header::split(data)?;
        let (_, mode) = self.permitted(header.file, &WRITE)?;
        let Some(written) = self.open_written(mode, instruction::WRITE_DATA, &header, body)? else {
            return Ok(Reply::Incomplete);
        };
        match self.content_mut(header.file)? {
            Content::StandardData(content) => overwrite(content, header.start, &written)?,
            Content::BackupData(content) => {
                let pending = content.pending.get_or_insert_with(|| content.committed.clone());
                overwrite(pending, header.start, &written)?;
            }
            Content::Value(_) | Content::CyclicRecords(_) | Content::TransactionMac(_) => {
                return Err(Status::PermissionDenied);
            }
        }
        self.hash_into_transaction(instruction::WRITE_DATA, header.bytes(), &written);
        Ok(Reply::Whole(self.seal(mode, &[])))
    }

    /// The data of a write in clear; none when more frames must come first.
    pub(crate) fn open_written(
        &self,
        mode: CommunicationMode,
        instruction: u8,
        header: &Header,
        body: &[u8],
    ) -> Result<Option<Vec<u8>>, Status> {
        if header.count == 0 {
            return Err(Status::Parameter);
        }
        let expected = protected_length(mode, header.count);
        if body.len() < expected {
            return Ok(None);
        }
        if body.len() > expected {
            return Err(Status::Length);
        }
        let written = self.open(mode, instruction, header.bytes(), body)?;
        if written.len() == header.count { Ok(Some(written)) } else { Err(Status::Length) }
    }
}

/// Writes inside existing bytes, never past their end.
pub(crate) fn overwrite(content: &mut [u8], offset: usize, written: &[u8]) -> Result<(), Status> {
    let target = content.get_mut(offset..offset + written.len()).ok_or(Status::Boundary)?;
    target.copy_from_slice(written);
    Ok(())
}
