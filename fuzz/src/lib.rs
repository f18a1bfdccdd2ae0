//! What several targets need.
#![forbid(unsafe_code)]

use virtual_card::Random;

/// Randomness that repeats.
#[must_use]
pub fn counting() -> Random {
    let mut last = 0u8;
    Box::new(move || {
        last = last.wrapping_add(1);
        [last; 16]
    })
}
