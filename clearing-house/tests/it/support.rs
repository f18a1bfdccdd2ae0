//! A small city: cards, validators and a clearing house in a temporary folder.
//!
//! The cards' Transaction MACs are computed here from `aes` and `cmac` alone, so that a mistake of `card-crypto` does
//! not cancel itself out.

use std::path::{Path, PathBuf};

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use clearing_house::{ClearingHouse, Config};
use cmac::{Cmac, Mac};
use ring::signature::{Ed25519KeyPair, KeyPair};
use rusqlite::Connection;
use tempfile::TempDir;
use transit::action::SealedAction;
use transit::card::{Issuer, Product, Profile, Record, RecordKind};
use transit::fare::{Accept, Boarding, CardView, Decision, Gate, decide};
use transit::id::{CardToken, DeviceId, LineNumber, OperatorId, StopNumber, TapId};
use transit::money::{Amount, Balance};
use transit::sync::{Acknowledgement, Verdict};
use transit::tap::{CHAIN_START, Outcome, Reason, SealedTap, Tap, TransactionMac};
use transit::tariff::Tariff;
use transit::time::{Moment, ServiceDay};

pub(crate) const TOKEN_KEY: [u8; 16] = [0x11; 16];
pub(crate) const TRANSACTION_MAC_KEY: [u8; 16] = [0x22; 16];

pub(crate) const TARIFF: &str = r#"
version = 1
time_zone = "Asia/Ho_Chi_Minh"
service_day_starts_at = "04:00"
pass_back_window_s = 300
free_profiles = ["sixty_plus"]
currency = { code = "VND", minor_digits = 0, sign = "₫" }
[[pass]]
kind = "one_route_pass"
line = 1
next_month_from_day = 20
price_minor = { ordinary = 140000, student = 70000 }
[[line]]
number = 1
name = "BRT 01"
flat_fare_minor = 8000
stop = [{ number = 1, name = "Yên Nghĩa", gtfs_stop_id = "S1" }, { number = 2, name = "Ba La", gtfs_stop_id = "S2" }]
"#;

/// Monday 2026-11-23, 08:00 in Hanoi.
pub(crate) const MORNING: Moment = Moment(1_795_395_600);
/// One day in seconds.
pub(crate) const DAY_S: u32 = 86_400;

pub(crate) fn monday() -> ServiceDay {
    "2026-11-23".parse().unwrap()
}

pub(crate) fn tuesday() -> ServiceDay {
    "2026-11-24".parse().unwrap()
}

pub(crate) fn later(seconds: u32) -> Moment {
    Moment(MORNING.0 + seconds)
}

pub(crate) fn tariff() -> Tariff {
    Tariff::parse(Path::new("tariff.toml"), TARIFF).unwrap()
}

/// A clearing house in a folder of its own.
pub(crate) struct City {
    pub(crate) folder: TempDir,
    pub(crate) clearing_house: ClearingHouse,
}

impl City {
    pub(crate) fn new() -> Self {
        Self::with_policy("enforce")
    }

    pub(crate) fn with_policy(policy: &str) -> Self {
        let folder = memory_folder();
        let path = write_config(folder.path(), policy);
        let clearing_house = ClearingHouse::open(Config::read(&path, None).unwrap()).unwrap();
        Self { folder, clearing_house }
    }

