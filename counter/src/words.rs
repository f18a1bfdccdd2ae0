//! What is said to people, in Vietnamese or English.

use serde::Deserialize;
use transit::card::{ProductKind, Profile, RecordKind};

/// The language of what is said to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
pub enum Language {
    /// Vietnamese.
    #[default]
    #[serde(rename = "vi")]
    Vi,
    /// English.
    #[serde(rename = "en")]
    En,
}

impl Language {
    /// The first text in Vietnamese, the second in English.
    pub const fn pick(self, vi: &'static str, en: &'static str) -> &'static str {
        match self {
            Self::Vi => vi,
            Self::En => en,
        }
    }

    /// What a record is of.
    pub const fn record(self, kind: RecordKind) -> &'static str {
        match kind {
            RecordKind::Issued => self.pick("Phát hành", "Issued"),
            RecordKind::Boarding => self.pick("Lên xe", "Boarding"),
            RecordKind::TapIn => self.pick("Vào ga", "Tap-in"),
            RecordKind::TapOut => self.pick("Ra ga", "Tap-out"),
            RecordKind::Load => self.pick("Nạp tiền", "Top-up"),
            RecordKind::Refund => self.pick("Hoàn tiền", "Refund"),
            RecordKind::Sale => self.pick("Bán vé tháng", "Pass sold"),
        }
    }

    /// Who rides.
    pub const fn profile(self, profile: Profile) -> &'static str {
        match profile {
            Profile::Ordinary => self.pick("Phổ thông", "Ordinary"),
            Profile::Student => self.pick("Học sinh, sinh viên", "Pupil or student"),
            Profile::IndustrialZoneWorker => self.pick("Công nhân khu công nghiệp", "Industrial-zone worker"),
            Profile::SixtyPlus => self.pick("Người từ 60 tuổi", "60 and over"),
            Profile::UnderSix => self.pick("Trẻ em dưới 6 tuổi", "Under six"),
            Profile::Merit => self.pick("Người có công", "Person with merit"),
            Profile::PoorHousehold => self.pick("Hộ nghèo", "Poor household"),
            Profile::Disabled => self.pick("Người khuyết tật", "Disabled"),
        }
    }

    /// What a product is.
    pub const fn product(self, kind: ProductKind) -> &'static str {
        match kind {
            ProductKind::None => self.pick("Trống", "Empty"),
            ProductKind::OneRoutePass => self.pick("Vé tháng một tuyến", "Monthly pass, one line"),
            ProductKind::AllRoutePass => self.pick("Vé tháng liên tuyến", "Monthly pass, all lines"),
        }
    }
}
