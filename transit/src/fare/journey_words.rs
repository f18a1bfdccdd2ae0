//! Tap-ins and tap-outs in words.

use super::words::Language;
use super::{ChargePath, Entry, JourneyStep, TapOut, TapOutPrice, Unfinished};
use crate::id::{LineNumber, StopNumber};
use crate::money::Amount;
use crate::tariff::{JourneyRule, Tariff};

/// What a passenger paid for, to which the other rules add what they took off: `You paid 1,20 € to enter at Port`.
pub(super) fn opening(path: &ChargePath, step: JourneyStep, tariff: &Tariff, language: Language) -> String {
    let charge = money(tariff, path.charge);
    match step {
        JourneyStep::TapIn(stop) => {
            let stop = stop_name(tariff, path.line, stop);
            language.say(
                format!("Quý khách trả {charge} khi vào {stop}, phần còn lại khi ra"),
                format!("You paid {charge} to enter at {stop}, the rest follows when you tap out"),
            )
        }
        JourneyStep::TapOut(tap_out) => {
            let exit = stop_name(tariff, tap_out.line, tap_out.stop);
            let Some(entry) = tap_out.entry else {
                return without_entry(tap_out.price, (&charge, exit), language);
            };
            let entry = stop_name(tariff, entry.line, entry.stop);
            let mut said = match tap_out.price {
                TapOutPrice::SameStop => language.say(
                    format!("Quý khách trả {charge}: đã ra tại {exit} ngay sau khi vào"),
                    format!("You paid {charge}: you left {exit} soon after you came in"),
                ),
                TapOutPrice::Late => language.say(
                    format!("Quý khách trả {charge}, đến mức cao nhất, vì ra tại {exit} quá lâu sau khi vào {entry}"),
                    format!(
                        "You paid {charge}, up to the maximum, because you left {exit} too long after entering {entry}"
                    ),
                ),
                TapOutPrice::Tariff(_)
                | TapOutPrice::NoPrice
                | TapOutPrice::NoEntry
                | TapOutPrice::Incident
                | TapOutPrice::Again => language.say(
                    format!("Quý khách trả {charge} cho chuyến đi từ {entry} đến {exit}"),
                    format!("You paid {charge} for the ride from {entry} to {exit}"),
                ),
            };
            if tap_out.paid > Amount::ZERO {
                let paid = money(tariff, tap_out.paid);
                said.push_str(
                    &language.say(format!(", ngoài {paid} khi vào"), format!(", besides {paid} at the entry")),
                );
            }
            said
        }
    }
}

fn without_entry(price: TapOutPrice, (charge, exit): (&str, &str), language: Language) -> String {
    match price {
        TapOutPrice::Again => language.say(
            format!("Quý khách trả {charge}: thẻ vừa ra tại {exit}"),
            format!("You paid {charge}: the card has just left {exit}"),
        ),
        TapOutPrice::Incident => language.say(
            format!("Quý khách trả {charge}: {exit} đang có sự cố"),
            format!("You paid {charge}: there is an incident at {exit}"),
        ),
        TapOutPrice::Tariff(_)
        | TapOutPrice::NoPrice
        | TapOutPrice::SameStop
        | TapOutPrice::Late
        | TapOutPrice::NoEntry => language.say(
            format!("Quý khách trả {charge}, mức cao nhất, vì thẻ không chạm khi vào trước khi ra tại {exit}"),
            format!("You paid {charge}, the maximum, because the card was not tapped in before it left {exit}"),
        ),
    }
}

/// What comes after everything that was taken off.
pub(super) fn closing(path: &ChargePath, tariff: &Tariff, language: Language) -> String {
    let mut said = String::new();
    let mut add = |amount: Amount, vietnamese: &dyn Fn(&str) -> String, english: &dyn Fn(&str) -> String| {
        if amount > Amount::ZERO {
            let amount = money(tariff, amount);
            said.push_str(&language.say(vietnamese(&amount), english(&amount)));
        }
    };
    add(path.credit, &|amount| format!(", đã trừ {amount} quý khách trả thừa trước đây"), &|amount| {
        format!(", {amount} less because you had paid that too much before")
    });
    if let Some(JourneyStep::TapOut(tap_out)) = path.journey {
        add(tap_out.overpaid, &|amount| format!(", {amount} sẽ được trừ vào lần sau"), &|amount| {
            format!(", {amount} comes off your next ride")
        });
        add(tap_out.lacking, &|amount| format!(", còn nợ {amount}"), &|amount| format!(", {amount} is still owed"));
    }
    if let Some(Unfinished { entry, owed, .. }) = path.unfinished {
        let stop = stop_name(tariff, entry.line, entry.stop);
        add(
            owed,
            &|amount| format!("; chuyến đi từ {stop} chưa chạm thẻ khi ra, còn nợ đến {amount}"),
            &|amount| format!("; the ride from {stop} was never tapped out, up to {amount} is owed for it"),
        );
    }
    said
}

