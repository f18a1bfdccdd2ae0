//! Caps: the most that one card pays.

use serde::Deserialize;

use crate::money::Amount;

/// The most that one card pays, over all lines; `None` where there is no such cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caps {
    /// In a service day, to 2²⁰−1 minor units.
    #[serde(rename = "day_minor")]
    pub day: Option<Amount>,
    /// In a calendar month of service days, to 2²²−1 minor units.
    #[serde(rename = "month_minor")]
    pub month: Option<Amount>,
}

impl Caps {
    /// Whether there is any.
    pub fn any(&self) -> bool {
        self.day.is_some() || self.month.is_some()
    }

    /// Whether they fit a card's record.
    pub(super) fn check(&self) -> Result<(), String> {
        let limits = [("day_minor", self.day, 0x000F_FFFF), ("month_minor", self.month, 0x003F_FFFF)];
        for (name, cap, most) in limits {
            if let Some(cap) = cap.filter(|cap| !(1..=most).contains(&cap.minor())) {
                return Err(format!(
                    "`{name}` of [caps] is 1 to {most} minor units, as a card's record holds, not {}",
                    cap.minor()
                ));
            }
        }
        Ok(())
    }
}
