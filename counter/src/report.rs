//! What a command has done: one JSON object for machines, lines for people.

use std::fmt::{self, Display, Write as _};

use serde::{Serialize, Serializer};
use transit::action::ActionKind;
use transit::card::{ProductKind, Profile, RecordKind};
use transit::desk::Allowance;
use transit::id::{CardToken, LineNumber, TapId};
use transit::money::{Amount, Balance};
use transit::tariff::Tariffs;
use transit::time::{Moment, ServiceDay};

use crate::inspect::{Inspection, Verdict};
use crate::lint::Finding;
use crate::settle::{Resumed, ResumedOutcome};
use crate::words::Language;

/// Everything that a command answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Open actions of the card that were brought to their end on the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<Resumed>,
    /// What was asked for.
    #[serde(flatten)]
    pub report: Report,
}

/// What a command has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "done", rename_all = "snake_case")]
pub enum Report {
    /// A card was made.
    Issued(Issued),
    /// A card was loaded.
    ToppedUp(Loaded),
    /// Cash was given back for what never reached its card.
    GivenBack {
        /// The action.
        #[serde(serialize_with = "id")]
        action: TapId,
        /// How much.
        amount_minor: Amount,
    },
    /// A pass was sold.
    Sold(PassSold),
    /// A card was looked at.
    Inspected(Box<Inspection>),
    /// A card was read back.
    Linted {
        /// What is weak; nothing, where the card is as it must be.
        findings: Vec<Finding>,
    },
    /// Value was taken off a card: pay it out.
    PaidOut(Loaded),
    /// A card is to be blocked.
    Blocked {
        /// The action.
        #[serde(serialize_with = "id")]
        action: TapId,
        /// The card.
        card: CardToken,
    },
    /// Value and passes are on a new card.
    Moved(Moved),
    /// What was asked for was open already, and is done now.
    Resumed,
    /// The newest keys lie in the card's spare key set.
    KeySetLoaded {
        /// The card.
        card: CardToken,
        /// The version of the set.
        set_version: u8,
        /// `false`: the card had the newest keys already.
        is_newer: bool,
    },
    /// Steps were sent, and the allowance refilled.
    Synced(Synced),
    /// What the journal holds.
    Status(Status),
}

/// Keys that a ceremony has made or shown, by their check values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyList {
    /// One line each: role, version, check value.
    pub keys: Vec<String>,
    /// The public half of the signing key of a file for a desk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_public_key: Option<String>,
}

/// A card that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Issued {
    /// The action.
    #[serde(serialize_with = "id")]
    pub action: TapId,
    /// The card.
    pub card: CardToken,
    /// Its generation.
    pub chip: &'static str,
    /// Who will ride with it.
    pub profile: Profile,
}

/// Value that was loaded or paid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Loaded {
    /// The action.
    #[serde(serialize_with = "id")]
    pub action: TapId,
    /// The card.
    pub card: CardToken,
    /// How much.
    pub amount_minor: Amount,
    /// The purse after it.
    pub balance_minor: Balance,
}

/// A pass that was sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PassSold {
    /// The action.
    #[serde(serialize_with = "id")]
    pub action: TapId,
    /// The card.
    pub card: CardToken,
    /// What was paid.
    pub price_minor: Amount,
    /// For one line or for all.
    pub product: ProductKind,
    /// The line; 0 for all.
    pub line: LineNumber,
    /// The first service day.
    pub valid_from: ServiceDay,
    /// The last service day.
    pub valid_until: ServiceDay,
}

/// Value and passes that went from one card to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The action.
    #[serde(serialize_with = "id")]
    pub action: TapId,
    /// An exchange or a transfer.
    pub kind: ActionKind,
    /// The card that had them.
    pub from: CardToken,
    /// The card that has them now.
    pub card: CardToken,
    /// How much.
    pub amount_minor: Amount,
    /// The new card's purse after it.
    pub balance_minor: Balance,
}

/// What a sync did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Synced {
    /// Steps that the clearing house has taken.
    pub sent: u32,
    /// Those of them that it keeps aside.
    pub kept_aside: Vec<KeptAside>,
    /// The allowance in force.
    pub allowance: Option<Allowance>,
    /// What all steps take of it.
    pub taken_minor: Amount,
}

