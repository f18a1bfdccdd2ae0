//! Our application on a card, layout version 1 (byte tables: `docs/card-layout.md`).
//!
//! A card carries one application with four files. The newest record of the cyclic file is state, receipt and purse
//! mirror in one, so that a tap reads once and writes once.

use crate::bits::{BitReader, BitWriter};
use crate::id::{DeviceId, Epoch, LineNumber, StopNumber, TapId};
use crate::money::{Amount, Balance};
use crate::time::{Moment, ServiceDay};

/// The application identifier as transmitted (least significant byte first on the wire, so 0x484E01).
pub const APPLICATION_ID: [u8; 3] = [0x01, 0x4E, 0x48];
/// The last part of every key diversification input: UID ‖ AID ‖ key number ‖ this.
pub const SYSTEM_ID: [u8; 4] = *b"CHAM";
/// Key 2, validate: held by validators; reads, debits and writes records, never raises a balance.
pub const KEY_VALIDATE: u8 = 2;
/// The key number that stands for the Transaction MAC key in its diversification input.
pub const KEY_TRANSACTION_MAC: u8 = 0x0F;
/// Backup data file: profile and products, written by the issuer.
pub const FILE_ISSUER: u8 = 0x01;
/// Value file: the purse.
pub const FILE_PURSE: u8 = 0x02;
/// Cyclic record file: one [`Record`] per tap.
pub const FILE_RECORD: u8 = 0x03;
/// Length of a record in bytes.
pub const RECORD_LEN: usize = 60;
/// Length of the issuer file in bytes.
pub const ISSUER_LEN: usize = 64;
/// The layout that this crate reads and writes.
pub const LAYOUT_VERSION: u8 = 1;

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
    /// A desk that loaded value or a product.
    Load,
}

/// Who rides: the profile that a fare may depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// No profile.
    #[default]
    Ordinary,
    /// Pupils and students.
    Student,
    /// Workers in industrial zones.
    IndustrialZoneWorker,
    /// People aged 60 and over.
    SixtyPlus,
    /// Children under six.
    UnderSix,
    /// People with merit.
    Merit,
    /// Members of poor households.
    PoorHousehold,
    /// Disabled people.
    Disabled,
}

/// The newest state of a card: one record of the cyclic file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What made it.
    pub kind: RecordKind,
    /// Counts the records of this card: 1 at issue, then one more each, to 2²⁴−1.
    pub card_sequence: u32,
    /// The tap that wrote it; `None` when a desk did.
    pub tap: Option<TapId>,
    /// The tap that wrote the record before it.
    pub previous: Option<TapId>,
    /// When.
    pub time: Moment,
    /// On which line.
    pub line: LineNumber,
    /// At which stop.
    pub stop: StopNumber,
    /// What was debited with it, to 2²⁴−1 minor units.
    pub amount: Amount,
    /// The purse after it: a mirror of the value file, committed with it.
    pub balance_after: Balance,
    /// The issuer file holds a pass that may count.
    pub has_pass: bool,
    /// The issuer file holds a profile that may count.
    pub has_profile: bool,
    /// The profile, as a hint for screens; the issuer file decides.
    pub profile: Profile,
    /// Fields that the rules in force do not use, carried on unchanged: journey, transfer chain, caps, pass uses,
    /// actions.
    pub carried: CarriedFields,
    /// The tap that wrote it first had to resolve an unknown one.
    pub recovered: bool,
}

/// Journey, transfer, cap, pass and action fields: raw, in record order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CarriedFields {
    /// Stop of entry, minutes since then (to 4,095), paid so far.
    pub journey: (u16, u16, u32),
    /// Minutes since the chain began, boardings in it (to 15), paid in it.
    pub transfer: (u16, u8, u32),
    /// Service day modulo 512, spent in it, month modulo 64, spent in it.
    pub caps: (u16, u32, u8, u32),
    /// Uses of a pass (to 63).
    pub pass_uses: u8,
    /// Last action worked off (to 4,095), and what remains of it (signed, 24 bits).
    pub action: (u16, i32),
}

