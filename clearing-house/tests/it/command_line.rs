//! The program itself: what it prints, and how it ends.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use transit::action::ActionKind;
use transit::sync::TAPS_PATH;

use crate::desk_support::Desk;
use crate::support::{Card, City, MORNING, Validator, body, later};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_clearing-house"))
}

fn run(city: &City, arguments: &[&str]) -> (i32, String, String) {
    let output: Output = program().args(arguments).arg("--config").arg(city.config_path()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn settles_verifies_and_counts() {
    let mut city = City::new();
    city.upload(&[Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING)]);
    // The program has the machine's clock, so that the day may have begun or not: a day long past has.
    let settle = ["settle", "--service-day", "2020-01-01", "--json"];
    let first = run(&city, &settle);
    assert_eq!((first.0, &first), (0, &run(&city, &settle)));
    let json: serde_json::Value = serde_json::from_str(&first.1).unwrap();
    assert_eq!(json["service_day"], "2020-01-01");
    assert_eq!(json["statements"][0]["statement"]["header"]["operator_name"], "Hà Nội BRT");

    let (code, text, _) = run(&city, &["verify"]);
    assert_eq!((code, &*text), (0, "Sound: 1 taps and 0 actions (1 proven by their cards), 1 entries, 2 statements\n"));
    let (code, text, _) = run(&city, &["status", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &json["taps"], &json["balances_minor"]["operator:1:payable"]), (0, &1.into(), &8_000.into()));
    assert_eq!(run(&city, &["status"]).0, 0);
}

#[test]
fn explains_a_tap() {
    let mut city = City::new();
    city.upload(&[Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING)]);
    let (code, text, _) = run(&city, &["explain", "1-1-1"]);
    assert!(code == 0 && text.contains("You paid 8.000\u{a0}₫ for a ride on BRT 01."), "{text}");
    let (code, text, _) = run(&city, &["explain", "1-1-1", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &json["code"], &json["fare_minor"]), (0, &"v1 line1 flat8000 =8000".into(), &8_000.into()));
    assert_eq!(json["vietnamese"]["steps"].as_array().unwrap().len(), 3);

    let (code, _, error) = run(&city, &["explain", "1-1-9"]);
    assert!(code == 2 && error.contains("tap 1-1-9 is not in the books"), "{error}");
    // Another tariff has come since: what it would charge is no answer.
    let path = city.folder.path().join("tariff.toml");
    let other = std::fs::read_to_string(&path).unwrap().replace("version = 1", "version = 2");
    std::fs::write(&path, other).unwrap();
    let (code, text, _) = run(&city, &["explain", "1-1-1"]);
    assert!(
        code == 1 && text.contains("Does not fit: device 1 epoch 1 sequence 1: decided by tariff version 1"),
        "{text}"
    );
}

#[test]
fn looks_at_a_tariff_before_it_is_in_force() {
    let city = City::new();
    let (now, next) = (city.folder.path().join("tariff.toml"), city.folder.path().join("next.toml"));
    let run = |arguments: &[&std::ffi::OsStr]| {
        let output = program().arg("tariff").args(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace('\u{a0}', " ");
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let [check, diff, json] = ["check", "diff", "--json"].map(std::ffi::OsStr::new);
    assert_eq!(run(&[check, now.as_ref()]), (0, "Tariff version 1: 0 finding(s)\n".to_owned(), String::new()));

    let text = std::fs::read_to_string(&now).unwrap();
    let dear = text.replace("version = 1", "version = 2").replace("flat_fare_minor = 8000", "flat_fare_minor = 9000");
    std::fs::write(&next, dear.replace("student = 70000", "sixty_plus = 70000")).unwrap();
    let (code, text, _) = run(&[check, next.as_ref()]);
    assert!(code == 1 && text.contains("the one_route_pass of line 1 is sold to sixty_plus, who rides at 0"), "{text}");
    let (code, text, _) = run(&[check, next.as_ref(), json]);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &value["version"], &value["findings"][0]["kind"]), (1, &2.into(), &"pass_price".into()));
    let (code, text, _) = run(&[diff, now.as_ref(), next.as_ref()]);
    assert_eq!(
        (code, text.as_str()),
        (
            0,
            "version: 1 → 2\nline 1: fare: 8.000 ₫ → 9.000 ₫\n\
             one_route_pass of line 1: price for sixty_plus: — → 70.000 ₫\n\
             one_route_pass of line 1: price for student: 70.000 ₫ → —\n4 change(s)\n"
        )
    );
    let (_, text, _) = run(&[diff, now.as_ref(), next.as_ref(), json]);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&value["changes"][0]["before"], &value["changes"][2]["before"]),
        (&"1".into(), &serde_json::Value::Null)
    );

    std::fs::write(&next, "version = 2").unwrap();
    let (code, _, error) = run(&[check, next.as_ref()]);
    assert!(code == 2 && error.contains("next.toml:1: missing field"), "{error}");
    let (code, _, error) = run(&[check, "none.toml".as_ref()]);
    assert!(code == 2 && error.contains("none.toml: cannot be read"), "{error}");
}

