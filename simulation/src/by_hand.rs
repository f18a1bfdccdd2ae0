//! Everything stays up, and cards are tapped by typing their names.

use std::io::{BufRead, Write};
use std::path::Path;

use transit::screen::State;

use crate::Failed;
use crate::city::City;
use crate::morning::{line, read_tariff};

const HELP: &str = "  NAME [1|2]          tap a card at validator 1 (Kim Mã) or 2 (Khuất Duy Tiến)
  tear NAME [1|2]     tap it and pull it away while it commits
  cards               the names of the cards
  cut, mend           cut the network, mend it
  kill [1|2]          take a validator's power and give it back
  settle YYYY-MM-DD   close a service day and print its statements
  status              the state of the books
  quit";

/// Starts everything and obeys the lines of `input` until `quit` or its end.
///
/// # Errors
/// A program does not start or end well. What goes wrong in between is told and survived.
pub fn run(folder: &Path, fixtures: &Path, input: impl BufRead, out: &mut dyn Write) -> Result<(), Failed> {
    let telling = || Failed::system("telling what happens");
    let currency = read_tariff(fixtures)?.currency;
    let mut city = City::start(folder, fixtures, true)?;
    writeln!(out, "Everything runs; logs and screenshots: {}\n{HELP}", folder.display()).map_err(telling())?;
    for order in input.lines().map_while(Result::ok) {
        let words: Vec<&str> = order.split_whitespace().collect();
        let result = match words[..] {
            [] => continue,
            ["quit"] => break,
            ["help"] => Ok(HELP.to_owned()),
            ["cards"] => city.rider.cards().map(|names| names.join("  ")),
            ["cut"] => city.cut_network().map(|()| "the network is cut".to_owned()),
            ["mend"] => city.connect_network().map(|()| "the network is there".to_owned()),
            ["kill", ref gate @ ..] => kill(&mut city, gate),
            ["settle", day] => city.clearing_house(&["settle", "--service-day", day]),
            ["status"] => city.clearing_house(&["status"]),
            ["tear", card, ref gate @ ..] => tap(&mut city, card, gate, "lose-after 7", &currency),
            [card, ref gate @ ..] => tap(&mut city, card, gate, "", &currency),
        };
        let text = result.unwrap_or_else(|error| error.to_string());
        writeln!(out, "{text}").and_then(|()| out.flush()).map_err(telling())?;
    }
    city.end()
}

fn tap(
    city: &mut City,
    card: &str,
    gate: &[&str],
    fault: &str,
    currency: &transit::money::Currency,
) -> Result<String, Failed> {
    let gate = gate_of(gate)?;
    let panel = &mut city.gates[gate].panel;
    let before = panel.current().map_or(0, |screen| screen.number);
    city.rider.present(gate, card, fault)?;
    let screen = panel.wait_for("an answer", |screen| screen.number > before && screen.tap.is_some());
    if fault.is_empty() || screen.as_ref().is_ok_and(|screen| screen.state != State::PresentAgain) {
        city.rider.remove()?;
    } else {
        city.rider.wait_until_lost()?;
    }
    screen.map(|screen| line(&screen, card, currency))
}

fn kill(city: &mut City, gate: &[&str]) -> Result<String, Failed> {
    let gate = gate_of(gate)?;
    city.kill_core(gate)?;
    city.start_core(gate)?;
    Ok(format!("validator {} was dead and lives again", gate + 1))
}

fn gate_of(words: &[&str]) -> Result<usize, Failed> {
    match words {
        [] | ["1"] => Ok(0),
        ["2"] => Ok(1),
        _ => Err(Failed::Unexpected(format!("`{}` is no validator: 1 or 2", words.join(" ")))),
    }
}
