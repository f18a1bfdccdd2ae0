//! A desk in this process: the product's own, with its journal, which loads cards for cash.

use std::fs;
use std::path::{Path, PathBuf};

use counter::config::DenyList;
use counter::desk::{Rules, Serving};
use counter::journal::{AnswerKind, Journal, KeptAnswer};
use counter::refusal::DeskError;
use counter::signer::Signer;
use key_store::{KeyFile, Keys, Origin};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use ring::signature::{ED25519, UnparsedPublicKey};
use rusqlite::Connection;
use transit::action::SealedAction;
use transit::config::KeysClass;
use transit::desk::{ACTIONS_PER_BATCH_MAX, Ask, DeskAnswer, DeskRequest, Reply, request_signed_bytes};
use transit::id::{DeviceId, OperatorId};
use transit::money::Amount;
use transit::sync::{Acknowledgement, signed_bytes};
use transit::tariff::Tariff;
use transit::time::Moment;
use virtual_card::Picc;

use crate::Failed;
use crate::city::CLEARING_HOUSE_KEY;
use crate::seeded_card::in_field;
use crate::seeded_clearing_house::House;
use crate::seeded_event::Mishap;
use crate::seeded_gate::Acknowledged;

/// Its number; `crate::desk::REGISTRATION` registers it.
const DEVICE: DeviceId = DeviceId::new(900).expect("a device number");
const CLERK: u32 = 7;

/// A desk.
#[derive(Debug)]
pub struct Desk {
    folder: PathBuf,
    fixtures: PathBuf,
    public_key: [u8; 32],
    running: Option<counter::desk::Desk<Keys>>,
    random: ChaCha8Rng,
}

/// What came of a visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The cash that the rider handed over, in dong.
    pub paid: i64,
    /// Something is not at its end: the rider is asked to lay the card down again.
    pub again: bool,
    /// What the clerk was told.
    pub told: String,
}

impl Desk {
    /// A desk in `folder`, which is made.
    ///
    /// # Errors
    /// Its files cannot be written or read.
    pub fn new(folder: PathBuf, fixtures: &Path, seed: u64) -> Result<Self, Failed> {
        fs::create_dir_all(&folder).map_err(Failed::system(format!("making {}", folder.display())))?;
        let mut public_key = [0; 32];
        hex::decode_to_slice(CLEARING_HOUSE_KEY, &mut public_key).map_err(Failed::unexpected)?;
        let random = ChaCha8Rng::seed_from_u64(seed ^ u64::from(DEVICE.number()) << 32);
        let mut desk = Self { folder, fixtures: fixtures.to_owned(), public_key, running: None, random };
        desk.restart()?;
        Ok(desk)
    }

    /// The process ends and another one takes its place.
    ///
    /// # Errors
    /// Its files cannot be read.
    pub fn restart(&mut self) -> Result<(), Failed> {
        self.running = None;
        let read =
            |path: &Path| fs::read_to_string(path).map_err(Failed::system(format!("reading {}", path.display())));
        let (keys, tariff) = (self.fixtures.join("keys/test-desk-keys.toml"), self.fixtures.join("hanoi/tariff.toml"));
        let KeyFile::Plain(keys) =
            KeyFile::parse(&keys, &read(&keys)?, Origin::Disk, KeysClass::Test).map_err(Failed::unexpected)?
        else {
            return Err(Failed::Unexpected("the test keys are sealed".to_owned()));
        };
        let signer = keys.signing_seed().map(Signer::from_seed);
        let signer = signer.ok_or_else(|| Failed::Unexpected("the desk's keys sign nothing".to_owned()))?;
        let rules = Rules {
            operator: OperatorId(1),
            tariffs: Tariff::parse(&tariff, &read(&tariff)?).map_err(Failed::unexpected)?.into(),
            clearing_house_public_key: self.public_key,
            originality_keys: Vec::new(),
            deny_list: DenyList::default(),
        };
        let (journal, _) = Journal::open(&self.journal(), DEVICE, 1, signer).map_err(Failed::unexpected)?;
        self.running = Some(counter::desk::Desk { rules, keys: keys.into(), journal });
        Ok(())
    }

    /// A rider lays a card down: what is open with it is settled; where nothing is, `amount` is loaded for cash.
    ///
    /// # Errors
    /// What no fault of the plan explains.
    pub fn serve(
        &mut self,
        card: Picc,
        uid: &[u8; 7],
        at: u32,
        amount: Option<u32>,
        mishap: Option<Mishap>,
    ) -> Result<(Picc, Visit), Failed> {
        let dies = matches!(mishap, Some(Mishap::ProcessDies { .. } | Mishap::PowerLost));
        if dies {
            // A process that dies past the intent has not concluded it.
            self.execute(
                "CREATE TRIGGER process_died BEFORE INSERT ON step WHEN EXISTS (SELECT 1 FROM intent)
                 BEGIN SELECT RAISE(ABORT, 'died'); END",
            )?;
        }
        let mut field = in_field(card, mishap);
        let serving = Serving { staff: CLERK, at: Moment(at) };
        let mut resumed = Vec::new();
        let random = &mut self.random;
        let mut random = move || random.random();
        let desk = self.running.as_mut().ok_or_else(|| Failed::Unexpected("the desk is not there".to_owned()))?;
        let settled = desk.settle(&mut field, uid, serving, &mut random, &mut resumed);
        let mut visit = Visit { paid: 0, again: settled.is_err(), told: format!("{resumed:?} {}", told(&settled)) };
        if let (Ok(()), true, Some(amount)) = (settled, resumed.is_empty(), amount) {
            let loaded = desk.top_up(&mut field, uid, Amount::from(amount), serving, &mut random);
            visit.told = told(&loaded);
            // Nothing is begun where the desk or the card refuses.
            let begun = !matches!(&loaded, Err(DeskError::Refused(_) | DeskError::Card(_)));
            visit.paid = if begun { i64::from(amount) } else { 0 };
            visit.again = begun && loaded.is_err();
        }
        if dies {
            self.running = None;
            self.execute("DROP TRIGGER process_died")?;
            self.restart()?;
        }
        Ok((field.remove(), visit))
    }