/// A step that the clearing house did not book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptAside {
    /// The step.
    pub step: Option<String>,
    /// The verdict.
    pub verdict: &'static str,
    /// For people.
    pub detail: Option<String>,
}

/// What a journal holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The desk.
    pub desk: u32,
    /// The epoch of its journal.
    pub epoch: u8,
    /// Steps in it.
    pub steps: u32,
    /// Steps that the clearing house has not acknowledged.
    pub unsent: u32,
    /// Actions that are not at their end.
    pub open: Vec<Open>,
    /// The allowance in force.
    pub allowance: Option<Allowance>,
    /// What all steps take of it.
    pub taken_minor: Amount,
    /// The public half of the desk's signing key, as the clearing house must know it.
    pub signing_public_key: String,
}

/// An action that is not at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Open {
    /// Its first step.
    #[serde(serialize_with = "id")]
    pub action: TapId,
    /// What it is.
    pub kind: ActionKind,
    /// How far it is: `paid`, `unknown` or `half_moved`.
    pub state: &'static str,
    /// The card.
    pub card: CardToken,
    /// How much.
    pub amount_minor: Amount,
}

pub(crate) fn id<S: Serializer>(id: &TapId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

pub(crate) fn some_id<S: Serializer>(id: &Option<TapId>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}

pub(crate) fn record_kind<S: Serializer>(kind: &RecordKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match kind {
        RecordKind::Issued => "issued",
        RecordKind::Boarding => "boarding",
        RecordKind::TapIn => "tap_in",
        RecordKind::TapOut => "tap_out",
        RecordKind::Load => "load",
        RecordKind::Refund => "refund",
        RecordKind::Sale => "sale",
    })
}

/// Says an answer to people.
#[derive(Debug, Clone, Copy)]
pub struct Speaker<'a> {
    /// In which language.
    pub language: Language,
    /// With which money, clock and lines.
    pub tariffs: &'a Tariffs,
}

