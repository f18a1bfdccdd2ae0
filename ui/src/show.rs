//! What a screen says: from the validator's plain facts to words and figures, with no toolkit.

use transit::card::Profile;
use transit::money::{Amount, Balance, Currency};
use transit::screen::{AttentionReason, DeclineReason, OutOfServiceReason, PassShown, Screen, State, Way};
use transit::time::ServiceDay;

use crate::words::{self, Bilingual};

/// Everything on the screen, ready to be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Decides colour, shape and layout.
    pub kind: Kind,
    /// The state's name in file names: `accepted`, `declined-not-enough`.
    pub name: &'static str,
    /// The verdict.
    pub headline: Bilingual,
    /// The fare, large.
    pub figure: Option<Line>,
    /// Amounts, one line each.
    pub lines: Vec<Line>,
    /// What it means or what to do.
    pub note: Option<Bilingual>,
    /// For staff, small.
    pub cause: Option<Bilingual>,
    /// The offline badge.
    pub offline: Option<Bilingual>,
    /// The name of the line; may be empty.
    pub line: String,
    /// The name of the stop; may be empty.
    pub stop: String,
}

/// What a passenger must tell apart at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Waiting for a card.
    Idle,
    /// Come in.
    Accepted,
    /// Paid, and not admitted again.
    Attention,
    /// Not admitted.
    Declined,
    /// The same card, once more.
    PresentAgain,
    /// No cards are taken.
    OutOfService,
}

/// A label and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What the value is.
    pub label: Bilingual,
    /// The value, the same in both languages.
    pub value: String,
}

/// Why no cards are taken: the validator's reasons, and the screen's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutOfService {
    /// The validator is starting up.
    Starting,
    /// The validator has no reader.
    Reader,
    /// The validator cannot write its log.
    Storage,
    /// The screen does not hear the validator.
    NoValidator,
}

impl From<OutOfServiceReason> for OutOfService {
    fn from(reason: OutOfServiceReason) -> Self {
        match reason {
            OutOfServiceReason::Starting => Self::Starting,
            OutOfServiceReason::Reader => Self::Reader,
            OutOfServiceReason::Storage => Self::Storage,
        }
    }
}

/// What to show of `screen`.
pub fn view(screen: &Screen) -> View {
    let currency = &screen.currency;
    let state = match &screen.state {
        State::Idle => plain(Kind::Idle, "idle", words::tap_your_card()),
        State::Accepted { fare, balance, pass, concession, expired_pass, recovered, way } => View {
            figure: Some(fare_charged(*fare, *pass, *concession, currency)),
            lines: vec![balance_line(*balance, currency)],
            note: accepted_note(*pass, *concession, *expired_pass, *recovered).or(way.and_then(words::way_note)),
            ..plain(Kind::Accepted, accepted_name(*way), words::accepted(*way))
        },
        State::Attention { reason } => View {
            note: Some(words::attention_note(*reason)),
            ..plain(Kind::Attention, attention_name(*reason), words::attention(*reason))
        },
        State::Declined { reason, balance, fare } => View {
            lines: balance
                .map(|balance| balance_line(balance, currency))
                .into_iter()
                .chain(fare.map(|fare| amount_line(words::fare(), fare.minor(), currency)))
                .collect(),
            note: Some(words::declined_note(*reason)),
            ..plain(Kind::Declined, declined_name(*reason), words::declined(*reason))
        },
        State::PresentAgain => View {
            note: Some(words::hold_still()),
            ..plain(Kind::PresentAgain, "present-again", words::present_again())
        },
        State::OutOfService { reason } => out_of_service((*reason).into()),
    };
    View { offline: screen.offline.then(words::offline), line: screen.line.clone(), stop: screen.stop.clone(), ..state }
}

/// What to show while the validator is not heard.
pub fn no_validator() -> View {
    out_of_service(OutOfService::NoValidator)
}

fn out_of_service(reason: OutOfService) -> View {
    let name = match reason {
        OutOfService::Starting => "out-of-service-starting",
        OutOfService::Reader => "out-of-service-reader",
        OutOfService::Storage => "out-of-service-storage",
        OutOfService::NoValidator => "out-of-service-no-validator",
    };
    View {
        note: Some(words::out_of_service_note(reason)),
        cause: Some(words::out_of_service_cause(reason)),
        ..plain(Kind::OutOfService, name, words::out_of_service())
    }
}

fn plain(kind: Kind, name: &'static str, headline: Bilingual) -> View {
    View {
        kind,
        name,
        headline,
        figure: None,
        lines: Vec::new(),
        note: None,
        cause: None,
        offline: None,
        line: String::new(),
        stop: String::new(),
    }
}

fn fare_charged(fare: Amount, pass: Option<PassShown>, concession: Option<Profile>, currency: &Currency) -> Line {
    let label = match (pass, concession) {
        (Some(_), _) => words::pass(),
        (None, Some(_)) => words::free(),
        (None, None) => words::fare(),
    };
    amount_line(label, fare.minor(), currency)
}

/// There is room for one note: what the passenger rode on, else why the fare is not what was expected.
fn accepted_note(
    pass: Option<PassShown>,
    concession: Option<Profile>,
    expired_pass: Option<ServiceDay>,
    recovered: bool,
) -> Option<Bilingual> {
    if let Some(pass) = pass {
        let (until_vi, until_en) = dates(pass.valid_until);
        return Some(words::days_left(pass.days_left, &until_vi, &until_en));
    }
    if let Some(profile) = concession {
        return Some(words::profile(profile));
    }
    if recovered {
        return Some(words::paid_by_earlier_tap());
    }
    let (on_vi, on_en) = dates(expired_pass?);
    Some(words::pass_expired(&on_vi, &on_en))
}

fn balance_line(balance: Balance, currency: &Currency) -> Line {
    amount_line(words::balance(), balance.minor(), currency)
}

fn amount_line(label: Bilingual, minor: i64, currency: &Currency) -> Line {
    // Noto Sans has no minus sign; its en dash has the same width and height.
    Line { label, value: currency.display(minor).to_string().replace('\u{2212}', "–") }
}

/// The date as Vietnamese write it, and as an English reader cannot take for another day.
fn dates(day: ServiceDay) -> (String, String) {
    let date = day.date();
    (date.strftime("%d/%m/%Y").to_string(), date.strftime("%-d %b %Y").to_string())
}

fn accepted_name(way: Option<Way>) -> &'static str {
    match way {
        None => "accepted",
        Some(Way::In) => "accepted-in",
        Some(Way::Out) => "accepted-out",
    }
}

fn attention_name(reason: AttentionReason) -> &'static str {
    match reason {
        AttentionReason::AlreadyPaid => "attention-already-paid",
        AttentionReason::UseSameGate => "attention-use-same-gate",
        AttentionReason::PaidBeforePowerLoss => "attention-paid-before-power-loss",
    }
}

fn declined_name(reason: DeclineReason) -> &'static str {
    match reason {
        DeclineReason::NotEnough => "declined-not-enough",
        DeclineReason::Denied => "declined-denied",
        DeclineReason::NotGenuine => "declined-not-genuine",
        DeclineReason::NotOurs => "declined-not-ours",
        DeclineReason::CardUnusable => "declined-card-unusable",
        DeclineReason::TooManyTorn => "declined-too-many-torn",
    }
}
