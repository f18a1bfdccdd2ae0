//! Bit-packed fields, most significant bit first.

/// Appends fields to a zeroed block of `N` bytes.
#[derive(Debug)]
pub(crate) struct BitWriter<const N: usize> {
    bytes: [u8; N],
    position: usize,
}

impl<const N: usize> BitWriter<N> {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; N], position: 0 }
    }

    /// Appends the low `width` bits of `value`; higher bits must be clear.
    pub(crate) fn put(&mut self, width: usize, value: u64) {
        debug_assert!(width == 64 || value >> width == 0, "{value} does not fit {width} bits");
        for bit in (0..width).rev() {
            if value >> bit & 1 == 1 {
                self.bytes[self.position / 8] |= 0x80 >> (self.position % 8);
            }
            self.position += 1;
        }
    }

    /// The block; every bit must have been written.
    pub(crate) fn finish(self) -> [u8; N] {
        debug_assert_eq!(self.position, N * 8, "fields do not fill the block");
        self.bytes
    }
}

/// Takes fields off a block.
#[derive(Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// The next `width` bits; the caller's layout never runs past the block.
    pub(crate) fn take(&mut self, width: usize) -> u64 {
        let mut value = 0;
        for _ in 0..width {
            let bit = self.bytes[self.position / 8] >> (7 - self.position % 8) & 1;
            value = value << 1 | u64::from(bit);
            self.position += 1;
        }
        value
    }
}

pub(crate) fn low_u8(value: u64) -> u8 {
    value.to_be_bytes()[7]
}

pub(crate) fn low_u16(value: u64) -> u16 {
    let bytes = value.to_be_bytes();
    u16::from_be_bytes([bytes[6], bytes[7]])
}

pub(crate) fn low_u32(value: u64) -> u32 {
    let bytes = value.to_be_bytes();
    u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]])
}
