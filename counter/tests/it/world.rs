//! A desk and virtual cards, in one process.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use card_crypto::originality::OriginalityKey;
use counter::ceremony::open_keys;
use counter::config::{DenyList, DeskConfig};
use counter::desk::{Desk, Rules, Serving};
use counter::journal::{AnswerKind, Journal, KeptAnswer};
use counter::prompt::Prompt;
use counter::refusal::DeskError;
use counter::report::Report;
use counter::session::Random;
use counter::settle::Resumed;
use counter::signer::Signer;
use key_store::{KeySet, Keys};
use tempfile::TempDir;
use transit::action::Action;
use transit::config::KeysClass;
use transit::desk::{Allowance, Ask, DeskAnswer, DeskRequest, Reply, answer_signed_bytes, request_digest};
use transit::id::{DeviceId, OperatorId, TapId};
use transit::money::Amount;
use transit::tariff::Tariff;
use transit::time::{Moment, ServiceDay};
use virtual_card::field::Mutation;
use virtual_card::{CardInField, Fault, Fixture, Picc, TestKeys};

/// 2026-11-24 10:00 in Hanoi, and its service day.
pub(crate) const NOW: Moment = Moment(1_795_489_200);
pub(crate) const TODAY: ServiceDay = ServiceDay(9824);
pub(crate) const DESK: u32 = 900;
pub(crate) const AID: [u8; 3] = [0x01, 0x4E, 0x48];
pub(crate) const STAFF: u32 = 7;
/// The clearing house of `fixtures/keys`.
const CLEARING_HOUSE_SEED: &str = "7E577E57000000000000000000000000000000000000000000000000000000C0";
/// Under which the chips of `fixtures/cards` are signed.
pub(crate) const TEST_MAKER: &str = "04305FEEC2CEA01829A392D4F7254D6882F999C23CAC4CD66CFCADC0F89A82F3F2E6708FACD8D6E30C6F20EF08BFA5EF8C31A1F6F344D41272";

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

pub(crate) fn later(seconds: u32) -> Moment {
    Moment(NOW.0 + seconds)
}

/// A card of `fixtures/cards`, out of the field.
pub(crate) struct Pocket {
    fixture: Fixture,
    card: Option<Picc>,
}

impl Pocket {
    pub(crate) fn new(name: &str) -> Self {
        Self::of_file(&fixtures().join(format!("cards/{name}.toml")))
    }

    /// The card `empty` with a purse that may go below nothing, and has.
    pub(crate) fn owing(minor: u32) -> Self {
        Self::changed(&[("3000", &format!("-{minor}")), ("lower_limit = 0", "lower_limit = -100000")])
    }

    /// The card `empty`, with texts of its file replaced.
    pub(crate) fn changed(replacements: &[(&str, &str)]) -> Self {
        let (cards, folder) = (fixtures().join("cards"), memory_folder());
        fs::copy(cards.join("layout-1.toml"), folder.path().join("layout-1.toml")).unwrap();
        let mut text = fs::read_to_string(cards.join("empty.toml")).unwrap();
        for (from, to) in replacements {
            assert!(text.contains(from), "`{from}` is not in the card's file");
            text = text.replace(from, to);
        }
        let path = folder.path().join("changed.toml");
        fs::write(&path, text).unwrap();
        Self::of_file(&path)
    }

    fn of_file(path: &Path) -> Self {
        let keys = TestKeys::load(&fixtures().join("keys/test-card-keys.toml")).unwrap();
        let moment = virtual_card::Moment { now: NOW.0, today: TODAY.0 };
        let fixture = Fixture::load(path, &keys, moment).unwrap();
        let card = fixture.card(counting_random());
        Self { fixture, card: Some(card) }
    }

    pub(crate) fn card(&self) -> &Picc {
        self.card.as_ref().unwrap()
    }

    /// The card, presented once, with somebody in between who changes its answers.
    pub(crate) fn present_changed<A>(
        &mut self,
        mutation: Mutation,
        work: impl FnOnce(&mut CardInField) -> A,
    ) -> (A, u32) {
        let mut field = CardInField::new(self.card.take().unwrap()).with_mutation(mutation);
        let answer = work(&mut field);
        let exchanges = field.traffic().exchanges;
        self.card = Some(field.remove());
        (answer, exchanges)
    }

    /// The card itself, for a reader to hold.
    pub(crate) fn take(mut self) -> Picc {
        self.card.take().unwrap()
    }

    pub(crate) fn uid(&self) -> [u8; 7] {
        self.fixture.identity().uid
    }

    pub(crate) fn purse(&self) -> i32 {
        self.card().value(AID, 2).unwrap()
    }

    /// The card, presented once; how many exchanges it took comes back.
    pub(crate) fn present<A>(&mut self, fault: Option<Fault>, work: impl FnOnce(&mut CardInField) -> A) -> (A, u32) {
        let mut field = CardInField::new(self.card.take().unwrap());
        if let Some(fault) = fault {
            field = field.with_fault(fault);
        }
        let answer = work(&mut field);
        let exchanges = field.traffic().exchanges;
        self.card = Some(field.remove());
        (answer, exchanges)
    }
}

/// Challenges that differ from call to call and are the same in every run.
pub(crate) fn counting_random() -> virtual_card::Random {
    Box::new(fresh)
}

pub(crate) fn fresh() -> [u8; 16] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0x5A; 16];
    let next = NEXT.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
    bytes[..8].copy_from_slice(&next.to_be_bytes());
    bytes
}

/// What was settled first, and what came of the work where nothing was; and the exchanges of the presentation.
pub(crate) type Served = (Result<(Vec<Resumed>, Option<Report>), DeskError>, u32);

