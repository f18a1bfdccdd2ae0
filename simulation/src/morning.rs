//! The script of a short morning: a desk that makes a card and loads it, every card of `fixtures/cards`, a network that goes and comes back, a card torn at
//! its commit, a validator that loses its power while the card holds its commit answer.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use clearing_house::statement::Statement;
use serde_json::Value;
use transit::money::Currency;
use transit::screen::{AttentionReason, DeclineReason, Screen, State, Way};
use transit::tariff::Tariff;
use transit::time::ServiceDay;

use crate::Failed;
use crate::city::{City, DESK_READER};
use crate::summary::Summary;

/// Plays the morning in `folder` and tells on `out` what happens.
///
/// # Errors
/// A program does not start, or does not do what the script waits for.
pub fn play(folder: &Path, fixtures: &Path, screens: bool, out: &mut dyn Write) -> Result<Summary, Failed> {
    let tariff = read_tariff(fixtures)?;
    tell(out, "Starting: pcscd, the clearing house, two validators, their uploads and screens, a desk and riders")?;
    let city = City::start(folder, fixtures, screens)?;
    let mut morning = Morning { city, tariff, out, summary: Summary::default(), days: BTreeSet::new() };
    morning.at_the_desk()?;
    morning.first_taps()?;
    morning.without_network()?;
    morning.with_network_again()?;
    let summary = morning.settle()?;
    summary.write(&folder.join("summary.json"))?;
    Ok(summary)
}

const KIM_MA: usize = 0;
const KHUAT_DUY_TIEN: usize = 1;
/// The last exchange of a purse tap.
const COMMIT: u32 = 7;

struct Morning<'a> {
    city: City,
    tariff: Tariff,
    out: &'a mut dyn Write,
    summary: Summary,
    days: BTreeSet<ServiceDay>,
}