    /// A clearing house that has rolled its keys: the newest of each is another, and the cards have the older.
    pub(crate) fn after_a_roll() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = write_config(folder.path(), "enforce");
        let two = |name: &str, key: [u8; 16]| {
            format!("{name} = {{ 2 = \"{}\", 1 = \"{}\" }}\n", hex::encode([0x77; 16]), hex::encode(key))
        };
        let keys = format!(
            "class = \"test\"\n{}{}signing_seed = \"{}\"\n",
            two("token", TOKEN_KEY),
            two("transaction_mac", TRANSACTION_MAC_KEY),
            hex::encode([0x33; 32])
        );
        std::fs::write(folder.path().join("keys.toml"), keys).unwrap();
        let clearing_house = ClearingHouse::open(Config::read(&path, None).unwrap()).unwrap();
        Self { folder, clearing_house }
    }

    /// Where rides that no card proves are paid up to so much a day.
    pub(crate) fn with_unproven_daily_limit(minor: u32) -> Self {
        Self::with_settings(&format!("unproven_daily_limit_minor = {minor}"))
    }

    /// With `lines` at the head of its configuration.
    pub(crate) fn with_settings(lines: &str) -> Self {
        let folder = memory_folder();
        let path = write_config(folder.path(), "enforce");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{lines}\n{text}")).unwrap();
        let clearing_house = ClearingHouse::open(Config::read(&path, None).unwrap()).unwrap();
        Self { clearing_house, folder }
    }

    /// With a second version of its tariff.
    pub(crate) fn with_next_tariff(next: &str) -> Self {
        let folder = memory_folder();
        let path = write_config(folder.path(), "enforce");
        std::fs::write(folder.path().join("next.toml"), next).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("tariff = \"tariff.toml\"", "tariff = [\"tariff.toml\", \"next.toml\"]");
        std::fs::write(&path, text).unwrap();
        let clearing_house = ClearingHouse::open(Config::read(&path, None).unwrap()).unwrap();
        Self { clearing_house, folder }
    }

    /// Where a desk is believed so much a day of cards that cannot prove what they gave up.
    pub(crate) fn with_unproven_daily_limit_of_desks(minor: u32) -> Self {
        let folder = memory_folder();
        let path = write_config(folder.path(), "enforce");
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("[[desk]]\n", &format!("[[desk]]\nunproven_daily_limit_minor = {minor}\n"));
        std::fs::write(&path, text).unwrap();
        let clearing_house = ClearingHouse::open(Config::read(&path, None).unwrap()).unwrap();
        Self { clearing_house, folder }
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.folder.path().join("clearing-house.toml")
    }

    /// A second connection to the books, for looking at them and for tampering.
    pub(crate) fn sql(&self) -> Connection {
        Connection::open(self.folder.path().join("books.sqlite")).unwrap()
    }

    pub(crate) fn upload_at(&mut self, taps: &[SealedTap], at: Moment) -> Acknowledgement {
        self.upload_bytes(&body(taps), at)
    }

    pub(crate) fn upload(&mut self, taps: &[SealedTap]) -> Acknowledgement {
        self.upload_at(taps, later(3_600))
    }

    pub(crate) fn upload_bytes(&mut self, body: &[u8], at: Moment) -> Acknowledgement {
        serde_json::from_str(&self.clearing_house.receive(body, at).unwrap().text).unwrap()
    }

    pub(crate) fn upload_actions(&mut self, actions: &[SealedAction]) -> Acknowledgement {
        self.upload_actions_at(actions, later(3_600))
    }

    pub(crate) fn upload_actions_at(&mut self, actions: &[SealedAction], at: Moment) -> Acknowledgement {
        let body: Vec<u8> = actions.iter().flat_map(|action| *action.as_bytes()).collect();
        serde_json::from_str(&self.clearing_house.receive_actions(&body, at).unwrap().text).unwrap()
    }

    pub(crate) fn balance(&mut self, account: &str) -> i64 {
        self.clearing_house.status().unwrap().balances_minor.get(account).copied().unwrap_or(0)
    }

    pub(crate) fn verify(&mut self) {
        let verification = self.clearing_house.verify();
        assert_eq!(verification.wrong, None);
    }
}

/// A folder in memory where there is one: these tests write thousands of uploads, and none of them loses power.
fn memory_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(crate) fn write_config(folder: &Path, policy: &str) -> PathBuf {
    std::fs::write(folder.join("tariff.toml"), TARIFF).unwrap();
    let keys = format!(
        "class = \"test\"\ntoken = \"{}\"\ntransaction_mac = \"{}\"\nsigning_seed = \"{}\"\n",
        hex::encode(TOKEN_KEY),
        hex::encode(TRANSACTION_MAC_KEY),
        hex::encode([0x33; 32])
    );
    std::fs::write(folder.join("keys.toml"), keys).unwrap();
    let config = format!(
        "listen = \"127.0.0.1:0\"\ndatabase = \"books.sqlite\"\ntariff = \"tariff.toml\"\nkeys = \"keys.toml\"\n\
         keys_class = \"test\"\ntransaction_mac_policy = \"{policy}\"\n\
         [[operator]]\nnumber = 1\nname = \"Hà Nội BRT\"\n[[operator]]\nnumber = 2\nname = \"Transerco\"\n\
         [[device]]\nnumber = 1\noperator = 1\n[[device]]\nnumber = 2\noperator = 1\n\
         [[device]]\nnumber = 3\noperator = 2\n{}{}",
        desk_entry(900, 1, 0x44),
        desk_entry(901, 2, 0x45)
    );
    let path = folder.join("clearing-house.toml");
    std::fs::write(&path, config).unwrap();
    path
}

/// What a desk may be ahead of the books, and grow by in a day.
pub(crate) const DAILY_LOAD_LIMIT: i64 = 1_000_000;

fn desk_entry(number: u32, operator: u16, seed: u8) -> String {
    let key = hex::encode(desk_key(seed).public_key().as_ref());
    format!(
        "[[desk]]\nnumber = {number}\noperator = {operator}\npublic_key = \"{key}\"\n\
         daily_load_limit_minor = {DAILY_LOAD_LIMIT}\n"
    )
}