/// Why bytes from a card are not ours to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Not the length of the file.
    #[error("{found} bytes where the layout has {expected}")]
    Length {
        /// What the layout has.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// A layout that this program does not know.
    #[error("card layout version {0} is unknown; this program reads version 1")]
    Version(u8),
    /// A field that holds what no writer of ours writes.
    #[error("field `{0}` of the card holds an impossible value")]
    Field(&'static str),
}

impl Record {
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
        let mut reader = BitReader::new(bytes);
        let values = RECORD_FIELDS.map(|(_, width)| reader.take(width));
        if values[0] != u64::from(LAYOUT_VERSION) {
            return Err(LayoutError::Version(low_u8(values[0])));
        }
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

/// What the issuer wrote on the card: the profile and the products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issuer {
    /// Who rides.
    pub profile: Profile,
    /// The last service day on which the profile counts.
    pub profile_valid_until: ServiceDay,
    /// Up to five products; empty places are [`Product::NONE`].
    pub products: [Product; PRODUCTS],
}

/// How many products the issuer file has room for.
pub const PRODUCTS: usize = 5;

/// A product on the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// What it is.
    pub kind: ProductKind,
    /// The line of a one-route pass.
    pub line: LineNumber,
    /// The first service day on which it counts.
    pub valid_from: ServiceDay,
    /// The last service day on which it counts.
    pub valid_until: ServiceDay,
}

impl Product {
    /// An empty place.
    pub const NONE: Self =
        Self { kind: ProductKind::None, line: LineNumber(0), valid_from: ServiceDay(0), valid_until: ServiceDay(0) };

    /// Whether it is a pass that covers `line`, on whatever day.
    pub fn covers(&self, line: LineNumber) -> bool {
        match self.kind {
            ProductKind::None => false,
            ProductKind::OneRoutePass => self.line == line,
            ProductKind::AllRoutePass => true,
        }
    }
}

/// The kinds of product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProductKind {
    /// An empty place.
    None,
    /// A pass for one route.
    OneRoutePass,
    /// A pass for every route.
    AllRoutePass,
}

impl Issuer {
    /// Reads the issuer file.
    ///
    /// # Errors
    /// [`LayoutError`]: another length, another layout version, or a field that cannot be.
    pub fn decode(bytes: &[u8]) -> Result<Self, LayoutError> {
        if bytes.len() != ISSUER_LEN {
            return Err(LayoutError::Length { expected: ISSUER_LEN, found: bytes.len() });
        }
        let mut reader = BitReader::new(bytes);
        let version = low_u8(reader.take(8));
        if version != LAYOUT_VERSION {
            return Err(LayoutError::Version(version));
        }
        let profile = profile_of(low_u8(reader.take(8))).ok_or(LayoutError::Field("profile"))?;
        let profile_valid_until = ServiceDay(low_u16(reader.take(16)));
        let mut products = [Product::NONE; PRODUCTS];
        for product in &mut products {
            product.kind = match reader.take(8) {
                0 => ProductKind::None,
                1 => ProductKind::OneRoutePass,
                2 => ProductKind::AllRoutePass,
                _ => return Err(LayoutError::Field("product_kind")),
            };
            product.line = LineNumber(low_u16(reader.take(16)));
            product.valid_from = ServiceDay(low_u16(reader.take(16)));
            product.valid_until = ServiceDay(low_u16(reader.take(16)));
            reader.take(40);
        }
        Ok(Self { profile, profile_valid_until, products })
    }

    /// The issuer file's 64 bytes.
    pub fn encode(&self) -> [u8; ISSUER_LEN] {
        let mut writer = BitWriter::<ISSUER_LEN>::new();
        writer.put(8, u64::from(LAYOUT_VERSION));
        writer.put(8, self.profile as u64);
        writer.put(16, u64::from(self.profile_valid_until.0));
        for product in &self.products {
            writer.put(8, product.kind as u64);
            writer.put(16, u64::from(product.line.0));
            writer.put(16, u64::from(product.valid_from.0));
            writer.put(16, u64::from(product.valid_until.0));
            writer.put(40, 0);
        }
        writer.finish()
    }
}

fn profile_of(code: u8) -> Option<Profile> {
    Some(match code {
        0 => Profile::Ordinary,
        1 => Profile::Student,
        2 => Profile::IndustrialZoneWorker,
        3 => Profile::SixtyPlus,
        4 => Profile::UnderSix,
        5 => Profile::Merit,
        6 => Profile::PoorHousehold,
        7 => Profile::Disabled,
        _ => return None,
    })
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

fn low_u8(value: u64) -> u8 {
    value.to_be_bytes()[7]
}

fn low_u16(value: u64) -> u16 {
    let bytes = value.to_be_bytes();
    u16::from_be_bytes([bytes[6], bytes[7]])
}

fn low_u32(value: u64) -> u32 {
    let bytes = value.to_be_bytes();
    u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]])
}
