//! The issuer file: the profile and the products of a card in 64 bytes.

use serde::{Deserialize, Serialize};

use super::profile::{Profile, profile_of};
use super::{ISSUER_LEN, LAYOUT_VERSION, LayoutError, layout_version};
use crate::bits::{BitReader, BitWriter, low_u8, low_u16};
use crate::id::LineNumber;
use crate::time::ServiceDay;

/// What the issuer wrote on the card: the profile and the products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Who rides.
    pub profile: Profile,
    /// The last service day on which the profile counts.
    pub profile_valid_until: ServiceDay,
    /// Up to five products; empty places are [`Product::NONE`].
    pub products: [Product; PRODUCTS],
}

/// The fields of an [`Issuer`] file in order, with their lengths in bytes; those of a product come [`PRODUCTS`] times.
pub const ISSUER_FIELDS: [(&str, usize); 8] = [
    ("layout_version", 1),
    ("profile", 1),
    ("profile_valid_until", 2),
    ("product_kind", 1),
    ("product_route", 2),
    ("product_valid_from", 2),
    ("product_valid_until", 2),
    ("product_reserved", 5),
];

/// How many products the issuer file has room for.
pub const PRODUCTS: usize = 5;

/// A product on the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProductKind {
    /// An empty place.
    None,
    /// A pass for one route.
    OneRoutePass,
    /// A pass for every route.
    AllRoutePass,
}

impl ProductKind {
    /// The kind of this number, as cards and actions have it.
    pub(crate) fn of(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::None,
            1 => Self::OneRoutePass,
            2 => Self::AllRoutePass,
            _ => return None,
        })
    }
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
        match layout_version(bytes)? {
            LAYOUT_VERSION => Self::decode_version_1(bytes),
            other => Err(LayoutError::Version(other)),
        }
    }

    fn decode_version_1(bytes: &[u8]) -> Result<Self, LayoutError> {
        let mut reader = BitReader::new(bytes);
        reader.take(8);
        let profile = profile_of(low_u8(reader.take(8))).ok_or(LayoutError::Field("profile"))?;
        let profile_valid_until = ServiceDay(low_u16(reader.take(16)));
        let mut products = [Product::NONE; PRODUCTS];
        for product in &mut products {
            product.kind = ProductKind::of(low_u8(reader.take(8))).ok_or(LayoutError::Field("product_kind"))?;
            product.line = LineNumber(low_u16(reader.take(16)));
            product.valid_from = ServiceDay(low_u16(reader.take(16)));
            product.valid_until = ServiceDay(low_u16(reader.take(16)));
            reader.take(40);
        }
        Ok(Self { profile, profile_valid_until, products })
    }

    /// Whether it holds any product, on whatever day it counts.
    pub fn has_product(&self) -> bool {
        self.products.iter().any(|product| product.kind != ProductKind::None)
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