pub(crate) fn desk_key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

pub(crate) fn body(taps: &[SealedTap]) -> Vec<u8> {
    taps.iter().flat_map(|tap| *tap.as_bytes()).collect()
}

pub(crate) fn verdicts(acknowledgement: &Acknowledgement) -> Vec<Verdict> {
    acknowledgement.taps.iter().map(|tap| tap.verdict).collect()
}

/// A validator with its log.
#[derive(Clone)]
pub(crate) struct Validator {
    pub(crate) operator: OperatorId,
    pub(crate) next: TapId,
    pub(crate) hash: [u8; 32],
}

impl Validator {
    pub(crate) fn new(device: u32, operator: u16) -> Self {
        let next = TapId { device: DeviceId::new(device).unwrap(), epoch: 1, sequence: 1 };
        Self { operator: OperatorId(operator), next, hash: CHAIN_START }
    }

    /// Seals `tap` at the end of the log.
    pub(crate) fn seal(&mut self, tap: &Tap) -> SealedTap {
        assert_eq!(tap.id, self.next);
        let sealed = tap.seal(&self.hash).unwrap();
        self.hash = sealed.hash();
        self.next.sequence += 1;
        sealed
    }

    pub(crate) fn blank(&self, card: &Card, at: Moment) -> Tap {
        Tap {
            id: self.next,
            at,
            operator: self.operator,
            line: LineNumber(1),
            stop: StopNumber(1),
            gate: Gate::ENTRY,
            tariff_version: 1,
            deny_list_version: 0,
            card: card.token(),
            outcome: Outcome::Void,
            fare: Amount::ZERO,
            debited: None,
            transaction_mac: None,
            record_read: Some(card.record.encode().unwrap()),
            issuer_read: card.issuer.map(|issuer| issuer.encode()),
            record_written: None,
        }
    }

    /// A tap that its card would take, before anything is sent to the card.
    pub(crate) fn intend(&self, card: &Card, at: Moment) -> (Tap, Accept) {
        self.intend_by(&tariff(), card, at)
    }

    /// The same by another tariff.
    pub(crate) fn intend_by(&self, tariff: &Tariff, card: &Card, at: Moment) -> (Tap, Accept) {
        let view = CardView { record: card.record, issuer: card.issuer, denied: false };
        let boarding = Boarding { tap: self.next, line: LineNumber(1), stop: StopNumber(1), at, gate: Gate::ENTRY };
        let Decision::Accept(accept) = decide(&view, tariff, &boarding) else {
            panic!("the card is not admitted");
        };
        let tap = Tap {
            fare: accept.fare,
            debited: (accept.fare > Amount::ZERO).then_some(accept.fare),
            record_written: Some(accept.record.encode().unwrap()),
            tariff_version: tariff.version,
            ..self.blank(card, at)
        };
        (tap, accept)
    }

    pub(crate) fn done(&mut self, card: &mut Card, at: Moment) -> SealedTap {
        self.done_by(&tariff(), card, at)
    }

    /// A completed tap by another tariff.
    pub(crate) fn done_by(&mut self, tariff: &Tariff, card: &mut Card, at: Moment) -> SealedTap {
        let (tap, accept) = self.intend_by(tariff, card, at);
        card.record = accept.record;
        let tap = card.prove(Tap { outcome: Outcome::Done, ..tap });
        self.seal(&tap)
    }

    /// A tap of a card that has no Transaction MAC.
    pub(crate) fn unproven(&mut self, card: &mut Card, at: Moment) -> SealedTap {
        let (tap, accept) = self.intend(card, at);
        card.record = accept.record;
        self.seal(&Tap { outcome: Outcome::Done, ..tap })
    }

    /// A tap whose commit answer is lost; the card may have `committed`.
    pub(crate) fn unknown(&mut self, card: &mut Card, at: Moment, committed: bool) -> SealedTap {
        let (tap, accept) = self.intend(card, at);
        if committed {
            card.record = accept.record;
            card.counter += 1;
        }
        self.seal(&Tap { outcome: Outcome::Unknown, ..tap })
    }

    pub(crate) fn declined(&mut self, card: &Card, at: Moment) -> SealedTap {
        let fare = Amount::from(8_000);
        let tap = Tap { outcome: Outcome::Declined(Reason::NotEnough), fare, ..self.blank(card, at) };
        self.seal(&tap)
    }

    /// A later look at the card that says `outcome` of an unknown tap.
    pub(crate) fn look(&mut self, card: &Card, at: Moment, outcome: Outcome) -> SealedTap {
        let tap = Tap { outcome, ..self.blank(card, at) };
        self.seal(&tap)
    }
}