#[test]
fn rehearses_a_tariff_on_a_stored_day() {
    let mut city = City::new();
    city.upload(&[Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING)]);
    let path = city.folder.path().join("next.toml");
    let text = std::fs::read_to_string(city.folder.path().join("tariff.toml")).unwrap();
    let dear = text.replace("version = 1", "version = 2").replace("flat_fare_minor = 8000", "flat_fare_minor = 9000");
    std::fs::write(&path, dear).unwrap();
    let rehearse = |day: &str, more: &[&str]| {
        run(&city, &[&["tariff", "rehearse", path.to_str().unwrap(), "--on", day], more].concat())
    };
    let (code, text, _) = rehearse("2026-11-23", &[]);
    assert!(code == 0 && text.contains("(+12.5 %)"), "{text}");
    let (code, text, _) = rehearse("2026-11-23", &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &json["total"]["after_minor"], &json["riders"]["more"]), (0, &9_000.into(), &1.into()));
    let (code, _, error) = rehearse("2026-11-24", &[]);
    assert!(code == 2 && error.contains("the books have no ride of 2026-11-24"), "{error}");
}

#[test]
fn makes_a_tariff_of_a_gtfs_feed() {
    let folder = tempfile::TempDir::new().unwrap();
    let (feed, out) = (concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/gtfs"), folder.path().join("tariff.toml"));
    let run = |arguments: &[&str]| {
        let output = program().args(["tariff", "import-gtfs"]).args(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let (code, text, said) = run(&[feed, "--profile", "senior=sixty_plus"]);
    assert!(code == 1 && text.contains("\nflat_fare_minor = 400\n") && text.contains("# - fare_products.txt:3 amount"));
    assert!(said.ends_with("Fares v2: 4 lines, 7 stops, 5 trips; 2 not expressed, 0 defect(s)\n"), "{said}");
    let path = out.to_str().unwrap();
    let (code, text, said) = run(&[feed, "--profile", "senior=sixty_plus", "--out", path, "--json"]);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &*said, &value["not_expressed"][0]["line"]), (1, "", &3.into()));
    assert_eq!(value["tariff"], std::fs::read_to_string(&out).unwrap());
    let check = program().args(["tariff", "check", path]).output().unwrap();
    assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stdout));

    let (code, _, said) = run(&[feed, "--profile", "senior=old"]);
    assert!(code == 2 && said.contains("`old` is no profile; there are ordinary, student"), "{said}");
    let (code, _, said) = run(&["no-such-feed"]);
    assert!(code == 2 && said.contains("no-such-feed cannot be read"), "{said}");
}

#[test]
fn ends_with_1_where_the_books_are_wrong() {
    let mut city = City::new();
    city.upload(&[Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING)]);
    run(&city, &["settle", "--service-day", "2020-01-01"]);
    let sql = "DROP TRIGGER statement_update; UPDATE statement SET bytes = x'00' WHERE operator = 2;";
    city.sql().execute_batch(sql).unwrap();
    let (code, text, _) = run(&city, &["verify"]);
    assert_eq!(code, 1);
    assert!(text.starts_with("WRONG: statement of 2020-01-01 for operator 2"), "{text}");
    assert_eq!(run(&city, &["settle", "--service-day", "2020-01-01"]).0, 1);
}

