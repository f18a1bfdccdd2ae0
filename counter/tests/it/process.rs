//! The built program behind a real pcscd, with a virtual reader, a virtual card and the real clearing house.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;
use transit::time::Moment;
use virtual_card::pcscd::{PrivatePcscd, SOCKET_VARIABLE};
use virtual_card::vpcd::Holder;
use virtual_card::{CardInField, Fault, Picc};

use crate::clearing_house::House;
use crate::world::{AID, Pocket, fixtures};

/// pcscd looks for cards every 400 ms: a card must be away for two looks before the next one counts as another. It is the
/// reader's own period, as a rider's hand is slower than a desk's reader.
const TWO_LOOKS: Duration = Duration::from_millis(900);

fn now() -> Moment {
    Moment(u32::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap())
}

/// A desk with its reader.
struct Booth {
    pcscd: PrivatePcscd,
    folder: TempDir,
}

impl Booth {
    fn new(clearing_house: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pcscd = PrivatePcscd::start(&folder.path().join("pcscd"), None).unwrap();
        let config = include_str!("../../counter.example.toml")
            .replace("../fixtures", &fixtures().display().to_string())
            .replace("ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 00 00", &pcscd.reader_names()[0])
            .replace("http://127.0.0.1:8480", clearing_house)
            // A busy machine stalls for longer than a desk puts up with.
            .replace("exchange_deadline_ms = 2000", "exchange_deadline_ms = 10000");
        fs::write(folder.path().join("counter.toml"), config).unwrap();
        Self { pcscd, folder }
    }

    fn lay_down(&self, card: Picc, fault: Option<Fault>) -> Holder {
        let field = CardInField::new(card);
        let field = match fault {
            Some(fault) => field.with_fault(fault),
            None => field,
        };
        Holder::present(TcpStream::connect(self.pcscd.address(0)).unwrap(), field, |_| {}).unwrap()
    }

    fn run(&self, arguments: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_counter"))
            .arg("--config")
            .arg(self.folder.path().join("counter.toml"))
            .args(arguments.split(' '))
            .env(SOCKET_VARIABLE, self.pcscd.socket())
            .output()
            .unwrap()
    }