/// A card.
#[derive(Clone)]
pub(crate) struct Card {
    pub(crate) uid: [u8; 7],
    pub(crate) record: Record,
    pub(crate) issuer: Option<Issuer>,
    pub(crate) counter: u32,
}

impl Card {
    pub(crate) fn new(number: u8, balance: i64) -> Self {
        let record = Record {
            kind: RecordKind::Issued,
            card_sequence: 1,
            tap: None,
            previous: None,
            time: Moment(MORNING.0 - 30 * DAY_S),
            line: LineNumber(0),
            stop: StopNumber(0),
            amount: Amount::ZERO,
            balance_after: Balance::from_minor(balance),
            has_pass: false,
            has_profile: false,
            profile: Profile::Ordinary,
            carried: Default::default(),
            recovered: false,
        };
        Self { uid: [4, 1, 2, 3, 4, 5, number], record, issuer: None, counter: 0 }
    }

    pub(crate) fn sixty_plus(number: u8) -> Self {
        let issuer = Issuer {
            profile: Profile::SixtyPlus,
            profile_valid_until: ServiceDay(20_000),
            products: [Product::NONE; 5],
        };
        let mut card = Self { issuer: Some(issuer), ..Self::new(number, 0) };
        (card.record.has_profile, card.record.profile) = (true, Profile::SixtyPlus);
        card
    }

    pub(crate) fn token(&self) -> CardToken {
        let mut block = [0; 16];
        block[..7].copy_from_slice(&self.uid);
        encrypt(&TOKEN_KEY, &mut block);
        CardToken(block)
    }

    /// The tap with the Transaction MAC that this card answers its commit with.
    pub(crate) fn prove(&mut self, tap: Tap) -> Tap {
        self.counter += 1;
        let value = self.transaction_mac(&commands_of_tap(&tap));
        Tap { transaction_mac: Some(TransactionMac { counter: self.counter, value }), ..tap }
    }
}

/// The commands of a tap, as a card hashes them: header and data.
fn commands_of_tap(tap: &Tap) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut commands = vec![(vec![0xBB, 3, 0, 0, 0, 1, 0, 0], tap.record_read.unwrap().to_vec())];
    if let Some(issuer) = tap.issuer_read {
        commands.push((vec![0xBD, 1, 0, 0, 0, 64, 0, 0], issuer.to_vec()));
    }
    if let Some(amount) = tap.debited {
        commands.push(([&[0xDC, 2][..], &amount.card_minor().unwrap().to_le_bytes()].concat(), Vec::new()));
    }
    commands.push((vec![0x3B, 3, 0, 0, 0, 60, 0, 0], tap.record_written.unwrap().to_vec()));
    commands
}

impl Card {
    /// NXP MF2DL(H)x0 data sheet rev 3.3, section 10.3: every command with its parameters and its data, each filled
    /// with zeros to whole blocks, under a session key of counter and UID; the MAC is every second byte of the CMAC.
    pub(crate) fn transaction_mac(&self, commands: &[(Vec<u8>, Vec<u8>)]) -> [u8; 8] {
        let mut input = Vec::new();
        for (header, data) in commands {
            for part in [header, data] {
                input.extend_from_slice(part);
                input.resize(input.len().next_multiple_of(16), 0);
            }
        }
        let card_key = diversified(&TRANSACTION_MAC_KEY, &[&self.uid[..], b"\x01NH\x0FCHAM"].concat());
        let vector = [&[0x5A, 0, 1, 0, 0x80][..], &self.counter.to_le_bytes(), &self.uid].concat();
        let long = cmac(&cmac(&card_key, &vector), &input);
        std::array::from_fn(|index| long[2 * index + 1])
    }
}

/// NXP AN10922 rev 2.2, section 2.2, for an input of 15 bytes: two blocks, the second all padding, under subkey K2.
fn diversified(master: &[u8; 16], input: &[u8]) -> [u8; 16] {
    assert_eq!(input.len(), 15);
    let mut block = [0; 16];
    block[0] = 1;
    block[1..].copy_from_slice(input);
    encrypt(master, &mut block);
    let mut subkey = [0; 16];
    encrypt(master, &mut subkey);
    for _ in 0..2 {
        let value = u128::from_be_bytes(subkey);
        subkey = ((value << 1) ^ ((value >> 127) * 0x87)).to_be_bytes();
    }
    block[0] ^= 0x80;
    for (byte, other) in block.iter_mut().zip(subkey) {
        *byte ^= other;
    }
    encrypt(master, &mut block);
    block
}

fn cmac(key: &[u8; 16], message: &[u8]) -> [u8; 16] {
    let mut mac = <Cmac<Aes128> as KeyInit>::new(key.into());
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn encrypt(key: &[u8; 16], block: &mut [u8; 16]) {
    Aes128::new(key.into()).encrypt_block(block.into());
}
