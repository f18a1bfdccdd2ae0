//! The record: state, receipt and purse mirror of a card in 60 bytes.

use super::profile::{Profile, profile_of};
use super::{LAYOUT_VERSION, LayoutError, RECORD_LEN, layout_version};
use crate::bits::{BitReader, BitWriter, low_u8, low_u16, low_u32};
use crate::id::{DeviceId, Epoch, LineNumber, StopNumber, TapId};
use crate::money::{Amount, Balance};
use crate::time::Moment;

/// The fields of a [`Record`] in order, with their widths in bits, most significant bit first.
pub const RECORD_FIELDS: [(&str, usize); 31] = [
    ("layout_version", 4),
    ("kind", 4),
    ("card_sequence", 24),
    ("tap_device", 24),
    ("tap_epoch", 8),
    ("tap_sequence", 32),
    ("previous_device", 24),
    ("previous_epoch", 8),
    ("previous_sequence", 32),
    ("time", 32),
    ("line", 16),
    ("stop", 16),
    ("amount", 24),
    ("balance_after", 32),
    ("product", 8),
    ("profile", 4),
    ("journey_stop", 16),
    ("journey_minutes_ago", 12),
    ("journey_paid", 20),
    ("transfer_minutes_ago", 12),
    ("transfer_count", 4),
    ("transfer_paid", 20),
    ("cap_day", 9),
    ("cap_day_spent", 20),
    ("cap_month", 6),
    ("cap_month_spent", 22),
    ("pass_uses", 6),
    ("action_sequence", 12),
    ("action_remainder", 24),
    ("recovered", 1),
    ("reserved", 4),
];

/// What made a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// The desk, when the card was issued.
    Issued,
    /// A boarding on a line with tap-in only.
    Boarding,
    /// The start of a journey on a line with tap-in and tap-out.
    TapIn,
    /// The end of such a journey.
    TapOut,
    /// A desk that loaded value.
    Load,
    /// A desk that paid value out.
    Refund,
    /// A desk that sold a product.
    Sale,
}

/// The newest state of a card: one record of the cyclic file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What made it.
    pub kind: RecordKind,
    /// Counts the records of this card: 1 at issue, then one more each, to 2²⁴−1.
    pub card_sequence: u32,
    /// The tap, or the step of a desk's action, that wrote it; `None` only of a card issued before desks had names.
    pub tap: Option<TapId>,
    /// The tap or the step of a desk's action that wrote the record before it.
    pub previous: Option<TapId>,
    /// When.
    pub time: Moment,
    /// On which line; of a desk's record, the line of the last ride, 0 where there is none.
    pub line: LineNumber,
    /// At which stop; of a desk's record, the stop of the last ride.
    pub stop: StopNumber,
    /// What was debited, loaded, paid out or paid for a product with it, to 2²⁴−1 minor units.
    pub amount: Amount,
    /// The purse after it: a mirror of the value file, committed with it.
    pub balance_after: Balance,
    /// The issuer file holds a pass that may count.
    pub has_pass: bool,
    /// The issuer file holds a profile that may count.
    pub has_profile: bool,
    /// The profile, as a hint for screens; the issuer file decides.
    pub profile: Profile,
    /// What the rules of fares and of desks keep on the card. Rules that are not in force carry it on.
    pub carried: CarriedFields,
    /// The tap that wrote it first had to resolve an unknown one.
    pub recovered: bool,
}

/// Journey, transfer, cap, pass and action fields: raw, in record order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CarriedFields {
    /// Stop of entry of an open journey, minutes from the last ride to this record (to 4,095; 0 in a ride's own record),
    /// paid so far.
    pub journey: (u16, u16, u32),
    /// Whole minutes from the first boarding of the transfer chain to this record (to 4,095), boardings in it (to 15),
    /// paid in it.
    pub transfer: (u16, u8, u32),
    /// Service day modulo 512, spent in it, months since 2000-01 modulo 64, spent in it.
    pub caps: (u16, u32, u8, u32),
    /// Uses of a pass (to 63).
    pub pass_uses: u8,
    /// Last action worked off (to 4,095), and what remains of it (signed, 24 bits).
    pub action: (u16, i32),
}

/// The most minutes that the 12 bits of a record hold; it stands for "this many or more".
const MINUTES_MAX: u16 = 4_095;

impl Record {
    /// The transfer chain at `at`, whichever of the two is later: a clock that goes back makes no chain younger. Minutes
    /// are rounded down, so that each record may lengthen a chain by up to a minute and none shortens it.
    pub fn transfer_at(&self, at: Moment) -> (u16, u8, u32) {
        let (minutes_ago, boardings, paid) = self.carried.transfer;
        if boardings == 0 {
            return self.carried.transfer;
        }
        (later_by(minutes_ago, self.time.distance_s(at)), boardings, paid)
    }