    /// The answer of a command that succeeds.
    fn json(&self, arguments: &str) -> Value {
        let output = self.run(&format!("--json {arguments}"));
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_blank_card_is_issued_loaded_sold_to_torn_and_looked_at() {
    let house = House::with_clock(now);
    let booth = Booth::new(&house.url);
    assert_eq!(booth.json("sync")["allowance"]["number"], 1);

    let holder = booth.lay_down(Pocket::new("blank-ev3").take(), None);
    let issued = booth.json("issue --staff 7");
    assert_eq!((issued["done"].as_str(), issued["chip"].as_str()), (Some("issued"), Some("EV3")));
    assert_eq!(booth.json("lint")["findings"], Value::Array(vec![]));
    let loaded = booth.json("top-up --staff 7 50000");
    assert_eq!((loaded["amount_minor"].as_i64(), loaded["balance_minor"].as_i64()), (Some(50_000), Some(50_000)));
    let sold = booth.json("sell --staff 8 --pass one-line --line 1");
    assert_eq!(sold["price_minor"], 140_000);

    let spoken = booth.run("inspect");
    let text = String::from_utf8_lossy(&spoken.stdout).into_owned();
    assert!(text.contains("50.000\u{a0}₫") && text.contains("Vé tháng một tuyến BRT 01"), "{text}");
    assert!(said(&spoken).contains("Đặt thẻ lên đầu đọc"), "{}", said(&spoken));
    let inspected = booth.json("inspect --language en");
    assert_eq!(inspected["records"].as_array().unwrap().len(), 3);
    assert_eq!(inspected["card"], issued["card"]);

    // Torn while it commits: the fourteenth exchange of a top-up.
    let card = holder.remove().unwrap().remove();
    thread::park_timeout(TWO_LOOKS);
    let holder = booth.lay_down(card, Some(Fault::LoseAfter(14)));
    let torn = booth.run("top-up --staff 7 20000");
    assert_eq!(torn.status.code(), Some(4), "{}", said(&torn));
    assert!(said(&torn).contains("lay the same card down again"), "{}", said(&torn));
    let open = booth.json("status")["open"].clone();
    assert_eq!((open[0]["kind"].as_str(), open[0]["state"].as_str()), (Some("top_up"), Some("unknown")));
    let card = holder.wait().unwrap().remove();
    assert_eq!(card.value(AID, 2), Some(70_000), "the card had acted");
    thread::park_timeout(TWO_LOOKS);
    let holder = booth.lay_down(card, None);
    let again = booth.json("top-up --staff 7 20000");
    assert_eq!((again["done"].as_str(), again["resumed"][0]["outcome"].as_str()), (Some("resumed"), Some("found")));

    // A torn refund that a refused command finds on the card: its cash is owed, and that is told all the same.
    let card = holder.remove().unwrap().remove();
    thread::park_timeout(TWO_LOOKS);
    let holder = booth.lay_down(card, Some(Fault::LoseAfter(10)));
    let torn = booth.run("refund --staff 7 20000");
    assert_eq!(torn.status.code(), Some(4), "{}", said(&torn));
    let card = holder.wait().unwrap().remove();
    assert_eq!(card.value(AID, 2), Some(50_000), "the card had acted");
    thread::park_timeout(TWO_LOOKS);
    let holder = booth.lay_down(card, None);
    let refused = booth.run("--json top-up --staff 7 9000000");
    let told: Value = serde_json::from_slice(&refused.stdout).unwrap();
    let found = (told["resumed"][0]["kind"].as_str(), told["resumed"][0]["outcome"].as_str());
    assert_eq!((refused.status.code(), found), (Some(1), (Some("refund"), Some("found"))), "{told}");

    let refused = booth.run("refund --staff 9 1000");
    assert_eq!(refused.status.code(), Some(2), "no such clerk: {}", said(&refused));
    let too_much = booth.run("refund --staff 7 999999");
    assert_eq!(too_much.status.code(), Some(1), "{}", said(&too_much));
    assert_eq!(booth.json("refund --staff 7")["amount_minor"], 50_000);

    let synced = booth.json("sync");
    assert_eq!(synced["kept_aside"], Value::Array(vec![]), "{synced}");
    let status = booth.json("status");
    assert_eq!((status["unsent"].as_u64(), status["open"].as_array().map(Vec::len)), (Some(0), Some(0)));
    assert_eq!(holder.remove().unwrap().remove().value(AID, 2), Some(0));
    house.close();
    no_key_is_in_a_file(booth.folder.path());
}

/// One step after another with a single reader: the new card comes late, is torn, and only it can tell.
#[test]
fn an_exchange_that_was_interrupted_is_finished_by_its_name() {
    let house = House::with_clock(now);
    let booth = Booth::new(&house.url);
    let config = booth.folder.path().join("counter.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("card_wait_s = 60", "card_wait_s = 5")).unwrap();
    booth.json("sync");

    let old = booth.lay_down(Pocket::new("student-pass").take(), None);
    let without_new = booth.run("exchange --staff 7");
    assert_eq!(without_new.status.code(), Some(3), "no other card came: {}", said(&without_new));
    let open = booth.json("status")["open"][0].clone();
    assert_eq!((open["kind"].as_str(), open["state"].as_str()), (Some("exchange"), Some("half_moved")));
    let name = open["action"].as_str().unwrap().to_owned();
    assert_eq!(old.remove().unwrap().remove().value(AID, 2), Some(0));

    // Torn before the card acted, which the card says when it is back: it waits, and is not called settled.
    let (adult, elderly) = (Pocket::new("adult").take(), Pocket::new("elderly").take());
    thread::park_timeout(TWO_LOOKS);
    let holder = booth.lay_down(adult, Some(Fault::LoseBefore(16)));
    let finish = format!("exchange --staff 7 --finish {name}");
    let torn = booth.run(&finish);
    assert_eq!(torn.status.code(), Some(4), "{}", said(&torn));
    let adult = holder.wait().unwrap().remove();

    // With another card and no network nobody can tell; the remedy without a network is said.
    house.close();
    thread::park_timeout(TWO_LOOKS);
    let holder = booth.lay_down(elderly, None);
    let other = booth.run(&finish);
    assert_eq!(other.status.code(), Some(5), "{}", said(&other));
    assert!(
        said(&other).contains("lay that card down") && said(&other).contains("cannot be reached"),
        "{}",
        said(&other)
    );
    assert_eq!(holder.remove().unwrap().remove().value(AID, 2), Some(0), "unchanged");

    thread::park_timeout(TWO_LOOKS);
    let holder = booth.lay_down(adult, None);
    let looked_at = booth.run("inspect --language en");
    let spoken = String::from_utf8_lossy(&looked_at.stdout).into_owned();
    assert!(spoken.contains("its value and passes wait for a new card"), "{spoken}");
    assert!(!spoken.contains("nothing is owed"), "{spoken}");
    // Laid down once more, by the name.
    let card = holder.remove().unwrap().remove();
    thread::park_timeout(TWO_LOOKS);
    let holder = booth.lay_down(card, None);
    let moved = booth.json(&finish);
    assert_eq!(moved["amount_minor"].as_i64(), Some(20_000), "{moved}");
    assert_eq!(holder.remove().unwrap().remove().value(AID, 2), Some(70_000));
    assert_eq!(booth.json("status")["open"], Value::Array(vec![]));
    // No card is asked for where nothing waits.
    let again = booth.run(&finish);
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));
}

/// No master key lies in any file of a run, as bytes or as digits.
fn no_key_is_in_a_file(folder: &Path) {
    let keys = crate::world::issuer_keys();
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        let bytes = fs::read(entry.path()).unwrap();
        files += 1;
        for (role, version) in keys.contents() {
            let key = keys.master(role, version).unwrap().expose_secret();
            for form in [key.to_vec(), hex::encode(key).into_bytes(), hex::encode_upper(key).into_bytes()] {
                let is_there = bytes.windows(form.len()).any(|window| window == form);
                assert!(!is_there, "the {role} key is in {}", entry.path().display());
            }
        }
    }
    assert!(files >= 2, "the configuration and the journal at least");
}