    /// Sends every step that is not acknowledged, and asks for a new allowance; `arrives` and `returns` say whether the
    /// network takes what it says, and what is said to it. What it believes to be acknowledged comes back.
    ///
    /// # Errors
    /// What no fault of the plan explains.
    pub fn sync(
        &mut self,
        house: &mut House,
        at: u32,
        (arrives, returns): (bool, bool),
    ) -> Result<Vec<Acknowledged>, Failed> {
        let public_key = self.public_key;
        let mut believed = Vec::new();
        let desk = self.running.as_mut().ok_or_else(|| Failed::Unexpected("the desk is not there".to_owned()))?;
        let journal = &mut desk.journal;
        let steps = journal.unsent(ACTIONS_PER_BATCH_MAX).map_err(Failed::unexpected)?;
        if !arrives {
            return Ok(believed);
        }
        if !steps.is_empty() {
            let body: Vec<u8> = steps.iter().flat_map(|step| *step.as_bytes()).collect();
            let said = house.receive_actions(&body, at)?;
            let Some(said) = said.filter(|_| returns) else { return Ok(believed) };
            UnparsedPublicKey::new(&ED25519, public_key)
                .verify(&signed_bytes(&said.text), &said.signature)
                .map_err(|_| Failed::Unexpected("an acknowledgement is not signed".to_owned()))?;
            let said: Acknowledgement = serde_json::from_str(&said.text).map_err(Failed::unexpected)?;
            let named = steps.iter().zip(said.taps).filter_map(|(step, said)| {
                Some(Acknowledged { tap: step.claimed_id()?, hash: step.hash(), verdict: said.verdict })
            });
            believed = named.collect();
            let verdicts: Vec<_> = believed.iter().map(|said| (said.tap.sequence, said.hash, said.verdict)).collect();
            journal.acknowledge(&verdicts).map_err(Failed::unexpected)?;
        }
        let request = DeskRequest { desk: DEVICE, epoch: journal.epoch(), at: Moment(at), ask: Ask::Allowance };
        let request = serde_json::to_string(&request).map_err(Failed::unexpected)?;
        let signature = journal.signer().sign(&request_signed_bytes(&request));
        let answer = house.answer(&request, &signature, at)?;
        if let Some(answer) = answer.filter(|_| returns) {
            let opened = DeskAnswer::open(&answer.text, &answer.signature, &public_key, &request);
            if let Reply::Allowance(allowance) = opened.map_err(Failed::unexpected)?.reply {
                let kept = KeptAnswer { request, text: answer.text, signature: answer.signature.to_vec() };
                journal.keep(AnswerKind::Allowance, allowance.number, &kept).map_err(Failed::unexpected)?;
            }
        }
        Ok(believed)
    }

    /// The sealed steps of its journal after the first `seen`.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn steps_from(&self, seen: usize) -> Result<Vec<SealedAction>, Failed> {
        let journal = Connection::open(self.journal()).map_err(Failed::unexpected)?;
        let sql = "SELECT sealed FROM step WHERE sequence > ?1 ORDER BY sequence";
        let mut statement = journal.prepare(sql).map_err(Failed::unexpected)?;
        let seen = u32::try_from(seen).unwrap_or(u32::MAX);
        let steps = statement.query_map([seen], |row| row.get::<_, Vec<u8>>(0)).map_err(Failed::unexpected)?;
        let opened = steps
            .map(|bytes| SealedAction::from_bytes(&bytes.map_err(Failed::unexpected)?).map_err(Failed::unexpected));
        opened.collect()
    }

    /// Closes its journal.
    pub fn end(&mut self) {
        self.running = None;
    }

    fn journal(&self) -> PathBuf {
        self.folder.join("journal.db")
    }

    fn execute(&self, sql: &str) -> Result<(), Failed> {
        let journal = Connection::open(self.journal()).map_err(Failed::unexpected)?;
        journal.execute_batch(sql).map_err(Failed::unexpected)
    }
}

fn told<T>(result: &Result<T, DeskError>) -> String {
    match result {
        Ok(_) => "done".to_owned(),
        // Where the journal lies is another folder in every run.
        Err(DeskError::Journal(_)) => "the journal fails".to_owned(),
        Err(error) => error.to_string(),
    }
}