/// Where the price of a tap-out comes from, for an auditor.
pub(super) fn price_step(path: &ChargePath, tap_out: &TapOut, tariff: &Tariff, language: Language) -> String {
    let fare = money(tariff, path.line_fare);
    let exit = place(tariff, tap_out.line, tap_out.stop);
    let way = match tap_out.entry {
        Some(Entry { line, stop, at }) => {
            let (entry, time) = (place(tariff, line, stop), tariff.calendar.local_time(at));
            language
                .say(format!("vào {entry} lúc {time}, ra {exit}"), format!("in at {entry} at {time}, out at {exit}"))
        }
        None => language.say(format!("ra {exit}, không có lần vào"), format!("out at {exit}, not tapped in")),
    };
    let why = match tap_out.price {
        TapOutPrice::Tariff(rule) => match rule {
            JourneyRule::ZonesCounted(zones) => language.say(format!("{zones} vùng"), format!("{zones} zone(s)")),
            JourneyRule::ZonePair(from, to) => {
                language.say(format!("vùng {from} đến vùng {to}"), format!("zone {from} to zone {to}"))
            }
            JourneyRule::DistanceStep(length) => {
                language.say(format!("{length} km, giá theo bậc cự ly"), format!("{length} km, by steps of distance"))
            }
            JourneyRule::Distance(length) => {
                language.say(format!("{length} km, giá theo từng mét"), format!("{length} km, metre by metre"))
            }
            JourneyRule::StopPair(from, to) => language.say(
                format!("bảng giá từ điểm {} đến điểm {}", from.0, to.0),
                format!("table of stops, {} to {}", from.0, to.0),
            ),
        },
        TapOutPrice::NoPrice => language.say(
            "biểu giá không có giá này: bằng giá khi vào".to_owned(),
            "no price in the tariff: that of the tap-in".to_owned(),
        ),
        TapOutPrice::SameStop => language.say("không tính là chuyến đi".to_owned(), "counts as no journey".to_owned()),
        TapOutPrice::Late => language.say("quá giờ: mức cao nhất".to_owned(), "too late: the maximum".to_owned()),
        TapOutPrice::NoEntry => language.say("mức cao nhất".to_owned(), "the maximum".to_owned()),
        TapOutPrice::Incident => language.say("có sự cố: miễn phí".to_owned(), "an incident: nothing".to_owned()),
        TapOutPrice::Again => language.say("lần thứ hai: miễn phí".to_owned(), "a second time: nothing".to_owned()),
    };
    format!("{way}, {why}: {fare}")
}

/// Credits, debts and journeys that were never ended, for an auditor.
pub(super) fn push_last_steps(path: &ChargePath, steps: &mut Vec<String>, tariff: &Tariff, language: Language) {
    let mut add = |amount: Amount, vietnamese: &str, english: &str| {
        if amount > Amount::ZERO {
            let amount = money(tariff, amount);
            steps.push(language.say(format!("{vietnamese}{amount}"), format!("{english}{amount}")));
        }
    };
    add(path.credit, "tiền trả thừa trên thẻ: −", "credit on the card: −");
    if let Some(JourneyStep::TapOut(tap_out)) = path.journey {
        add(tap_out.overpaid, "trả thừa, ghi vào thẻ: ", "paid too much, now a credit on the card: ");
        add(tap_out.lacking, "thẻ thiếu tiền, còn nợ: −", "the purse lacked it, owed: −");
    }
    if let Some(Unfinished { entry, paid, owed }) = path.unfinished {
        let (place, time) = (place(tariff, entry.line, entry.stop), tariff.calendar.local_time(entry.at));
        let (paid, owed) = (money(tariff, paid), money(tariff, owed));
        steps.push(language.say(
            format!("chuyến đi chưa kết thúc, vào {place} lúc {time}, đã trả {paid}: còn nợ đến {owed}"),
            format!("unfinished journey, in at {place} at {time}, {paid} paid: up to {owed} owed"),
        ));
    }
}

fn money(tariff: &Tariff, amount: Amount) -> String {
    tariff.currency.display(amount.minor()).to_string()
}

fn stop_name(tariff: &Tariff, line: LineNumber, stop: StopNumber) -> &str {
    tariff.line(line).and_then(|line| line.stop(stop)).map_or("?", |stop| &stop.name)
}

fn place(tariff: &Tariff, line: LineNumber, stop: StopNumber) -> String {
    let name = tariff.line(line).map_or("?", |line| &line.name);
    format!("{} ({name})", stop_name(tariff, line, stop))
}
