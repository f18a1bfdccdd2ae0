//! The message catalogue: every word that a passenger can see, Vietnamese and English.
//!
//! One exhaustive match per enum, so a new state does not compile without its words. How long a text may be is decided
//! by the screen and held by the tests: a headline fits two lines, everything else one. A no-break space keeps a headline's
//! second line from being a single short word.

use transit::card::Profile;
use transit::screen::{AttentionReason, DeclineReason, Way};

use crate::show::OutOfService;

/// One text in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bilingual {
    /// Vietnamese: shown first and larger.
    pub vi: String,
    /// English.
    pub en: String,
}

impl Bilingual {
    /// A text as it stands in the catalogue.
    pub fn new(vi: impl Into<String>, en: impl Into<String>) -> Self {
        Self { vi: vi.into(), en: en.into() }
    }
}

/// Idle: what to do.
pub fn tap_your_card() -> Bilingual {
    Bilingual::new("Mời đặt thẻ", "Please tap your card")
}

/// Accepted: the verdict.
pub fn accepted(way: Option<Way>) -> Bilingual {
    match way {
        None => Bilingual::new("Mời qua", "Go ahead"),
        Some(Way::In) => Bilingual::new("Mời vào", "Come in"),
        Some(Way::Out) => Bilingual::new("Mời ra", "Way out is open"),
    }
}

/// Accepted: what the passenger must still do.
pub fn way_note(way: Way) -> Option<Bilingual> {
    match way {
        Way::In => Some(Bilingual::new("Nhớ đặt thẻ khi ra", "Tap again when you leave")),
        Way::Out => None,
    }
}

/// Present again: the verdict.
pub fn present_again() -> Bilingual {
    Bilingual::new("Đặt lại thẻ", "Present your card again")
}

/// Present again: what to do.
pub fn hold_still() -> Bilingual {
    Bilingual::new("Giữ yên thẻ trên đầu đọc", "Hold it still on the reader")
}

/// Attention: the verdict.
pub fn attention(reason: AttentionReason) -> Bilingual {
    match reason {
        AttentionReason::AlreadyPaid => Bilingual::new("Vé đã được\u{a0}tính", "Already paid"),
        AttentionReason::UseSameGate => Bilingual::new("Qua cửa đã đặt\u{a0}thẻ", "Use the gate you tapped"),
        AttentionReason::PaidBeforePowerLoss => Bilingual::new("Đã trả vé, mất\u{a0}điện", "Paid before power loss"),
    }
}

/// Attention: what it means for the passenger.
pub fn attention_note(reason: AttentionReason) -> Bilingual {
    match reason {
        AttentionReason::AlreadyPaid => Bilingual::new("Không trừ tiền thêm", "Nothing more was charged"),
        AttentionReason::UseSameGate => Bilingual::new("Hoặc hỏi nhân viên", "Or ask a member of staff"),
        AttentionReason::PaidBeforePowerLoss => {
            Bilingual::new("Mời hỏi lái xe hoặc nhân viên", "Ask the driver or staff")
        }
    }
}

/// Declined: the verdict.
pub fn declined(reason: DeclineReason) -> Bilingual {
    match reason {
        DeclineReason::NotEnough => Bilingual::new("Không đủ\u{a0}tiền", "Not enough balance"),
        DeclineReason::Denied => Bilingual::new("Thẻ bị khóa", "Card blocked"),
        DeclineReason::NotGenuine => Bilingual::new("Thẻ không hợp\u{a0}lệ", "Card not genuine"),
        DeclineReason::NotOurs => Bilingual::new("Thẻ ngoài hệ thống", "Not our card"),
        DeclineReason::CardUnusable => Bilingual::new("Thẻ không dùng được", "Card cannot be used"),
        DeclineReason::TooManyTorn => Bilingual::new("Thẻ lỗi nhiều\u{a0}lần", "Too many failed taps"),
    }
}

