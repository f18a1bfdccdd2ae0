//! Why a tap charged what it did: the fare decided again from what the tap recorded, in words and step by step.
//!
//! A desk reads the sentence to a rider who asks; an auditor reads the steps. Nothing is stored: the books have the tap,
//! the tariff has the prices.

use std::fmt;

use serde::Serialize;
use transit::card::{PURSE_UPPER_LIMIT, Record};
use transit::fare::{self, Boarding, CardView, Decision, Language};
use transit::id::{CardToken, LineNumber, OperatorId, StopNumber, TapId};
use transit::money::{Amount, Balance, Currency};
use transit::tap::{Outcome, Reason, Tap};
use transit::tariff::Tariff;
use transit::time::{Moment, ServiceDay};

use crate::clearing_house::ClearingHouse;
use crate::journey;
use crate::store::StoreError;

/// A tap in the books and why it charged what it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Its name.
    pub tap: String,
    /// Its moment, by its validator's clock.
    pub at: Moment,
    /// The local time of that, `HH:MM`.
    pub local_time: String,
    /// The service day of travel.
    pub service_day: ServiceDay,
    /// Whose validator.
    pub operator: OperatorId,
    /// On which line.
    pub line: LineNumber,
    /// At which stop.
    pub stop: StopNumber,
    /// Of which card.
    pub card: CardToken,
    /// What became of it, in a word.
    pub outcome: &'static str,
    /// The fare that it recorded.
    pub fare_minor: Amount,
    /// What it debited; nothing where that is unknown.
    pub debited_minor: Amount,
    /// The currency of every amount.
    pub currency: Currency,
    /// One word for each rule that counted, with its amounts; `None` where no fare can be decided.
    pub code: Option<String>,
    /// In Vietnamese.
    pub vietnamese: Words,
    /// In English.
    pub english: Words,
    /// What does not fit; empty where the tap re-decides to itself.
    pub findings: Vec<String>,
}

/// An explanation in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Words {
    /// One sentence for the passenger.
    pub sentence: String,
    /// A line for each step, for an auditor; empty where no fare can be decided.
    pub steps: Vec<String>,
}

/// A tap that cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// It is not there.
    #[error("tap {0} is not in the books; `gaps` lists what logs lack")]
    NotInTheBooks(TapId),
    /// The books cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ClearingHouse {
    /// Explains the tap of this name by the tariff at hand.
    ///
    /// # Errors
    /// [`ExplainError`].
    pub fn explain(&mut self, tap: TapId) -> Result<Explanation, ExplainError> {
        let Self { store, config } = self;
        let tap = store.view()?.tap(tap)?.ok_or(ExplainError::NotInTheBooks(tap))?;
        Ok(explain(&tap, config.tariffs.of_version(tap.tariff_version)))
    }
}

/// Explains `tap` by `tariff`: pure.
pub fn explain(tap: &Tap, tariff: &Tariff) -> Explanation {
    let path = decided(tap, tariff);
    let words = |language: Language| Words {
        sentence: sentence(tap, tariff, path.as_ref(), language),
        steps: path.map_or_else(Vec::new, |path| path.steps(tariff, language)),
    };
    Explanation {
        tap: tap.id.to_string(),
        at: tap.at,
        local_time: tariff.calendar.local_time(tap.at),
        service_day: tariff.calendar.service_day(tap.at),
        operator: tap.operator,
        line: tap.line,
        stop: tap.stop,
        card: tap.card,
        outcome: outcome(tap.outcome),
        fare_minor: tap.fare,
        debited_minor: tap.debited.filter(|_| tap.outcome == Outcome::Done).unwrap_or(Amount::ZERO),
        currency: tariff.currency.clone(),
        code: path.map(|path| path.to_string()),
        vietnamese: words(Language::Vietnamese),
        english: words(Language::English),
        findings: journey::decide_again(tap, tariff).findings.into_iter().map(|finding| finding.detail).collect(),
    }
}

/// The path to the fare of a tap that has one. That of a rider whose purse held too little is what a full one would pay.
fn decided(tap: &Tap, tariff: &Tariff) -> Option<fare::ChargePath> {
    let view = match tap.outcome {
        Outcome::Done | Outcome::Unknown => journey::view(tap, tariff).ok()?,
        Outcome::Declined(Reason::NotEnough) => {
            let view = journey::view(tap, tariff).ok()?;
            let balance_after = Balance::from_minor(i64::from(PURSE_UPPER_LIMIT));
            CardView { record: Record { balance_after, ..view.record }, ..view }
        }
        Outcome::Void
        | Outcome::Declined(_)
        | Outcome::Confirmed { .. }
        | Outcome::Voided { .. }
        | Outcome::Evidence => return None,
    };
    let boarding = Boarding { tap: tap.id, line: tap.line, stop: tap.stop, at: tap.at, gate: tap.gate };
    match fare::decide(&view, tariff, &boarding) {
        Decision::Accept(accept) => Some(accept.path),
        Decision::Refuse(_) => None,
    }
}

