//! One screen per thing a validator can say.

use transit::card::Profile;
use transit::money::{Amount, Balance, Currency};
use transit::screen::{AttentionReason, DeclineReason, OutOfServiceReason, PassShown, Screen, State, Way};
use transit::time::ServiceDay;
use ui::show::{self, View};

pub(crate) const PROFILES: [Profile; 8] = [
    Profile::Ordinary,
    Profile::Student,
    Profile::IndustrialZoneWorker,
    Profile::SixtyPlus,
    Profile::UnderSix,
    Profile::Merit,
    Profile::PoorHousehold,
    Profile::Disabled,
];
pub(crate) const ATTENTION_REASONS: [AttentionReason; 3] =
    [AttentionReason::AlreadyPaid, AttentionReason::UseSameGate, AttentionReason::PaidBeforePowerLoss];
pub(crate) const DECLINE_REASONS: [DeclineReason; 6] = [
    DeclineReason::NotEnough,
    DeclineReason::Denied,
    DeclineReason::NotGenuine,
    DeclineReason::NotOurs,
    DeclineReason::CardUnusable,
    DeclineReason::TooManyTorn,
];
pub(crate) const OUT_OF_SERVICE_REASONS: [OutOfServiceReason; 3] =
    [OutOfServiceReason::Starting, OutOfServiceReason::Reader, OutOfServiceReason::Storage];

pub(crate) fn screen(state: State) -> Screen {
    Screen {
        number: 1,
        state,
        offline: false,
        line: "BRT 01".to_owned(),
        stop: "Bến xe Yên Nghĩa".to_owned(),
        currency: Currency { code: "VND".to_owned(), minor_digits: 0, sign: "₫".to_owned() },
        tap: None,
        card_path: None,
    }
}

/// A purse tap of 8,000 that leaves 42,000, changed by `change`.
pub(crate) fn accepted(change: impl FnOnce(&mut Accepted)) -> Screen {
    let mut accepted = Accepted { fare: 8_000, balance: 42_000, ..Accepted::default() };
    change(&mut accepted);
    screen(State::Accepted {
        fare: amount(accepted.fare),
        balance: Balance::from_minor(accepted.balance),
        pass: accepted.pass,
        concession: accepted.concession,
        expired_pass: accepted.expired_pass,
        recovered: accepted.recovered,
        way: accepted.way,
    })
}

#[derive(Default)]
pub(crate) struct Accepted {
    pub(crate) fare: i64,
    pub(crate) balance: i64,
    pub(crate) pass: Option<PassShown>,
    pub(crate) concession: Option<Profile>,
    pub(crate) expired_pass: Option<ServiceDay>,
    pub(crate) recovered: bool,
    pub(crate) way: Option<Way>,
}

pub(crate) fn declined(reason: DeclineReason) -> Screen {
    let money_decided = reason == DeclineReason::NotEnough;
    screen(State::Declined {
        reason,
        balance: money_decided.then_some(Balance::from_minor(3_000)),
        fare: money_decided.then(|| amount(8_000)),
    })
}

pub(crate) fn amount(minor: i64) -> Amount {
    Amount::from_minor(minor).unwrap()
}

pub(crate) fn day(text: &str) -> ServiceDay {
    text.parse().unwrap()
}

pub(crate) fn pass(days_left: u16, valid_until: &str) -> Option<PassShown> {
    Some(PassShown { valid_until: day(valid_until), days_left })
}

/// Every state in every variation that looks or reads differently, by the name of its golden picture.
pub(crate) fn all() -> Vec<(String, View)> {
    let mut screens = vec![
        ("idle".to_owned(), screen(State::Idle)),
        ("idle-offline".to_owned(), Screen { offline: true, ..screen(State::Idle) }),
        ("accepted-purse".to_owned(), accepted(|_| ())),
        ("accepted-purse-offline".to_owned(), Screen { offline: true, ..accepted(|_| ()) }),
        ("accepted-purse-large".to_owned(), accepted(|tap| (tap.fare, tap.balance) = (120_000, 9_999_000))),
        ("accepted-in".to_owned(), accepted(|tap| tap.way = Some(Way::In))),
        ("accepted-out".to_owned(), accepted(|tap| tap.way = Some(Way::Out))),
        (
            "accepted-pass".to_owned(),
            accepted(|tap| (tap.fare, tap.balance, tap.pass) = (0, 20_000, pass(12, "2026-12-05"))),
        ),
        (
            "accepted-pass-last-day".to_owned(),
            accepted(|tap| (tap.fare, tap.balance, tap.pass) = (0, 20_000, pass(0, "2026-11-30"))),
        ),
        (
            "accepted-pass-longest".to_owned(),
            accepted(|tap| (tap.fare, tap.balance, tap.pass) = (0, 20_000, pass(365, "2026-11-30"))),
        ),
        (
            "accepted-expired-pass".to_owned(),
            accepted(|tap| (tap.balance, tap.expired_pass) = (12_000, Some(day("2026-11-22")))),
        ),
        ("accepted-recovered".to_owned(), accepted(|tap| tap.recovered = true)),
        ("present-again".to_owned(), screen(State::PresentAgain)),
    ];
    for profile in PROFILES {
        let name = format!("accepted-concession-{}", kebab(&format!("{profile:?}")));
        screens.push((name, accepted(|tap| (tap.fare, tap.concession) = (0, Some(profile)))));
    }
    for reason in ATTENTION_REASONS {
        screens.push((String::new(), screen(State::Attention { reason })));
    }
    for reason in DECLINE_REASONS {
        screens.push((String::new(), declined(reason)));
    }
    for reason in OUT_OF_SERVICE_REASONS {
        screens.push((String::new(), screen(State::OutOfService { reason })));
    }
    let mut views: Vec<(String, View)> = screens
        .into_iter()
        .map(|(name, screen)| {
            let view = show::view(&screen);
            (if name.is_empty() { view.name.to_owned() } else { name }, view)
        })
        .collect();
    views.push((show::no_validator().name.to_owned(), show::no_validator()));
    views
}

fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(letter.to_lowercase());
    }
    kebab
}
