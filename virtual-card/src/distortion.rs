//! Answers that no genuine card gives, for whoever wants to see that they change nothing.

/// Another answer than the one given, whatever the seed: a bit flipped, cut short, lengthened, overwritten, or a byte
/// left out. The same seed distorts the same answer in the same way.
#[must_use]
pub fn distorted(answer: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Numbers(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03);
    let mut changed = answer.to_vec();
    match random.below(6) {
        0 | 1 => {
            let bit = random.below(changed.len() * 8);
            if let Some(byte) = changed.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
        2 => changed.truncate(random.below(answer.len())),
        3 => {
            let more = 1 + random.below(40);
            changed.extend((0..more).map(|_| random.byte()));
        }
        4 => changed.iter_mut().for_each(|byte| *byte = random.byte()),
        _ => {
            let at = random.below(changed.len());
            if at < changed.len() {
                changed.remove(at);
            }
        }
    }
    if changed == answer {
        changed.push(0);
    }
    changed
}

/// Marsaglia's xorshift with shifts of 13, 7 and 17 bits: enough to spread distortions, good for nothing else.
struct Numbers(u64);

impl Numbers {
    /// 0 to `limit` − 1, and 0 where the limit is 0.
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let limit = u64::try_from(limit.max(1)).unwrap_or(u64::MAX);
        usize::try_from((self.0 >> 33) % limit).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.below(256).to_le_bytes()[0]
    }
}