fn sentence(tap: &Tap, tariff: &Tariff, path: Option<&fare::ChargePath>, language: Language) -> String {
    let say = |vietnamese: String, english: String| match language {
        Language::Vietnamese => vietnamese,
        Language::English => english,
    };
    let fare = tariff.currency.display(tap.fare.minor()).to_string();
    let of_fare = |path: &fare::ChargePath| {
        if path.charge == tap.fare {
            return path.sentence(tariff, language);
        }
        let by_tariff = tariff.currency.display(path.charge.minor()).to_string();
        say(
            format!("Máy soát vé đã thu {fare}; theo biểu giá là {by_tariff}."),
            format!("The validator charged {fare}; by the tariff it is {by_tariff}."),
        )
    };
    match (tap.outcome, path) {
        (Outcome::Done, Some(path)) => of_fare(path),
        (Outcome::Unknown, _) => say(
            format!("Chưa biết thẻ đã trả {fare} hay chưa; lần chạm thẻ hoặc nạp tiền sau sẽ cho biết."),
            format!("It is not known yet whether the card paid {fare}; its next tap or top-up tells."),
        ),
        (Outcome::Done, None) => say(
            format!("Máy soát vé đã thu {fare}; biểu giá hiện có không giải thích được."),
            format!("The validator charged {fare}; the tariff at hand does not explain it."),
        ),
        (Outcome::Declined(Reason::NotEnough), _) => say(
            format!("Không thu tiền: thẻ không đủ {fare} cho lượt đi."),
            format!("Nothing was charged: the card held less than the {fare} of the ride."),
        ),
        (Outcome::Declined(reason), _) => {
            let (vietnamese, english) = declined(reason);
            say(format!("Không thu tiền: {vietnamese}."), format!("Nothing was charged: {english}."))
        }
        (Outcome::Void, _) => say(
            "Không thu tiền: thẻ rời máy trước khi giao dịch hoàn tất.".to_owned(),
            "Nothing was charged: the card left before it could be.".to_owned(),
        ),
        (Outcome::Confirmed { names, .. }, _) => say(
            format!("Lần chạm này thu không đồng nào: nó cho biết lần chạm {names} đã trả {fare}."),
            format!("This tap charged nothing: it found that tap {names} had paid {fare}."),
        ),
        (Outcome::Voided { names }, _) => say(
            format!("Lần chạm này thu không đồng nào: nó cho biết lần chạm {names} chưa trả."),
            format!("This tap charged nothing: it found that tap {names} had not paid."),
        ),
        (Outcome::Evidence, _) => say(
            "Không thu tiền: đây là các bản ghi cũ của thẻ, giữ làm bằng chứng.".to_owned(),
            "Nothing was charged: these are older records of the card, kept as evidence.".to_owned(),
        ),
    }
}

fn declined(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::NotEnough => ("thẻ không đủ tiền", "the card held too little"),
        Reason::Denied => ("thẻ đã bị khóa", "the card is blocked"),
        Reason::NotGenuine => ("thẻ không xác thực được", "the card could not prove itself"),
        Reason::NotOurs => ("thẻ của hệ thống khác", "the card is of another system"),
        Reason::CardUnusable => ("không dùng được dữ liệu trên thẻ", "what the card holds cannot be used"),
        Reason::TooManyTorn => ("thẻ bị rút ra quá nhiều lần", "the card was taken away too many times"),
        Reason::AlreadyPaid => ("vừa trả tại máy này", "it had just been paid at this validator"),
        Reason::UseSameGate => ("vừa trả tại điểm dừng này", "it had just been paid at this stop"),
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Unknown => "unknown",
        Outcome::Void => "void",
        Outcome::Declined(_) => "declined",
        Outcome::Confirmed { .. } => "confirmed",
        Outcome::Voided { .. } => "voided",
        Outcome::Evidence => "evidence",
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let money = |amount: Amount| self.currency.display(amount.minor()).to_string();
        writeln!(
            f,
            "Tap {}, {}: service day {}, {}, line {}, stop {}",
            self.tap, self.outcome, self.service_day, self.local_time, self.line.0, self.stop.0
        )?;
        writeln!(f, "Card {}, fare {}, debited {}", self.card, money(self.fare_minor), money(self.debited_minor))?;
        for words in [&self.vietnamese, &self.english] {
            writeln!(f, "\n{}", words.sentence)?;
            for step in &words.steps {
                writeln!(f, "  {step}")?;
            }
        }
        if let Some(code) = &self.code {
            writeln!(f, "\n{code}")?;
        }
        for finding in &self.findings {
            writeln!(f, "\nDoes not fit: {finding}")?;
        }
        Ok(())
    }
}
