//! A charge in words: one sentence for the passenger, and every step for an auditor.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

use super::journey_words::{closing, opening, price_step, push_last_steps};
use super::{Cap, Capping, ChargePath, Free, JourneyStep, TapOut, TapOutPrice, Transfer};
use crate::card::Profile;
use crate::money::Amount;
use crate::tariff::{Discount, FareRule, JourneyRule, RoundingDirection, Tariff, TimeBand};
use crate::time::{Month, ServiceDay};

/// A language that charges are said in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Vietnamese.
    Vietnamese,
    /// English.
    English,
}

impl Language {
    /// All of them, that of the city first.
    pub const ALL: [Self; 2] = [Self::Vietnamese, Self::English];

    pub(super) fn say<T>(self, vietnamese: T, english: T) -> T {
        match self {
            Self::Vietnamese => vietnamese,
            Self::English => english,
        }
    }
}

impl ChargePath {
    /// The charge in one sentence that a passenger understands. `tariff` is the one that decided.
    pub fn sentence(&self, tariff: &Tariff, language: Language) -> String {
        let money = |amount: Amount| tariff.currency.display(amount.minor()).to_string();
        match self.free {
            Some(Free::Pass { valid_until, .. }) => {
                let day = day(valid_until, language);
                let closing = closing(self, tariff, language);
                return language.say(
                    format!("Miễn phí: vé tháng của quý khách có giá trị đến hết ngày {day}{closing}."),
                    format!("Free: your pass counts to the end of {day}{closing}."),
                );
            }
            Some(Free::Profile(profile)) => {
                let who = profile_name(profile, language);
                let closing = closing(self, tariff, language);
                return language
                    .say(format!("Miễn phí cho {who}{closing}."), format!("Free: no fare for {who}{closing}."));
            }
            None => {}
        }
        let (line, charge) = (line_name(self, tariff), money(self.charge));
        let mut said = match self.journey {
            Some(step) => opening(self, step, tariff, language),
            None => language.say(
                format!("Quý khách trả {charge} cho lượt đi {line}"),
                format!("You paid {charge} for a ride on {line}"),
            ),
        };
        let mut add = |vietnamese: String, english: String| {
            said.push_str(", ");
            said.push_str(&language.say(vietnamese, english));
        };
        if self.time_band.is_some() {
            add("theo giá của khung giờ này".to_owned(), "at the fare of this time of day".to_owned());
        }
        if let Some(Discount { profile, percent_off }) = self.discount {
            let who = profile_name(profile, language);
            add(format!("đã giảm {percent_off} % cho {who}"), format!("with {percent_off} % off for {who}"));
        }
        if let Some(transfer) = self.transfer.filter(|transfer| transfer.off > Amount::ZERO) {
            let off = money(transfer.off);
            add(format!("đã trừ {off} vì chuyển tuyến"), format!("{off} less because it is a transfer"));
        }
        if let Some(caps) = self.caps {
            let took_off = |cap: Option<Cap>| cap.filter(|cap| cap.off > Amount::ZERO);
            // The month is the stronger word: where both took off, nothing is due for the rest of it.
            if let Some(cap) = took_off(caps.of_month) {
                let limit = money(cap.limit);
                add(
                    format!("vì mỗi tháng quý khách trả nhiều nhất {limit}"),
                    format!("because you pay at most {limit} a month"),
                );
            } else if let Some(cap) = took_off(caps.of_day) {
                let limit = money(cap.limit);
                add(
                    format!("vì mỗi ngày quý khách trả nhiều nhất {limit}"),
                    format!("because you pay at most {limit} a day"),
                );
            }
        }
        said.push_str(&closing(self, tariff, language));
        said.push('.');
        said
    }