#[test]
fn without_a_network_or_a_reader_the_exit_code_and_the_remedy_say_so() {
    let booth = Booth::new("http://127.0.0.1:9");
    let sync = booth.run("sync");
    assert_eq!(sync.status.code(), Some(5), "{}", said(&sync));
    let config = booth.folder.path().join("counter.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace(&booth.pcscd.reader_names()[0], "No such reader")).unwrap();
    let inspect = booth.run("inspect");
    assert_eq!(inspect.status.code(), Some(3), "{}", said(&inspect));
    assert!(said(&inspect).contains(&booth.pcscd.reader_names()[1]), "{}", said(&inspect));
    fs::write(&config, text.replace("device = 900", "devise = 900")).unwrap();
    let status = booth.run("status");
    assert_eq!(status.status.code(), Some(2));
    assert!(said(&status).contains("counter.toml:4: unknown field `devise`"), "{}", said(&status));
}

/// A step of a key ceremony, whose passphrase comes through a file descriptor.
fn ceremony(folder: &Path, arguments: &str, passphrases: &str, typed: &str) -> Output {
    let secrets = folder.join("passphrases");
    fs::write(&secrets, passphrases).unwrap();
    let script = "exec 3<\"$1\"; shift; exec \"$@\" --passphrase-fd 3";
    let mut child = Command::new("/bin/sh")
        .args(["-c", script, "sh"])
        .arg(&secrets)
        .arg(env!("CARGO_BIN_EXE_counter"))
        .args(arguments.split(' '))
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses at once reads nothing.
    let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
    child.wait_with_output().unwrap()
}

fn lines(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_key_ceremony_from_the_first_key_to_a_rolled_one() {
    const SECRET: &str = "five words drawn by lot\n";
    const OTHER: &str = "five other words of a desk\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let generated = lines(&ceremony(path, "keys generate --class test --out master.toml", SECRET, ""));
    assert_eq!(generated.lines().count(), 7, "a check value for each role: {generated}");
    let again = ceremony(path, "keys generate --class test --out master.toml", SECRET, "");
    assert!(again.status.code() == Some(2) && said(&again).contains("never overwritten"), "{}", said(&again));
    assert_eq!(lines(&ceremony(path, "keys show --keys master.toml", SECRET, "")), generated);
    let wrong = ceremony(path, "keys show --keys master.toml", OTHER, "");
    assert!(wrong.status.code() == Some(2) && said(&wrong).contains("passphrase is wrong"), "{}", said(&wrong));

    let sheets = lines(&ceremony(path, "keys split --keys master.toml --shares 3 --needed 2", SECRET, ""));
    let sheets: Vec<&str> = sheets.split("\n\n").filter(|sheet| !sheet.trim().is_empty()).collect();
    assert_eq!(sheets.len(), 3);
    let typed = format!("{}\n\n{}\n\n", sheets[2], sheets[0]);
    let combined = lines(&ceremony(path, "keys combine --out restored.toml", SECRET, &typed));
    assert_eq!(combined, generated);
    // One wrong character is named by its sheet and its line.
    let third_line = typed.lines().nth(3).unwrap();
    let last = if third_line.ends_with('7') { "8" } else { "7" };
    let wrong = format!("{}{last}", &third_line[..third_line.len() - 1]);
    let refused = ceremony(path, "keys combine --out never.toml", SECRET, &typed.replacen(third_line, &wrong, 1));
    assert!(said(&refused).contains("share 1, as typed, is no share: line 3"), "{}", said(&refused));
    assert!(!path.join("never.toml").exists());

    let exported = lines(&ceremony(
        path,
        "keys export --keys master.toml --to desk --out desk.toml",
        &format!("{SECRET}{OTHER}"),
        "",
    ));
    assert_eq!(exported.lines().count(), 4, "validate, load, token and the signing key: {exported}");
    assert!(exported.contains("signing key, public half: "));
    // The clearing house signs too: without its seed it would not start.
    let vault = "keys export --keys master.toml --to vault --out vault.toml";
    let vault = lines(&ceremony(path, vault, &format!("{SECRET}{OTHER}"), ""));
    assert_eq!(vault.lines().count(), 3, "transaction MAC, token and the signing key: {vault}");
    assert!(vault.contains("signing key, public half: "));
    // Whatever lies about, of a crash or of somebody else, is neither in the way nor overwritten.
    for name in ["desk.next", "desk.toml.next", ".keys-1.unfinished"] {
        fs::write(path.join(name), "of somebody else").unwrap();
    }
    let before = fs::read_dir(path).unwrap().count();
    let rolled = lines(&ceremony(path, "keys roll --keys desk.toml --key load", OTHER, ""));
    assert_eq!(fs::read_dir(path).unwrap().count(), before, "nothing else is left");
    assert_eq!(fs::read_to_string(path.join("desk.next")).unwrap(), "of somebody else");
    assert_eq!(rolled.lines().filter(|line| line.starts_with("load")).count(), 2, "{rolled}");
    assert_eq!(lines(&ceremony(path, "keys show --keys desk.toml", OTHER, "")), rolled);

    let newest = ceremony(path, "keys retire --keys desk.toml --key load --version 2", OTHER, "");
    assert!(newest.status.code() == Some(2) && said(&newest).contains("only an older one"), "{}", said(&newest));
    let retired = lines(&ceremony(path, "keys retire --keys desk.toml --key load --version 1", OTHER, ""));
    assert_eq!(retired.lines().filter(|line| line.starts_with("load")).count(), 1, "{retired}");

    for name in ["master.toml", "restored.toml", "desk.toml"] {
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(path.join(name)).unwrap());
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