/// A desk with the issuer's keys and an allowance.
pub(crate) struct Shop {
    pub(crate) desk: Desk<Keys>,
    folder: TempDir,
}

pub(crate) fn issuer_keys() -> KeySet {
    let mut prompt = Prompt::new(None).unwrap();
    open_keys(&fixtures().join("keys/test-issuer-keys.toml"), KeysClass::Test, &mut prompt).unwrap()
}

pub(crate) fn tariff() -> Tariff {
    let path = fixtures().join("hanoi/tariff.toml");
    Tariff::parse(&path, &fs::read_to_string(&path).unwrap()).unwrap()
}

pub(crate) fn clearing_house() -> Signer {
    let mut seed = [0; 32];
    hex::decode_to_slice(CLEARING_HOUSE_SEED, &mut seed).unwrap();
    Signer::from_seed(&seed)
}

impl Shop {
    pub(crate) fn new() -> Self {
        let mut shop = Self::without_allowance();
        shop.allow(1, 10_000_000, later(30 * 86_400));
        shop
    }

    pub(crate) fn without_allowance() -> Self {
        Self::with_keys(issuer_keys())
    }

    pub(crate) fn with_keys(keys: KeySet) -> Self {
        Self::of_device(DESK, keys)
    }

    /// Another desk; its signing key is its own.
    pub(crate) fn of_device(device: u32, keys: KeySet) -> Self {
        let folder = memory_folder();
        let journal = journal(folder.path(), device).0;
        let mut point = [0; 57];
        hex::decode_to_slice(TEST_MAKER, &mut point).unwrap();
        let rules = Rules {
            operator: OperatorId(1),
            tariffs: tariff().into(),
            clearing_house_public_key: clearing_house().public_key(),
            originality_keys: vec![OriginalityKey::new(&point).unwrap()],
            deny_list: deny_list(),
        };
        Self { desk: Desk { rules, keys: keys.into(), journal }, folder }
    }

    /// The process ends and another one takes its place; an intent that it left is returned.
    pub(crate) fn restart(self) -> (Self, Option<Action>) {
        let Self { desk: Desk { rules, keys, journal: old }, folder } = self;
        let device = old.device().number();
        drop(old);
        let (journal, adopted) = journal(folder.path(), device);
        (Self { desk: Desk { rules, keys, journal }, folder }, adopted)
    }

    pub(crate) fn allow(&mut self, number: u32, through_minor: i64, valid_until: Moment) {
        let allowance = Allowance {
            desk: DeviceId::new(DESK).unwrap(),
            epoch: 1,
            number,
            loads_through_minor: Amount::from_minor(through_minor).unwrap(),
            valid_until,
        };
        let kept = signed(Ask::Allowance, Reply::Allowance(allowance));
        self.desk.journal.keep(AnswerKind::Allowance, number, &kept).unwrap();
    }

    /// Settles what is open with the card, then does `work`.
    pub(crate) fn serve(
        &mut self,
        pocket: &mut Pocket,
        at: Moment,
        fault: Option<Fault>,
        work: impl FnOnce(&mut Desk<Keys>, &mut CardInField, &[u8; 7], Serving, Random<'_>) -> Result<Report, DeskError>,
    ) -> Served {
        let uid = pocket.uid();
        let serving = Serving { staff: STAFF, at };
        pocket.present(fault, |field| {
            let mut resumed = Vec::new();
            self.desk.settle(field, &uid, serving, &mut fresh, &mut resumed)?;
            if !resumed.is_empty() {
                return Ok((resumed, None));
            }
            work(&mut self.desk, field, &uid, serving, &mut fresh).map(|report| (resumed, Some(report)))
        })
    }

    /// The journal's steps, whose chain must hold.
    pub(crate) fn steps(&self) -> Vec<Action> {
        self.desk.journal.verify().unwrap();
        self.desk.journal.all().unwrap()
    }

    pub(crate) fn step_names(&self) -> Vec<String> {
        self.steps().iter().map(|step| format!("{} {}", step.kind.name(), step.step.name())).collect()
    }
}

/// The example's deny list, which names the card `denied`.
fn deny_list() -> DenyList {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("counter.example.toml");
    DeskConfig::load(&example).unwrap().deny_list().unwrap()
}

/// An answer of the clearing house, as a desk keeps it.
pub(crate) fn signed(ask: Ask, reply: Reply) -> KeptAnswer {
    let request = DeskRequest { desk: DeviceId::new(DESK).unwrap(), epoch: 1, at: NOW, ask };
    let request = serde_json::to_string(&request).unwrap();
    let answer = DeskAnswer { at: NOW, request: request_digest(&request), reply };
    let text = serde_json::to_string(&answer).unwrap();
    let signature = clearing_house().sign(&answer_signed_bytes(&text)).to_vec();
    KeptAnswer { request, text, signature }
}

fn journal(folder: &Path, device: u32) -> (Journal, Option<Action>) {
    Journal::open(&folder.join("journal.db"), DeviceId::new(device).unwrap(), 1, signer_of(device)).unwrap()
}

/// Desk 900 signs with the seed of its key file, another one with a seed of its own.
pub(crate) fn signer_of(device: u32) -> Signer {
    match device {
        DESK => Signer::from_seed(issuer_keys().signing_seed().unwrap()),
        other => Signer::from_seed(&[u8::try_from(other % 251).unwrap(); 32]),
    }
}

/// A folder in memory where there is one: these tests open hundreds of journals, and none of them loses power.
pub(crate) fn memory_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(crate) fn id(sequence: u32) -> TapId {
    TapId { device: DeviceId::new(DESK).unwrap(), epoch: 1, sequence }
}