    /// The charge step by step, a line each, for an auditor. `tariff` is the one that decided.
    pub fn steps(&self, tariff: &Tariff, language: Language) -> Vec<String> {
        let money = |amount: Amount| tariff.currency.display(amount.minor()).to_string();
        let (version, name, fare) = (self.tariff_version, line_name(self, tariff), money(self.line_fare));
        let mut steps = vec![language.say(format!("biểu giá số {version}"), format!("tariff version {version}"))];
        steps.push(match (self.fare_rule, language) {
            (FareRule::Journey(_), _) if let Some(JourneyStep::TapOut(tap_out)) = &self.journey => {
                price_step(self, tap_out, tariff, language)
            }
            (FareRule::Flat, Language::Vietnamese) => format!("tuyến {name}, giá đồng hạng: {fare}"),
            (FareRule::Flat, Language::English) => format!("line {name}, flat fare: {fare}"),
            (FareRule::RouteLength(length), Language::Vietnamese) => {
                format!("tuyến {name}, giá theo cự ly tuyến {length} km: {fare}")
            }
            (FareRule::RouteLength(length), Language::English) => {
                format!("line {name}, fare of a route of {length} km: {fare}")
            }
            (FareRule::Journey(_), Language::Vietnamese) => format!("tuyến {name}, thu trước khi vào: {fare}"),
            (FareRule::Journey(_), Language::English) => format!("line {name}, debited at the tap-in: {fare}"),
        });
        match self.free {
            Some(Free::Pass { valid_until, .. }) => {
                let day = day(valid_until, language);
                steps.push(
                    language
                        .say(format!("vé tháng đến hết {day}: miễn phí"), format!("pass to the end of {day}: free")),
                );
            }
            Some(Free::Profile(profile)) => {
                let who = profile_name(profile, language);
                steps.push(language.say(format!("miễn phí cho {who}"), format!("free for {who}")));
            }
            None => self.push_price_steps(&mut steps, &money, language),
        }
        if let Some(Transfer { number, minutes_ago, paid, off }) = self.transfer {
            let (paid, off) = (money(paid), money(off));
            steps.push(language.say(
                format!("lần chuyển tuyến {number}, {minutes_ago} phút sau lượt đầu, chuỗi đã trả {paid}: −{off}"),
                format!(
                    "transfer {number}, {minutes_ago} min after the first boarding of a chain that paid {paid}: −{off}"
                ),
            ));
        }
        if let Some(JourneyStep::TapOut(TapOut { paid, .. })) = self.journey
            && paid > Amount::ZERO
        {
            let paid = money(paid);
            steps.push(language.say(format!("đã trả khi vào: −{paid}"), format!("paid at the tap-in: −{paid}")));
        }
        if let Some(Capping { day: counted, of_day, of_month }) = self.caps {
            let (day, month) = (day(counted, language), Month::of(counted).to_string());
            for (cap, vietnamese, english) in [
                (of_day, format!("ngày {day}"), format!("day {day}")),
                (of_month, format!("tháng {month}"), format!("month {month}")),
            ] {
                let Some(Cap { limit, spent, off }) = cap else { continue };
                let (limit, spent, off) = (money(limit), money(spent), money(off));
                steps.push(language.say(
                    format!("{vietnamese}: đã trả {spent}, nhiều nhất {limit}: −{off}"),
                    format!("{english}: {spent} paid before, at most {limit}: −{off}"),
                ));
            }
        }
        push_last_steps(self, &mut steps, tariff, language);
        let charge = money(self.charge);
        steps.push(language.say(format!("phải trả: {charge}"), format!("charged: {charge}")));
        steps
    }

    fn push_price_steps(&self, steps: &mut Vec<String>, money: &dyn Fn(Amount) -> String, language: Language) {
        let mut factors = String::new();
        if let Some(TimeBand { from, until, percent_of_fare, .. }) = self.time_band {
            let span = format!("{}–{}", from.strftime("%H:%M"), until.strftime("%H:%M"));
            steps.push(language.say(
                format!("khung giờ {span}: {percent_of_fare} % giá vé"),
                format!("time band {span}: {percent_of_fare} % of the fare"),
            ));
            factors.push_str(&format!(" × {percent_of_fare} %"));
        }
        if let Some(Discount { profile, percent_off }) = self.discount {
            let who = profile_name(profile, language);
            steps.push(
                language
                    .say(format!("giảm {percent_off} % cho {who}"), format!("discount for {who}: {percent_off} % off")),
            );
            factors.push_str(&format!(" × {} %", 100 - percent_off.min(100)));
        }
        if factors.is_empty() {
            return;
        }
        let (fare, to, single) = (money(self.line_fare), money(self.rounding.to), money(self.single_fare));
        let way = match self.rounding.direction {
            RoundingDirection::Up => language.say("làm tròn lên", "rounded up"),
            RoundingDirection::Down => language.say("làm tròn xuống", "rounded down"),
            RoundingDirection::HalfUp => language.say("làm tròn đến mức gần nhất", "rounded to the nearest"),
        };
        steps.push(language.say(
            format!("{fare}{factors}, {way}, bội số của {to}: {single}"),
            format!("{fare}{factors}, {way} multiple of {to}: {single}"),
        ));
    }
}