impl Morning<'_> {
    fn at_the_desk(&mut self) -> Result<(), Failed> {
        self.heading("At the desk")?;
        self.city.desk.run("sync")?;
        self.serve("blank-ev3", &["issue --staff 7", "top-up --staff 7 50000", "refund --staff 7 10000", "inspect"])?;
        self.serve("adult-listed", &["sell --staff 7 --pass one-line --line 1"])?;
        let synced = self.city.desk.run("sync")?;
        let kept_aside = synced["kept_aside"].as_array().map_or(0, Vec::len);
        self.summary.desk_steps_kept_aside = u32::try_from(kept_aside).unwrap_or(u32::MAX);
        self.summary.desk_steps_unsent = self.city.desk.run("status")?["unsent"].as_u64().unwrap_or(u64::MAX);
        Ok(())
    }

    /// A card lies on the desk's reader while the clerk does this with it.
    fn serve(&mut self, card: &str, orders: &[&str]) -> Result<(), Failed> {
        self.city.rider.lay_down(DESK_READER, card, "")?;
        for order in orders {
            let answer = self.city.desk.run(order)?;
            let done = answer["done"].as_str().unwrap_or("looked at");
            let balance = answer["balance_minor"]
                .as_i64()
                .map(|minor| format!(", balance {}", self.tariff.currency.display(minor)));
            self.note(&format!("{card}: {order}: {done}{}", balance.unwrap_or_default()))?;
        }
        self.city.rider.remove()
    }

    fn first_taps(&mut self) -> Result<(), Failed> {
        self.heading("The first taps")?;
        let adult = self.tap(KIM_MA, "adult", "a fare of 8,000", paid)?;
        self.summary.exchanges_purse = adult.tap.map_or(0, |figures| figures.exchanges);
        self.tap(KHUAT_DUY_TIEN, "elderly", "a free ride", |state| {
            matches!(state, State::Accepted { concession: Some(_), .. })
        })?;
        self.tap(KIM_MA, "student-pass", "a ride on a pass", |state| {
            matches!(state, State::Accepted { pass: Some(_), .. })
        })?;
        self.tap(KHUAT_DUY_TIEN, "other-line", "a fare of 8,000", paid)?;
        self.tap(KIM_MA, "expired", "a fare of 8,000 and an expired pass", |state| {
            matches!(state, State::Accepted { expired_pass: Some(_), .. })
        })?;
        self.tap(KHUAT_DUY_TIEN, "foreign", "not our card", declined(DeclineReason::NotOurs))?;
        self.tap(KIM_MA, "empty", "not enough", declined(DeclineReason::NotEnough))?;
        self.tap(KHUAT_DUY_TIEN, "adult", "a fare of 8,000", paid)?;
        self.tap(KIM_MA, "open-journey", "a fare of 8,000", paid)?;
        self.tap(KHUAT_DUY_TIEN, "adult", "already paid", |state| {
            matches!(state, State::Attention { reason: AttentionReason::AlreadyPaid })
        })?;
        self.tap(KIM_MA, "denied", "blocked", declined(DeclineReason::Denied))?;
        self.tap(KIM_MA, "clone", "not genuine", declined(DeclineReason::NotGenuine))?;
        self.tap(KHUAT_DUY_TIEN, "blank-ev3", "a fare of 8,000 on the card of the desk", paid)?;
        Ok(())
    }

    fn without_network(&mut self) -> Result<(), Failed> {
        self.heading("The network is cut")?;
        self.city.cut_network()?;
        for gate in &mut self.city.gates {
            gate.panel.wait_until_offline_is(true)?;
        }
        self.tap(KHUAT_DUY_TIEN, "student-pass", "a ride on a pass", |state| {
            matches!(state, State::Accepted { pass: Some(_), .. })
        })?;

        self.note("the torn card leaves the field after it acted on its commit")?;
        self.present(KIM_MA, "torn", &format!("lose-after {COMMIT}"), "present again", |state| {
            *state == State::PresentAgain
        })?;
        self.city.rider.wait_until_lost()?;
        self.tap(KIM_MA, "torn", "the fare that it paid before", recovered)?;

        self.note("Khuất Duy Tiến loses its power while the card holds its commit answer")?;
        self.city.rider.present(KHUAT_DUY_TIEN, "open-journey", &format!("hold {COMMIT}"))?;
        self.city.rider.wait_until_holding()?;
        self.city.kill_core(KHUAT_DUY_TIEN)?;
        self.city.rider.remove()?;
        self.summary.killed += 1;
        self.city.start_core(KHUAT_DUY_TIEN)?;
        self.tap(KHUAT_DUY_TIEN, "open-journey", "the fare that it paid before", recovered)?;

        self.note("a next ride of each, elsewhere: its Transaction MAC proves the torn one")?;
        self.tap(KHUAT_DUY_TIEN, "torn", "a fare of 8,000", paid)?;
        self.tap(KIM_MA, "open-journey", "a fare of 8,000", paid)?;
        Ok(())
    }

    fn with_network_again(&mut self) -> Result<(), Failed> {
        self.heading("The network is back")?;
        let waiting = self.city.unacknowledged()?;
        self.city.connect_network()?;
        for gate in &mut self.city.gates {
            gate.panel.wait_until_offline_is(false)?;
        }
        self.city.wait_until_synced()?;
        self.note(&format!("{waiting} taps were waiting; all are acknowledged"))?;
        for gate in &self.city.gates {
            let status = gate.status()?;
            self.summary.torn += status.unknown;
            self.summary.recovered += status.confirmed - status.confirmed_without_a_ride;
        }
        self.summary.unacknowledged = self.city.unacknowledged()?;
        Ok(())
    }

    fn settle(mut self) -> Result<Summary, Failed> {
        let mut digests = Vec::new();
        for day in self.days.clone() {
            self.heading(&format!("Service day {day} is settled"))?;
            let day = day.to_string();
            let text = self.city.clearing_house(&["settle", "--service-day", &day])?;
            tell(self.out, &text)?;
            let again = self.city.clearing_house(&["settle", "--service-day", &day])?;
            if again != text {
                return Err(Failed::Unexpected("settling the day again printed something else".to_owned()));
            }
            let settled = self.json(&["settle", "--service-day", &day, "--json"])?;
            digests.push(settled["digest"].as_str().unwrap_or_default().to_owned());
            for statement in settled["statements"].as_array().into_iter().flatten() {
                let statement: Statement = serde_json::from_value(statement["statement"].clone())
                    .map_err(|error| Failed::Unexpected(format!("a statement cannot be read: {error}")))?;
                self.summary.add(&statement);
            }
        }
        self.summary.digest = digests.join(" ");
        let books = self.json(&["status", "--json"])?;
        self.summary.tmac_verified = books["transaction_macs_right"].as_u64().unwrap_or_default();
        self.summary.cash_of_desks_minor = books["balances_minor"]["desk:900:cash"].as_i64().unwrap_or_default();
        let audit = self.json(&["verify", "--json"])?;
        let balances = books["balances_minor"].as_object().into_iter().flatten();
        let sum: i64 = balances.filter_map(|(_, balance)| balance.as_i64()).sum();
        self.summary.ledger_balanced = audit["sound"] == Value::Bool(true) && sum == 0;
        for card in self.city.rider.cards()? {
            if let Some(purse) = self.city.rider.purse_minor(&card)? {
                self.summary.purses_minor.insert(card, purse);
            }
        }
        // Of the card that was made today no fixture knows the layout: the desk looks.
        self.city.rider.lay_down(DESK_READER, "blank-ev3", "")?;
        if let Some(balance) = self.city.desk.run("inspect")?["balance_minor"].as_i64() {
            self.summary.purses_minor.insert("blank-ev3".to_owned(), balance);
        }
        self.city.rider.remove()?;
        self.heading("Everything ends")?;
        self.city.end()?;
        Ok(self.summary)
    }

    fn json(&self, arguments: &[&str]) -> Result<Value, Failed> {
        serde_json::from_str(&self.city.clearing_house(arguments)?)
            .map_err(|error| Failed::Unexpected(format!("clearing-house {arguments:?} printed no JSON: {error}")))
    }

    /// A card is presented, answered and taken away.
    fn tap(&mut self, gate: usize, card: &str, what: &str, is_it: fn(&State) -> bool) -> Result<Screen, Failed> {
        let screen = self.present(gate, card, "", what, is_it)?;
        self.city.rider.remove()?;
        Ok(screen)
    }

    fn present(
        &mut self,
        gate: usize,
        card: &str,
        fault: &str,
        what: &str,
        is_it: fn(&State) -> bool,
    ) -> Result<Screen, Failed> {
        let at = &mut self.city.gates[gate];
        let before = at.panel.current().map_or(0, |screen| screen.number);
        self.city.rider.present(gate, card, fault)?;
        let what = format!("{what} for {card}");
        let screen = at.panel.wait_for(&what, |screen| screen.number > before && screen.tap.is_some())?;
        if !is_it(&screen.state) {
            return Err(Failed::Unexpected(format!("{}: {what} expected, {:?} shown", at.name, screen.state)));
        }
        self.summary.count(&screen);
        if let Some(figures) = &screen.tap {
            self.days.insert(self.tariff.calendar.service_day(figures.at));
        }
        tell(self.out, &line(&screen, card, &self.tariff.currency))?;
        Ok(screen)
    }

    fn heading(&mut self, text: &str) -> Result<(), Failed> {
        tell(self.out, &format!("\n{text}"))
    }

    fn note(&mut self, text: &str) -> Result<(), Failed> {
        tell(self.out, &format!("  … {text}"))
    }
}