impl Speaker<'_> {
    /// The lines of an answer.
    pub fn say(&self, answer: &Answer) -> String {
        let mut out = String::new();
        for resumed in &answer.resumed {
            self.resumed(&mut out, resumed).expect("a string takes what is written to it");
        }
        self.report(&mut out, &answer.report).expect("a string takes what is written to it");
        out
    }

    fn money(&self, minor: i64) -> String {
        self.tariffs.currency().display(minor).to_string()
    }

    /// The local time of the city, to the minute.
    fn local(&self, at: Moment) -> String {
        let local = jiff::ZonedDateTime::new(at.timestamp(), self.tariffs.calendar().time_zone.clone());
        local.strftime("%Y-%m-%d %H:%M").to_string()
    }

    fn line(&self, out: &mut String, vi: &'static str, en: &'static str, value: impl Display) -> fmt::Result {
        writeln!(out, "{:<22} {value}", format!("{}:", self.language.pick(vi, en)))
    }

    fn resumed(&self, out: &mut String, resumed: &Resumed) -> fmt::Result {
        let (vi, en) = match resumed.outcome {
            ResumedOutcome::Found if resumed.kind == ActionKind::Refund => {
                ("thẻ đã bị trừ, trả tiền cho khách", "the card was debited: pay it out now")
            }
            ResumedOutcome::Found => ("thẻ đã có", "the card had it already"),
            ResumedOutcome::Finished => ("đã ghi xong", "finished now"),
            ResumedOutcome::Undone if resumed.kind == ActionKind::Transfer => {
                ("thẻ không đổi, giá trị vẫn chuyển được", "the card is unchanged; its value can still be transferred")
            }
            ResumedOutcome::Undone => ("thẻ không đổi, không ai nợ ai", "the card is unchanged; nothing is owed"),
            ResumedOutcome::HalfMoved => (
                "thẻ cũ đã trống, giá trị và vé chờ thẻ mới",
                "the old card is empty; its value and passes wait for a new card",
            ),
            ResumedOutcome::Waits => {
                ("chưa ghi được, tiền còn giữ tại quầy", "cannot be written now: the cash waits, or is given back")
            }
            ResumedOutcome::StillUnknown => ("chưa rõ, chờ trung tâm", "still unknown: the clearing house will tell"),
        };
        let amount = self.money(resumed.amount_minor.minor());
        writeln!(out, "{} {} {amount}: {}", resumed.kind.name(), resumed.action, self.language.pick(vi, en))
    }

    fn report(&self, out: &mut String, report: &Report) -> fmt::Result {
        match report {
            Report::Issued(issued) => {
                self.line(out, "Đã phát hành", "Issued", issued.action)?;
                self.line(out, "Loại thẻ", "Chip", issued.chip)?;
                self.line(out, "Đối tượng", "Profile", self.language.profile(issued.profile))?;
                self.line(out, "Mã thẻ", "Card", issued.card)
            }
            Report::ToppedUp(loaded) => {
                self.line(out, "Đã nạp", "Loaded", self.money(loaded.amount_minor.minor()))?;
                self.loaded(out, loaded)
            }
            Report::PaidOut(loaded) => {
                self.line(out, "Trả khách", "Pay out", self.money(loaded.amount_minor.minor()))?;
                self.loaded(out, loaded)
            }
            Report::GivenBack { action, amount_minor } => {
                self.line(out, "Trả lại khách", "Give back", self.money(amount_minor.minor()))?;
                self.line(out, "Giao dịch", "Action", action)
            }
            Report::Sold(sold) => {
                self.line(out, "Đã bán", "Sold", self.pass(sold.product, sold.line))?;
                self.line(out, "Hiệu lực", "Valid", format_args!("{} – {}", sold.valid_from, sold.valid_until))?;
                self.line(out, "Giá", "Price", self.money(sold.price_minor.minor()))?;
                self.line(out, "Giao dịch", "Action", sold.action)
            }
            Report::Inspected(inspection) => self.inspection(out, inspection),
            Report::Linted { findings } if findings.is_empty() => {
                writeln!(out, "{}", self.language.pick("Thẻ đạt yêu cầu", "The card is as it must be"))
            }
            Report::Linted { findings } => findings.iter().try_for_each(|finding| writeln!(out, "{finding}")),
            Report::Blocked { action, card } => {
                self.line(out, "Đã khóa thẻ", "Blocked", card)?;
                self.line(out, "Giao dịch", "Action", action)
            }
            Report::Moved(moved) => {
                self.line(out, "Đã chuyển", "Moved", self.money(moved.amount_minor.minor()))?;
                self.line(out, "Số dư", "Balance", self.money(moved.balance_minor.minor()))?;
                self.line(out, "Giao dịch", "Action", moved.action)
            }
            Report::Resumed => {
                let (vi, en) =
                    ("Giao dịch dở dang đã xong; không làm gì thêm", "What was open is done; nothing more was done");
                writeln!(out, "{}", self.language.pick(vi, en))
            }
            Report::KeySetLoaded { set_version, is_newer: true, .. } => {
                self.line(out, "Đã nạp bộ khóa", "Key set laid", set_version)
            }
            Report::KeySetLoaded { .. } => {
                writeln!(out, "{}", self.language.pick("Thẻ đã có khóa mới nhất", "The card has the newest keys"))
            }
            Report::Synced(synced) => {
                self.line(out, "Đã gửi", "Sent", synced.sent)?;
                for aside in &synced.kept_aside {
                    let step = aside.step.as_deref().unwrap_or("?");
                    let detail = aside.detail.as_deref().unwrap_or("");
                    self.line(out, "Chưa ghi sổ", "Kept aside", format_args!("{step} {} {detail}", aside.verdict))?;
                }
                self.allowance(out, synced.allowance.as_ref(), synced.taken_minor)
            }
            Report::Status(status) => self.status(out, status),
        }
    }

    fn loaded(&self, out: &mut String, loaded: &Loaded) -> fmt::Result {
        self.line(out, "Số dư", "Balance", self.money(loaded.balance_minor.minor()))?;
        self.line(out, "Giao dịch", "Action", loaded.action)
    }

    fn pass(&self, kind: ProductKind, line: LineNumber) -> String {
        let name = self.language.product(kind);
        match self.tariffs.line(line).filter(|_| kind == ProductKind::OneRoutePass) {
            Some(line) => format!("{name} {}", line.name),
            None => name.to_owned(),
        }
    }

    fn inspection(&self, out: &mut String, card: &Inspection) -> fmt::Result {
        self.line(out, "Số dư", "Balance", self.money(card.balance_minor.minor()))?;
        self.line(out, "Đối tượng", "Profile", self.language.profile(card.profile))?;
        if let Some(until) = card.profile_valid_until {
            self.line(out, "Đến hết ngày", "Valid until", until)?;
        }
        for pass in &card.passes {
            let state =
                if pass.is_valid { ("còn hiệu lực", "valid") } else { ("không hiệu lực", "not valid today") };
            let state = self.language.pick(state.0, state.1);
            let pass_name = self.pass(pass.kind, pass.line);
            let value = format!("{pass_name}, {} – {} ({state})", pass.valid_from, pass.valid_until);
            self.line(out, "Vé tháng", "Pass", value)?;
        }
        for verdict in &card.verdicts {
            self.line(out, "Qua cửa", "Let in", self.verdict(verdict))?;
        }
        for record in &card.records {
            let stop = self.tariffs.line(record.line).and_then(|line| line.stop(record.stop));
            let place = stop.map_or("", |stop| &stop.name);
            let kind = self.language.record(record.kind);
            writeln!(
                out,
                "  {}  {kind:<14} {:>12} {:>14}  {place}",
                self.local(record.at),
                self.money(record.amount_minor.minor()),
                self.money(record.balance_after_minor.minor()),
            )?;
        }
        self.line(out, "Mã thẻ", "Card", card.card)
    }

    fn verdict(&self, verdict: &Verdict) -> String {
        let line = self.tariffs.line(verdict.line).map_or_else(|| verdict.line.0.to_string(), |line| line.name.clone());
        match (verdict.fare_minor, verdict.refusal) {
            (Some(fare), _) => format!("{line}: {}, {}", self.language.pick("được", "yes"), self.money(fare.minor())),
            (None, refusal) => {
                let (vi, en) = match refusal {
                    Some("denied") => ("thẻ bị khóa", "the card is blocked"),
                    Some("not_enough") => ("không đủ tiền", "not enough value"),
                    Some("already_paid" | "use_same_gate") => ("vừa quẹt xong", "has just tapped"),
                    _ => ("không xác định được", "cannot be decided"),
                };
                format!("{line}: {}, {}", self.language.pick("không", "no"), self.language.pick(vi, en))
            }
        }
    }

    fn allowance(&self, out: &mut String, allowance: Option<&Allowance>, taken: Amount) -> fmt::Result {
        match allowance {
            Some(allowance) => {
                let left = allowance.loads_through_minor.minor() - taken.minor();
                self.line(out, "Hạn mức còn", "Allowance left", self.money(left))?;
                self.line(out, "Đến", "Until", self.local(allowance.valid_until))
            }
            None => self.line(out, "Hạn mức", "Allowance", self.language.pick("chưa có", "none yet")),
        }
    }

    fn status(&self, out: &mut String, status: &Status) -> fmt::Result {
        self.line(out, "Quầy", "Desk", format_args!("{} ({})", status.desk, status.epoch))?;
        let unsent = self.language.pick("chưa gửi", "unsent");
        self.line(out, "Bước đã ghi", "Steps", format_args!("{} ({} {unsent})", status.steps, status.unsent))?;
        self.allowance(out, status.allowance.as_ref(), status.taken_minor)?;
        for open in &status.open {
            let amount = self.money(open.amount_minor.minor());
            let value = format!("{} {} {amount}, {}", open.action, open.kind.name(), open.state);
            self.line(out, "Đang dở", "Open", value)?;
        }
        self.line(out, "Khóa công khai", "Public key", &status.signing_public_key)
    }
}
