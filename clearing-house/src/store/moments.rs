//! When and where a validator's taps were made. Only taps at which a card was presented count: done, unknown, void and
//! declined. Later looks and evidence come with such a tap or with a start of the program, and would count it twice.

use rusqlite::{OptionalExtension, params};
use transit::id::{DeviceId, LineNumber, StopNumber};
use transit::time::Moment;

use super::{Books, StoreError};
use crate::silence::Stretch;

/// A line and a stop, as a sealed tap has them.
pub(crate) type Place = (LineNumber, StopNumber);

impl Books<'_> {
    /// When and where the newest tap of `device` to the moment `at` was made, by its clock.
    pub(crate) fn last_tap(&self, device: DeviceId, at: Moment) -> Result<Option<(Moment, Place)>, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT substr(bytes, 15, 4), substr(bytes, 21, 4) FROM tap \
             WHERE device = ?1 AND substr(bytes, 15, 4) <= ?2 AND outcome IN ('done', 'unknown', 'void', 'declined') \
             ORDER BY substr(bytes, 15, 4) DESC LIMIT 1",
        )?;
        let found = statement
            .query_row(params![device.number(), at.0.to_be_bytes()], |row| {
                let (moment, [line_high, line_low, stop_high, stop_low]) = (row.get(0)?, row.get(1)?);
                let line = LineNumber(u16::from_be_bytes([line_high, line_low]));
                let stop = StopNumber(u16::from_be_bytes([stop_high, stop_low]));
                Ok((Moment(u32::from_be_bytes(moment)), (line, stop)))
            })
            .optional()?;
        Ok(found)
    }

    /// How many taps `device` took at `place` in `stretch`, by its clock.
    pub(crate) fn taps_in(&self, device: DeviceId, (line, stop): Place, stretch: Stretch) -> Result<u32, StoreError> {
        let mut statement = self.0.prepare_cached(
            "SELECT count(*) FROM tap WHERE device = ?1 AND substr(bytes, 15, 4) > ?2 AND substr(bytes, 15, 4) <= ?3 \
             AND substr(bytes, 21, 4) = ?4 AND outcome IN ('done', 'unknown', 'void', 'declined')",
        )?;
        let [line, stop] = [line.0.to_be_bytes(), stop.0.to_be_bytes()];
        let place = [line[0], line[1], stop[0], stop[1]];
        let (after, until) = (stretch.after.0.to_be_bytes(), stretch.until.0.to_be_bytes());
        Ok(statement.query_row(params![device.number(), after, until, place], |row| row.get(0))?)
    }
}