fn paid(state: &State) -> bool {
    matches!(state, State::Accepted { fare, recovered: false, .. } if fare.minor() == 8000)
}

fn recovered(state: &State) -> bool {
    matches!(state, State::Accepted { fare, recovered: true, .. } if fare.minor() == 8000)
}

fn declined(reason: DeclineReason) -> fn(&State) -> bool {
    match reason {
        DeclineReason::NotEnough => |state| is_declined(state, DeclineReason::NotEnough),
        DeclineReason::Denied => |state| is_declined(state, DeclineReason::Denied),
        DeclineReason::NotGenuine => |state| is_declined(state, DeclineReason::NotGenuine),
        DeclineReason::NotOurs => |state| is_declined(state, DeclineReason::NotOurs),
        DeclineReason::CardUnusable => |state| is_declined(state, DeclineReason::CardUnusable),
        DeclineReason::TooManyTorn => |state| is_declined(state, DeclineReason::TooManyTorn),
    }
}

fn is_declined(state: &State, wanted: DeclineReason) -> bool {
    matches!(state, State::Declined { reason, .. } if *reason == wanted)
}

/// One tap as one line: where, which card, what the screen says, how long it took.
pub fn line(screen: &Screen, card: &str, currency: &Currency) -> String {
    let money = |minor| currency.display(minor).to_string();
    let answer = match &screen.state {
        State::Accepted { fare, balance, pass, concession, expired_pass, recovered, way } => {
            let mut text = format!("✓ {}, balance {}", money(fare.minor()), money(balance.minor()));
            let mut add = |more: String| {
                let _ = write!(text, ", {more}");
            };
            match way {
                Some(Way::In) => add("in".to_owned()),
                Some(Way::Out) => add("out".to_owned()),
                None => {}
            }
            if let Some(pass) = pass {
                add(format!("pass: {} days left", pass.days_left));
            }
            if let Some(profile) = concession {
                add(format!("free: {profile:?}"));
            }
            if let Some(day) = expired_pass {
                add(format!("pass expired {day}"));
            }
            if *recovered {
                add("paid by the torn tap".to_owned());
            }
            text
        }
        State::Attention { reason } => format!("! {reason:?}"),
        State::Declined { reason, balance, fare } => {
            let mut text = format!("✗ {reason:?}");
            if let Some((balance, fare)) = balance.zip(*fare) {
                let _ = write!(text, ": {} of {}", money(balance.minor()), money(fare.minor()));
            }
            text
        }
        State::PresentAgain => "↻ present again".to_owned(),
        State::Idle => "idle".to_owned(),
        State::OutOfService { reason } => format!("out of service: {reason:?}"),
    };
    let figures = screen.tap.as_ref().map_or_else(String::new, |figures| {
        let (ms, us) = (figures.elapsed_us / 1000, figures.elapsed_us % 1000 / 100);
        format!("{ms}.{us} ms, {} exchanges", figures.exchanges)
    });
    let offline = if screen.offline { " (offline)" } else { "" };
    format!("  {:<16} {card:<13} {answer:<60} {figures}{offline}", screen.stop)
}

/// The tariff of the fixtures.
///
/// # Errors
/// It cannot be read.
pub fn read_tariff(fixtures: &Path) -> Result<Tariff, Failed> {
    let path = fixtures.join("hanoi/tariff.toml");
    let text = std::fs::read_to_string(&path).map_err(Failed::system(format!("reading {}", path.display())))?;
    Tariff::parse(&path, &text).map_err(|error| Failed::Unexpected(error.to_string()))
}

fn tell(out: &mut dyn Write, text: &str) -> Result<(), Failed> {
    let said: io::Result<()> = writeln!(out, "{text}").and_then(|()| out.flush());
    said.map_err(Failed::system("telling what happens"))
}