/// The path in one word for each rule, for logs and for comparing: `v7 line1 flat8000 time120% student-50% =5000
/// transfer1-2000 day-500 =2500`. Amounts are in minor units.
impl fmt::Display for ChargePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = match self.fare_rule {
            FareRule::Flat => "flat",
            FareRule::RouteLength(_) => "length",
            FareRule::Journey(_) => match self.journey {
                Some(JourneyStep::TapOut(tap_out)) => price_word(tap_out.price),
                Some(JourneyStep::TapIn(_)) | None => "tap-in",
            },
        };
        write!(f, "v{} line{} ", self.tariff_version, self.line.0)?;
        match self.journey {
            Some(JourneyStep::TapIn(stop)) => write!(f, "{}- ", stop.0)?,
            Some(JourneyStep::TapOut(TapOut { entry: Some(entry), stop, .. })) => {
                write!(f, "{}-{} ", entry.stop.0, stop.0)?;
            }
            Some(JourneyStep::TapOut(TapOut { entry: None, stop, .. })) => write!(f, "-{} ", stop.0)?,
            None => {}
        }
        write!(f, "{rule}{}", self.line_fare.minor())?;
        match self.free {
            Some(Free::Pass { valid_until, .. }) => write!(f, " pass-{valid_until}")?,
            Some(Free::Profile(profile)) => write!(f, " free-{}", profile.name())?,
            None => {}
        }
        if let Some(band) = self.time_band {
            write!(f, " time{}%", band.percent_of_fare)?;
        }
        if let Some(discount) = self.discount {
            write!(f, " {}-{}%", discount.profile.name(), discount.percent_off)?;
        }
        if self.single_fare != self.line_fare && self.free.is_none() {
            write!(f, " ={}", self.single_fare.minor())?;
        }
        if let Some(transfer) = self.transfer {
            write!(f, " transfer{}-{}", transfer.number, transfer.off.minor())?;
        }
        let amount = |f: &mut fmt::Formatter<'_>, name: &str, amount: Amount| match amount {
            Amount::ZERO => Ok(()),
            amount => write!(f, " {name}{}", amount.minor()),
        };
        if let Some(JourneyStep::TapOut(tap_out)) = self.journey {
            amount(f, "paid-", tap_out.paid)?;
        }
        let caps = self.caps.map(|caps| [("day", caps.of_day), ("month", caps.of_month)]);
        for (name, cap) in caps.into_iter().flatten() {
            if let Some(cap) = cap {
                write!(f, " {name}-{}", cap.off.minor())?;
            }
        }
        amount(f, "credit-", self.credit)?;
        if let Some(JourneyStep::TapOut(tap_out)) = self.journey {
            amount(f, "lacking-", tap_out.lacking)?;
            amount(f, "overpaid+", tap_out.overpaid)?;
        }
        write!(f, " ={}", self.charge.minor())?;
        self.unfinished.map_or(Ok(()), |unfinished| write!(f, " owed{}", unfinished.owed.minor()))
    }
}

fn price_word(price: TapOutPrice) -> &'static str {
    match price {
        TapOutPrice::Tariff(JourneyRule::ZonesCounted(_) | JourneyRule::ZonePair(..)) => "zones",
        TapOutPrice::Tariff(JourneyRule::DistanceStep(_) | JourneyRule::Distance(_)) => "distance",
        TapOutPrice::Tariff(JourneyRule::StopPair(..)) => "stops",
        TapOutPrice::NoPrice => "no-price",
        TapOutPrice::SameStop => "same-stop",
        TapOutPrice::Late => "late",
        TapOutPrice::NoEntry => "no-entry",
        TapOutPrice::Incident => "incident",
        TapOutPrice::Again => "again",
    }
}

fn line_name<'a>(path: &ChargePath, tariff: &'a Tariff) -> &'a str {
    tariff.line(path.line).map_or("?", |line| &line.name)
}

/// A day as people of the language write it.
fn day(day: ServiceDay, language: Language) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(text, "{}", day.date().strftime(language.say("%d/%m/%Y", "%-d %B %Y")));
    text
}

fn profile_name(profile: Profile, language: Language) -> &'static str {
    let (vietnamese, english) = match profile {
        Profile::Ordinary => ("hành khách phổ thông", "ordinary passengers"),
        Profile::Student => ("học sinh, sinh viên", "pupils and students"),
        Profile::IndustrialZoneWorker => ("công nhân khu công nghiệp", "workers in industrial zones"),
        Profile::SixtyPlus => ("người từ 60 tuổi", "people aged 60 and over"),
        Profile::UnderSix => ("trẻ em dưới 6 tuổi", "children under six"),
        Profile::Merit => ("người có công", "people with merit"),
        Profile::PoorHousehold => ("người thuộc hộ nghèo", "members of poor households"),
        Profile::Disabled => ("người khuyết tật", "disabled people"),
    };
    language.say(vietnamese, english)
}
