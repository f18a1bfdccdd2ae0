//! Exchanges of a desk: a blank card issued and read back, and a card loaded.

use std::{cell::Cell, fs, path::Path};

use card_crypto::originality::OriginalityKey;
use counter::{
    config::DeskConfig,
    desk::{Desk, Rules, Serving},
    journal::{AnswerKind, Journal, KeptAnswer},
    personalise::Person,
    signer::Signer,
};
use key_store::{KeyFile, Keys, Origin};
use transit::{
    card::Profile,
    desk::{Allowance, Ask, DeskAnswer, DeskRequest, Reply, answer_signed_bytes, request_digest},
    money::Amount,
};
use virtual_card::{CardInField, Fixture, Moment, TestKeys};

use crate::{Failure, bus::MORNING};

const TOP_UP_MINOR: u32 = 50_000;

/// Exchanges at the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeskExchanges {
    /// A blank EV2 card becomes one of ours and is read back.
    pub issue: u32,
    /// That card is loaded.
    pub top_up: u32,
}

/// Issues a blank EV2 card and loads it.
///
/// # Errors
/// The fixtures cannot be used, or the desk refuses.
pub fn exchanges() -> Result<DeskExchanges, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir()?;
    let mut desk = desk(&root, folder.path())?;
    let keys = TestKeys::load(&root.join("fixtures/keys/test-card-keys.toml"))?;
    let moment = Moment { now: MORNING.0, today: 9824 };
    let fixture = Fixture::load(&root.join("fixtures/cards/blank-ev2.toml"), &keys, moment)?;
    let uid = fixture.identity().uid;
    // Challenges that differ from call to call, and are the same in every run.
    let count = Cell::new(0_u8);
    let random = || {
        count.set(count.get().wrapping_add(1));
        [count.get(); 16]
    };
    let serving = Serving { staff: 7, at: MORNING };

    let card = fixture.card(Box::new(|| [0x5A; 16]));
    let mut field = CardInField::new(card);
    let person = Person { profile: Profile::Ordinary, profile_valid_until: None, holder: None };
    desk.issue(&mut field, &uid, person, serving, &mut { random })?;
    let issue = field.traffic().exchanges;

    let mut field = CardInField::new(field.remove());
    desk.top_up(&mut field, &uid, Amount::from(TOP_UP_MINOR), serving, &mut { random })?;
    let top_up = field.traffic().exchanges;
    Ok(DeskExchanges { issue, top_up })
}

/// The desk of `counter/counter.example.toml` with a journal in `folder` and an allowance.
fn desk(root: &Path, folder: &Path) -> Result<Desk<Keys>, Failure> {
    let config_path = root.join("counter/counter.example.toml");
    let config = DeskConfig::load(&config_path)?;
    let key_path = root.join("fixtures/keys/test-issuer-keys.toml");
    let text = fs::read_to_string(&key_path)?;
    let KeyFile::Plain(keys) = KeyFile::parse(&key_path, &text, Origin::Disk, config.keys_class)? else {
        return Err("the test keys are sealed".into());
    };
    let desk_signer = Signer::from_seed(keys.signing_seed().ok_or("the test keys hold no signing key")?);
    let clearing_house = Signer::from_seed(&[0x5C; 32]);
    let (mut journal, _) = Journal::open(&folder.join("journal.db"), config.device, config.epoch, desk_signer)?;

    let ask = DeskRequest { desk: config.device, epoch: config.epoch, at: MORNING, ask: Ask::Allowance };
    let request = serde_json::to_string(&ask)?;
    let allowance = Allowance {
        desk: config.device,
        epoch: config.epoch,
        number: 1,
        loads_through_minor: Amount::from(TOP_UP_MINOR),
        valid_until: MORNING,
    };
    let answer = DeskAnswer { at: MORNING, request: request_digest(&request), reply: Reply::Allowance(allowance) };
    let text = serde_json::to_string(&answer)?;
    let signature = clearing_house.sign(&answer_signed_bytes(&text)).to_vec();
    journal.keep(AnswerKind::Allowance, 1, &KeptAnswer { request, text, signature })?;

    let originality_keys: Vec<OriginalityKey> = counter::keys::originality_keys(&config_path, &config)?;
    let rules = Rules {
        operator: config.operator,
        tariffs: config.tariffs()?,
        clearing_house_public_key: clearing_house.public_key(),
        originality_keys,
        deny_list: config.deny_list()?,
    };
    Ok(Desk { rules, keys: keys.into(), journal })
}
