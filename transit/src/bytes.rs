//! Records of whole bytes, big-endian.

use crate::id::{DeviceId, TapId};

/// Appends parts to a zeroed record of `N` bytes.
#[derive(Debug)]
pub(crate) struct ByteWriter<const N: usize> {
    bytes: [u8; N],
    position: usize,
}

impl<const N: usize> ByteWriter<N> {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; N], position: 0 }
    }

    pub(crate) fn put(&mut self, part: &[u8]) {
        self.bytes[self.position..self.position + part.len()].copy_from_slice(part);
        self.position += part.len();
    }

    /// A name in 10 bytes: device, epoch, sequence; zeros for none.
    pub(crate) fn put_id(&mut self, id: Option<TapId>) {
        self.put(&id.map_or(0, |id| id.device.number()).to_be_bytes());
        self.put(&id.map_or(0, |id| u16::from(id.epoch)).to_be_bytes());
        self.put(&id.map_or(0, |id| id.sequence).to_be_bytes());
    }

    /// What is written so far.
    pub(crate) fn so_far(&self) -> &[u8] {
        &self.bytes[..self.position]
    }

    /// The record; every byte must have been written.
    pub(crate) fn finish(self) -> [u8; N] {
        debug_assert_eq!(self.position, N, "parts do not fill the record");
        self.bytes
    }
}

/// Takes parts off a record; the caller's layout never runs past it.
#[derive(Debug)]
pub(crate) struct ByteReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

/// Bytes that name neither a tap nor none.
pub(crate) struct ImpossibleId;

impl<'a> ByteReader<'a> {
    pub(crate) fn at(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position }
    }

    pub(crate) fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut part = [0; N];
        part.copy_from_slice(&self.bytes[self.position..self.position + N]);
        self.position += N;
        part
    }

    pub(crate) fn take_id(&mut self) -> Result<Option<TapId>, ImpossibleId> {
        let device = u32::from_be_bytes(self.take());
        let epoch = u16::from_be_bytes(self.take());
        let sequence = u32::from_be_bytes(self.take());
        if device == 0 {
            return if epoch == 0 && sequence == 0 { Ok(None) } else { Err(ImpossibleId) };
        }
        match (DeviceId::new(device), u8::try_from(epoch)) {
            (Some(device), Ok(epoch)) if epoch > 0 && sequence > 0 => Ok(Some(TapId { device, epoch, sequence })),
            _ => Err(ImpossibleId),
        }
    }
}