/// Declined: what to do.
pub fn declined_note(reason: DeclineReason) -> Bilingual {
    match reason {
        DeclineReason::NotEnough => Bilingual::new("Nạp thêm tiền", "Please top up"),
        DeclineReason::Denied | DeclineReason::CardUnusable => {
            Bilingual::new("Mời liên hệ quầy vé", "Ask at the ticket counter")
        }
        DeclineReason::NotGenuine => Bilingual::new("Mời dùng thẻ khác", "Please use another card"),
        DeclineReason::NotOurs => Bilingual::new("Mời dùng thẻ vé xe buýt", "Please use a transit card"),
        DeclineReason::TooManyTorn => Bilingual::new("Mời hỏi nhân viên", "Ask a member of staff"),
    }
}

/// Out of service: the verdict.
pub fn out_of_service() -> Bilingual {
    Bilingual::new("Tạm ngừng phục vụ", "Out of service")
}

/// Out of service: what to do.
pub fn out_of_service_note(reason: OutOfService) -> Bilingual {
    match reason {
        OutOfService::Starting => Bilingual::new("Xin chờ trong giây lát", "Please wait a moment"),
        OutOfService::Reader | OutOfService::Storage | OutOfService::NoValidator => {
            Bilingual::new("Mời dùng máy khác", "Please use another reader")
        }
    }
}

/// Out of service: the cause, for staff.
pub fn out_of_service_cause(reason: OutOfService) -> Bilingual {
    match reason {
        OutOfService::Starting => Bilingual::new("Đang khởi động", "Starting"),
        OutOfService::Reader => Bilingual::new("Lỗi đầu đọc thẻ", "Card reader fault"),
        OutOfService::Storage => Bilingual::new("Lỗi bộ nhớ lưu trữ", "Storage fault"),
        OutOfService::NoValidator => Bilingual::new("Mất kết nối bộ soát vé", "No connection to the validator"),
    }
}

/// Names a group that rides free.
pub fn profile(profile: Profile) -> Bilingual {
    match profile {
        Profile::Ordinary => Bilingual::new("Hành khách phổ thông", "Ordinary passenger"),
        Profile::Student => Bilingual::new("Học sinh, sinh viên", "Pupils and students"),
        Profile::IndustrialZoneWorker => Bilingual::new("Công nhân khu công nghiệp", "Industrial zone workers"),
        Profile::SixtyPlus => Bilingual::new("Người từ 60 tuổi", "Aged 60 and over"),
        Profile::UnderSix => Bilingual::new("Trẻ em dưới 6 tuổi", "Children under 6"),
        Profile::Merit => Bilingual::new("Người có công", "People with merit"),
        Profile::PoorHousehold => Bilingual::new("Hộ nghèo", "Poor households"),
        Profile::Disabled => Bilingual::new("Người khuyết tật", "People with disabilities"),
    }
}

/// Labels an amount that was or would be debited.
pub fn fare() -> Bilingual {
    Bilingual::new("Giá vé", "Fare")
}

/// Labels the fare of a ride on a pass.
pub fn pass() -> Bilingual {
    Bilingual::new("Vé tháng", "Pass")
}

/// Labels the fare of a ride that costs nothing.
pub fn free() -> Bilingual {
    Bilingual::new("Miễn phí", "Free")
}

/// Labels what the purse holds.
pub fn balance() -> Bilingual {
    Bilingual::new("Số dư", "Balance")
}

/// How long the pass still counts; `days` service days after this one, until the dates given in each language's form.
pub fn days_left(days: u16, until_vi: &str, until_en: &str) -> Bilingual {
    let unit = if days == 1 { "day" } else { "days" };
    match days {
        0 => Bilingual::new(format!("Ngày cuối: {until_vi}"), format!("Last day: {until_en}")),
        _ => Bilingual::new(format!("Còn {days} ngày, đến {until_vi}"), format!("{days} {unit} left, to {until_en}")),
    }
}

/// The pass ended, which is why the purse paid.
pub fn pass_expired(on_vi: &str, on_en: &str) -> Bilingual {
    Bilingual::new(format!("Vé tháng hết hạn {on_vi}"), format!("Pass expired {on_en}"))
}

/// The money left the card at an earlier tap; this one took nothing.
pub fn paid_by_earlier_tap() -> Bilingual {
    Bilingual::new("Đã trừ ở lần đặt thẻ trước", "Charged by your earlier tap")
}

/// The network is away. It changes nothing for the passenger.
pub fn offline() -> Bilingual {
    Bilingual::new("Ngoại tuyến", "Offline")
}