#[test]
fn ends_with_2_where_the_call_is_wrong() {
    let city = City::new();
    let (code, _, error) = run(&city, &["settle", "--service-day", "2179-01-01"]);
    assert_eq!(code, 2);
    assert!(error.contains("service day 2179-01-01 has not begun"), "{error}");
    let (code, _, error) = run(&city, &["settle", "--service-day", "tomorrow"]);
    assert_eq!(code, 2);
    assert!(error.contains("`tomorrow` is no service day; write a date"), "{error}");
    let output = program().args(["status", "--config", "none.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("clearing-house: none.toml: cannot be read"), "{error}");
}

#[test]
fn serves_until_it_is_told_to_stop() {
    let mut city = City::new();
    let mut server = program()
        .args(["serve", "--config"])
        .arg(city.config_path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let base = line.strip_prefix("listening on ").unwrap().trim_end().to_owned();
    let tap = Validator::new(1, 1).done(&mut Card::new(1, 50_000), MORNING);
    let same_name = Validator::new(1, 1).declined(&Card::new(2, 50_000), MORNING);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let status = runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.post(format!("{base}{TAPS_PATH}")).body(body(&[tap, same_name])).send().await.unwrap().status()
    });
    assert_eq!(status, 200);
    let told = Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap();
    assert!(told.success());
    let ended = server.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    let log = String::from_utf8(ended.stderr).unwrap();
    assert!(log.contains("ALARM: device 1 epoch 1 sequence 1: another tap of this name"), "{log}");
    assert_eq!(city.balance("operator:1:payable"), 8_000);
    city.verify();
}

#[test]
fn prints_the_desks_day_and_writes_the_deny_list() {
    let mut city = City::new();
    let (mut desk, card) = (Desk::new(), Card::new(1, 0));
    city.upload_actions(&[desk.paid(ActionKind::TopUp, &card, MORNING, 20_000), desk.block(&card, MORNING)]);
    let (code, text, _) = run(&city, &["desk-day", "--service-day", "2026-11-23", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &json["desks"][0]["till_minor"]), (0, &20_000.into()));
    assert_eq!(json["desks"][0]["waiting"][0], "900-1-1");
    let (code, text, _) = run(&city, &["desk-day", "--service-day", "2026-11-22"]);
    assert_eq!((code, &*text), (0, "Service day 2026-11-22: 0 desk(s)\n"));

    let (code, printed, _) = run(&city, &["deny-list"]);
    assert_eq!(code, 0);
    assert!(printed.contains(&format!("version = 1\ncards = [\n    \"{}\",\n]\n", card.token())), "{printed}");
    let path = city.folder.path().join("deny-list.toml");
    let (code, nothing, _) = run(&city, &["deny-list", "--output", path.to_str().unwrap()]);
    assert_eq!((code, &*nothing, std::fs::read_to_string(&path).unwrap()), (0, "", printed));
    let (code, _, error) = run(&city, &["deny-list", "--output", "/nowhere/deny-list.toml"]);
    assert_eq!(code, 2);
    assert!(error.contains("/nowhere/deny-list.toml cannot be written: No such file"), "{error}");
}

#[test]
fn prints_what_waits_in_suspense() {
    let mut city = City::new();
    city.upload(&[Validator::new(1, 1).unknown(&mut Card::new(1, 50_000), MORNING, true)]);
    let at = ["suspense", "--at", "2026-12-23T09:00:00+07:00"];
    let (code, text, _) = run(&city, &[&at[..], &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &json["unresolved"]["amount_minor"], &json["account_minor"]), (0, &8_000.into(), &8_000.into()));
    let tap = &json["operators"][0]["devices"][0]["taps"][0];
    assert_eq!((&tap["tap"], &tap["state"], &tap["age_days"]), (&"1-1-1".into(), &"unresolved".into(), &30.into()));
    assert_eq!(tap["awaits"]["card_history"]["record"], 2);
    assert_eq!(run(&city, &at).0, 0);
    for wrong in ["yesterday", "2026-12-23", "1969-12-31T23:59:59Z"] {
        let (code, _, error) = run(&city, &["suspense", "--at", wrong]);
        assert_eq!(code, 2);
        assert!(error.contains(&format!("`{wrong}` is no moment of 1970 to 2106")), "{error}");
    }
}

#[test]
fn prints_what_has_not_come() {
    let mut city = City::new();
    let (mut validator, mut card) = (Validator::new(1, 1), Card::new(1, 50_000));
    let taps: Vec<_> = (0..3).map(|number| validator.done(&mut card, later(600 * number))).collect();
    city.upload(&[taps[0].clone(), taps[2].clone()]);
    let (code, text, _) = run(&city, &["gaps", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &json["of_devices"]["missing"], &json["of_cards"]["missing"]), (0, &1.into(), &1.into()));
    assert_eq!(json["devices"][0]["at_risk"]["likely_minor"], 8_000);
    assert_eq!((&json["cards"][0]["first"], &json["cards"][0]["named"][0]), (&2.into(), &"1-1-2".into()));
    assert_eq!(run(&city, &["gaps"]).0, 0);
}

#[test]
fn names_silent_validators() {
    let mut city = City::with_settings("silence = { weeks = 1, one_in = 2, shortest_minutes = 1 }");
    let (mut validator, card) = (Validator::new(1, 1), Card::new(1, 0));
    let days = [1, 8, 8, 14];
    let taps: Vec<_> = days.iter().map(|day| validator.declined(&card, later(86_400 * day))).collect();
    city.upload(&taps);
    let (code, text, _) = run(&city, &["silence", "--at", "2026-12-09T08:00:00+07:00", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &json["silent"][0]["device"], &json["silent"][0]["expected"]), (0, &1.into(), &2.0.into()));
    assert_eq!((&json["too_little_history"][0], &json["rule"]["weeks"]), (&2.into(), &1.into()));
    assert_eq!(run(&city, &["silence"]).0, 0);
}