    /// The record's 60 bytes.
    ///
    /// # Errors
    /// [`LayoutError::Field`] where a value is wider than its field.
    pub fn encode(&self) -> Result<[u8; RECORD_LEN], LayoutError> {
        let carried = &self.carried;
        let amount = u64::try_from(self.amount.minor()).map_err(|_| LayoutError::Field("amount"))?;
        let balance = i32::try_from(self.balance_after.minor()).map_err(|_| LayoutError::Field("balance_after"))?;
        let (device, epoch, sequence) = tap_fields(self.tap);
        let (previous_device, previous_epoch, previous_sequence) = tap_fields(self.previous);
        let remainder = carried.action.1;
        if !(-0x80_0000..0x80_0000).contains(&remainder) {
            return Err(LayoutError::Field("action_remainder"));
        }
        let values = [
            u64::from(LAYOUT_VERSION),
            self.kind as u64,
            u64::from(self.card_sequence),
            device,
            epoch,
            sequence,
            previous_device,
            previous_epoch,
            previous_sequence,
            u64::from(self.time.0),
            u64::from(self.line.0),
            u64::from(self.stop.0),
            amount,
            u64::from(u32::from_be_bytes(balance.to_be_bytes())),
            u64::from(self.has_pass) | u64::from(self.has_profile) << 1,
            self.profile as u64,
            u64::from(carried.journey.0),
            u64::from(carried.journey.1),
            u64::from(carried.journey.2),
            u64::from(carried.transfer.0),
            u64::from(carried.transfer.1),
            u64::from(carried.transfer.2),
            u64::from(carried.caps.0),
            u64::from(carried.caps.1),
            u64::from(carried.caps.2),
            u64::from(carried.caps.3),
            u64::from(carried.pass_uses),
            u64::from(carried.action.0),
            u64::from(u32::from_be_bytes(remainder.to_be_bytes()) & 0xFF_FFFF),
            u64::from(self.recovered),
            0,
        ];
        let mut writer = BitWriter::<RECORD_LEN>::new();
        for ((name, width), value) in RECORD_FIELDS.into_iter().zip(values) {
            if value >> width != 0 {
                return Err(LayoutError::Field(name));
            }
            writer.put(width, value);
        }
        Ok(writer.finish())
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`LayoutError`]: another length, another layout version, or a field that cannot be.
    pub fn decode(bytes: &[u8]) -> Result<Self, LayoutError> {
        if bytes.len() != RECORD_LEN {
            return Err(LayoutError::Length { expected: RECORD_LEN, found: bytes.len() });
        }
        match layout_version(bytes)? {
            LAYOUT_VERSION => Self::decode_version_1(bytes),
            other => Err(LayoutError::Version(other)),
        }
    }

    fn decode_version_1(bytes: &[u8]) -> Result<Self, LayoutError> {
        let mut reader = BitReader::new(bytes);
        let values = RECORD_FIELDS.map(|(_, width)| reader.take(width));
        if values[30] != 0 {
            return Err(LayoutError::Field("reserved"));
        }
        let amount = Amount::from(low_u32(values[12]));
        Ok(Self {
            kind: match values[1] {
                0 => RecordKind::Issued,
                1 => RecordKind::Boarding,
                2 => RecordKind::TapIn,
                3 => RecordKind::TapOut,
                4 => RecordKind::Load,
                5 => RecordKind::Refund,
                6 => RecordKind::Sale,
                _ => return Err(LayoutError::Field("kind")),
            },
            card_sequence: low_u32(values[2]),
            tap: tap_of(values[3], values[4], values[5]),
            previous: tap_of(values[6], values[7], values[8]),
            time: Moment(low_u32(values[9])),
            line: LineNumber(low_u16(values[10])),
            stop: StopNumber(low_u16(values[11])),
            amount,
            balance_after: Balance::from_minor(i64::from(i32::from_be_bytes(low_u32(values[13]).to_be_bytes()))),
            has_pass: values[14] & 1 == 1,
            has_profile: values[14] & 2 == 2,
            profile: profile_of(low_u8(values[15])).ok_or(LayoutError::Field("profile"))?,
            carried: CarriedFields {
                journey: (low_u16(values[16]), low_u16(values[17]), low_u32(values[18])),
                transfer: (low_u16(values[19]), low_u8(values[20]), low_u32(values[21])),
                caps: (low_u16(values[22]), low_u32(values[23]), low_u8(values[24]), low_u32(values[25])),
                pass_uses: low_u8(values[26]),
                action: (low_u16(values[27]), sign_extend_24(low_u32(values[28]))),
            },
            recovered: values[29] == 1,
        })
    }
}

/// `minutes` and `seconds` in whole minutes, as far as a record holds them.
pub(super) fn later_by(minutes: u16, seconds: u32) -> u16 {
    let minutes = (seconds / 60).saturating_add(u32::from(minutes));
    u16::try_from(minutes).unwrap_or(MINUTES_MAX).min(MINUTES_MAX)
}

fn tap_fields(tap: Option<TapId>) -> (u64, u64, u64) {
    tap.map_or((0, 0, 0), |tap| (u64::from(tap.device.number()), u64::from(tap.epoch), u64::from(tap.sequence)))
}

fn tap_of(device: u64, epoch: u64, sequence: u64) -> Option<TapId> {
    let device = DeviceId::new(low_u32(device))?;
    Some(TapId { device, epoch: Epoch::from(low_u8(epoch)), sequence: low_u32(sequence) })
}

fn sign_extend_24(value: u32) -> i32 {
    i32::from_be_bytes((value << 8).to_be_bytes()) >> 8
}
