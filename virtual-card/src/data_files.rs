//! ReadData and WriteData.

use crate::{
    file::{Content, Right},
    picc::{Outcome, Picc, Reply},
    session::{Length, Protection},
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
    /// `BD|AD FileNo Offset Length`, length 0 is to the end: AN12343 table 25. Reads the committed state, to the writer
    /// too.
    pub(crate) fn read_data(&mut self, instruction: u8, data: &[u8]) -> Outcome {
        let number = *data.first().ok_or(Status::Length)?;
        let (file, protection) = self.permitted(number, &READ)?;
        let content = match &file.content {
            Content::StandardData(data) => data.data.clone(),
            Content::BackupData(data) => data.committed.clone(),
            Content::TransactionMac(mac) => [&mac.counter.to_le_bytes()[..], &mac.value].concat(),
            Content::Value(_) | Content::Records(_) => return Err(Status::PermissionDenied),
        };
        let is_hashed = !matches!(file.content, Content::TransactionMac(_));
        let header = self.open_header(protection, instruction, data)?;
        let rest = content.get(header.start..).ok_or(Status::Boundary)?;
        let wanted = if header.count == 0 { rest.len() } else { header.count };
        let read = rest.get(..wanted).filter(|read| !read.is_empty()).ok_or(Status::Boundary)?;
        if is_hashed {
            self.hash_into_transaction(instruction, &header.with_count(read.len()), read);
        }
        Ok(self.seal_read(protection, &header, read))
    }

    /// `3D|8D FileNo Offset Length Data`: AN12343 tables 23 and 24. A backup file keeps it pending until the commit.
    pub(crate) fn write_data(&mut self, instruction: u8, data: &[u8]) -> Outcome {
        let (header, body) = Header::split(data)?;
        let (_, protection) = self.permitted(header.file, &WRITE)?;
        let Some(written) = self.open_written(protection, instruction, header.bytes(), header.count, body)? else {
            return Ok(Reply::Incomplete);
        };
        match self.content_mut(header.file)? {
            Content::StandardData(content) => overwrite(&mut content.data, header.start, &written)?,
            Content::BackupData(content) => {
                let pending = content.pending.get_or_insert_with(|| content.committed.clone());
                overwrite(pending, header.start, &written)?;
            }
            Content::Value(_) | Content::Records(_) | Content::TransactionMac(_) => {
                return Err(Status::PermissionDenied);
            }
        }
        self.hash_into_transaction(instruction, header.bytes(), &written);
        Ok(self.seal(protection, &[]))
    }

    /// Checks a read command: seven bytes and what protects them.
    pub(crate) fn open_header(
        &mut self,
        protection: Protection,
        instruction: u8,
        data: &[u8],
    ) -> Result<Header, Status> {
        let parameters = self.open_parameters(protection, instruction, data)?;
        let (header, rest) = Header::split(&parameters)?;
        if rest.is_empty() { Ok(header) } else { Err(Status::Length) }
    }

    /// An answer whose length the reader knows unless it asked for "everything".
    pub(crate) fn seal_read(&mut self, protection: Protection, header: &Header, read: &[u8]) -> Reply {
        let length = if header.count == 0 { Length::Unknown } else { Length::Known };
        Reply::Whole(self.seal_bytes(protection, read, length))
    }

    /// The data of a write in clear; none when more frames must come first.
    pub(crate) fn open_written(
        &mut self,
        protection: Protection,
        instruction: u8,
        header: &[u8],
        count: usize,
        body: &[u8],
    ) -> Result<Option<Vec<u8>>, Status> {
        if count == 0 {
            return Err(Status::Parameter);
        }
        let expected = self.protected_length(protection, count);
        if body.len() < expected {
            return Ok(None);
        }
        if body.len() > expected {
            return Err(Status::Length);
        }
        let written = self.open_data(protection, instruction, header, body, Some(count))?;
        if written.len() == count { Ok(Some(written)) } else { Err(Status::Length) }
    }
}

/// Writes inside existing bytes, never past their end.
pub(crate) fn overwrite(content: &mut [u8], offset: usize, written: &[u8]) -> Result<(), Status> {
    let target = content.get_mut(offset..offset + written.len()).ok_or(Status::Boundary)?;
    target.copy_from_slice(written);
    Ok(())
}
