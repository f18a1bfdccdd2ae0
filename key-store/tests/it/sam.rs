//! Keys in a SAM: handshakes with cards, what is refused, what a tap costs.

use std::cell::Cell;

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use card_crypto::auth::{AuthenticationError, KeyHolder};
use card_crypto::{
    Aid, Card, Command, CommunicationMode, Error, FileNumber, FrameSize, KeyNumber, Lost, Misbehaviour, RecordRange,
    Status, Transport,
};
use key_store::{KeyRole, KeySet, KeyStore, KeyStoreError, SamEntries, SamError, SamKeyStore};
use proptest::prelude::*;
use transit::card::APPLICATION_ID;
use virtual_card::sam::{KeyClass, KeyEntry, Sam};

use crate::cards::{UID, adult, counting_random, project_keys};

const VALIDATE: KeyNumber = KeyNumber::new(2).expect("a key number");
const LOAD: KeyNumber = KeyNumber::new(3).expect("a key number");

pub(crate) const ENTRIES: SamEntries = SamEntries {
    card_master: None,
    application_master: None,
    inspect: None,
    validate: Some(0x12),
    load: Some(0x13),
    transaction_mac: None,
    token: Some(0x20),
};

/// A SAM that holds these keys as an operator's would.
pub(crate) fn sam_of(keys: &KeySet) -> Sam {
    let mut sam = Sam::new(counting_random());
    for role in KeyRole::ALL {
        let Some(number) = ENTRIES.of(role) else { continue };
        let versions: Vec<_> =
            keys.versions(role).into_iter().map(|v| (v, *keys.master(role, v).unwrap().expose_secret())).collect();
        let entry =
            if role == KeyRole::Token { KeyEntry::offline_crypto(&versions) } else { KeyEntry::picc(&versions) };
        sam.load(number, entry);
    }
    sam
}

fn store(sam: &mut Sam) -> SamKeyStore<&mut Sam> {
    SamKeyStore::open(sam, &ENTRIES).unwrap()
}

/// A SAM whose exchanges are counted while it is in use.
struct Counted<'a>(Sam, &'a Cell<u32>);

impl Transport for Counted<'_> {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        self.1.set(self.1.get() + 1);
        self.0.exchange(command)
    }
}

#[test]
fn a_tap_costs_four_exchanges_with_the_sam() {
    let keys = project_keys(&[1]);
    let count = Cell::new(0);
    let mut store = SamKeyStore::open(Counted(sam_of(&keys), &count), &ENTRIES).unwrap();
    assert_eq!(count.take(), 4, "GetVersion, and GetKeyEntry for each of three roles");
    assert_eq!(store.versions(KeyRole::Validate), [1]);
    assert!(store.versions(KeyRole::Inspect).is_empty(), "this SAM does not hold it");
    store.token(&UID).unwrap();
    assert_eq!(count.take(), 2, "the first time ActivateOfflineKey too");

    let mut card = adult();
    assert_eq!(store.token(&UID).unwrap(), keys.token(&UID).unwrap());
    assert_eq!(count.get(), 1, "EncipherOfflineData");
    let holder = store.holder(KeyRole::Validate, 1, &UID, [0; 16]).unwrap();
    let mut idle = Card::new(&mut card, FrameSize::Bytes128);
    idle.select_application(Aid(APPLICATION_ID)).unwrap();
    let mut session = idle.authenticate_ev2_first_by(VALIDATE, holder).unwrap();
    let record = RecordRange { first: 0, count: 1, record_length: 60 };
    let file = FileNumber::new(3).unwrap();
    assert_eq!(session.read_records(file, CommunicationMode::Mac, record).unwrap().len(), 60);
    drop(session);
    assert_eq!(card.traffic().exchanges, 4, "the card sees what it always sees");
    assert_eq!(count.get(), 4, "and AuthenticatePICC twice, DumpSessionKey");
}

#[test]
fn another_key_goes_on_in_the_same_session() {
    let mut sam = sam_of(&project_keys(&[1]));
    let mut store = store(&mut sam);
    let mut card = adult();
    let mut idle = Card::new(&mut card, FrameSize::Bytes128);
    idle.select_application(Aid(APPLICATION_ID)).unwrap();
    let session = idle.authenticate_ev2_first_by(LOAD, store.holder(KeyRole::Load, 1, &UID, [0; 16]).unwrap()).unwrap();
    let holder = store.holder(KeyRole::Validate, 1, &UID, [0; 16]).unwrap();
    let mut session = session.authenticate_ev2_non_first_by(VALIDATE, holder).unwrap();
    assert!(session.get_value(FileNumber::new(2).unwrap(), CommunicationMode::Mac).is_ok());
}

/// The card's side of AuthenticateAES, by hand: the IV is chained through all three messages.
#[test]
fn an_ev1_card_is_authenticated_too() {
    let keys = project_keys(&[1]);
    let mut sam = sam_of(&keys);
    let key = keys.card_key(KeyRole::Validate, 1, &UID).unwrap();
    let cipher = Aes128::new(key.expose_secret().into());
    let encrypt = |mut block: [u8; 16], iv: [u8; 16]| -> [u8; 16] {
        block.iter_mut().zip(iv).for_each(|(byte, iv)| *byte ^= iv);
        cipher.encrypt_block((&mut block).into());
        block
    };
    let decrypt = |mut block: [u8; 16], iv: [u8; 16]| -> [u8; 16] {
        cipher.decrypt_block((&mut block).into());
        block.iter_mut().zip(iv).for_each(|(byte, iv)| *byte ^= iv);
        block
    };
    let rnd_b: [u8; 16] = std::array::from_fn(|i| u8::try_from(i).unwrap() * 3);
    let challenge = encrypt(rnd_b, [0; 16]);

    let mut rnd_a = [0; 16];
    let mut store = store(&mut sam);
    let holder = store.holder(KeyRole::Validate, 1, &UID, [0; 16]).unwrap();
    let session = holder
        .authenticate_aes(&challenge, |cryptogram| {
            let (first, second) = (cryptogram[..16].try_into().unwrap(), cryptogram[16..].try_into().unwrap());
            rnd_a = decrypt(first, challenge);
            let mut expected = rnd_b;
            expected.rotate_left(1);
            assert_eq!(decrypt(second, first), expected, "the SAM knows the key");
            let mut answer = rnd_a;
            answer.rotate_left(1);
            Ok(encrypt(answer, second))
        })
        .unwrap();
    let expected = [&rnd_a[..4], &rnd_b[..4], &rnd_a[12..], &rnd_b[12..]].concat();
    assert_eq!(session.expose_secret().as_slice(), expected);
}

#[test]
fn a_card_that_refuses_leaves_the_sam_ready_for_the_next() {
    let keys = project_keys(&[1, 2]);
    let mut sam = sam_of(&keys);
    let mut store = store(&mut sam);
    assert_eq!(store.versions(KeyRole::Validate), [2, 1], "newest first");
    let mut card = adult();
    for (version, accepted) in [(2, false), (1, true), (2, false), (1, true)] {
        let mut idle = Card::new(&mut card, FrameSize::Bytes128);
        idle.select_application(Aid(APPLICATION_ID)).unwrap();
        let holder = store.holder(KeyRole::Validate, version, &UID, [0; 16]).unwrap();
        match idle.authenticate_ev2_first_by(VALIDATE, holder) {
            Ok(_) => assert!(accepted, "version {version}"),
            Err(AuthenticationError::Card(Error::Refused { command, status })) => {
                assert_eq!((command, status), (Command::AuthenticateEv2First, Status::Authentication));
                assert!(!accepted);
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn a_card_that_does_not_know_the_key_is_not_believed() {
    let mut sam = sam_of(&project_keys(&[1]));
    let mut store = store(&mut sam);
    let wrong = AuthenticationError::Card(Error::Misbehaved(Misbehaviour::WrongChallenge));
    let holder = store.holder(KeyRole::Validate, 1, &UID, [0; 16]).unwrap();
    assert_eq!(holder.authenticate_ev2_first(&[1; 16], |_| Ok([2; 32])).err(), Some(wrong.clone()));
    let holder = store.holder(KeyRole::Validate, 1, &UID, [0; 16]).unwrap();
    assert_eq!(holder.authenticate_ev2_non_first(&[1; 16], |_| Ok([2; 16])).err(), Some(wrong.clone()));
    let holder = store.holder(KeyRole::Validate, 1, &UID, [0; 16]).unwrap();
    assert_eq!(holder.authenticate_aes(&[1; 16], |_| Ok([2; 16])).err(), Some(wrong));

    let holder = store.holder(KeyRole::Validate, 1, &UID, [0; 16]).unwrap();
    let lost = holder.authenticate_ev2_first(&[1; 16], |_| Err(Error::Lost(Lost::Card))).err();
    assert_eq!(lost, Some(AuthenticationError::Card(Error::Lost(Lost::Card))));
    assert!(store.token(&UID).is_ok());
}

#[test]
fn a_card_key_is_given_out_only_where_the_entry_allows_it() {
    let keys = project_keys(&[1]);
    let mut sam = sam_of(&keys);
    let refused = store(&mut sam).card_key(KeyRole::Load, 1, &UID).unwrap_err();
    assert_eq!(refused, SamError::Refused { command: "SAM_DumpSecretKey", status: 0x6986 }.into());

    let master = *keys.master(KeyRole::Load, 1).unwrap().expose_secret();
    sam.load(0x13, KeyEntry { allow_dump_secret_key: true, ..KeyEntry::picc(&[(1, master)]) });
    let key = store(&mut sam).card_key(KeyRole::Load, 1, &UID).unwrap();
    assert!(key == keys.card_key(KeyRole::Load, 1, &UID).unwrap());
    // Without a diversification input the SAM would give the master key itself.
    let whole = sam.exchange(&[0x80, 0xD6, 0x00, 0x00, 0x02, 0x13, 0x01, 0x00]).unwrap();
    assert_eq!(whole, [0x69, 0x85]);
}

#[test]
fn a_usage_counter_limits_the_load_key() {
    let keys = project_keys(&[1]);
    let mut sam = sam_of(&keys);
    let master = *keys.master(KeyRole::Load, 1).unwrap().expose_secret();
    sam.load(0x13, KeyEntry { usage_counter: Some(5), ..KeyEntry::picc(&[(1, master)]) });
    sam.limit(5, 2);
    let mut store = store(&mut sam);
    assert_eq!(store.uses_left(KeyRole::Validate), Ok(None));
    let mut card = adult();
    for left in [1, 0] {
        let mut idle = Card::new(&mut card, FrameSize::Bytes128);
        idle.select_application(Aid(APPLICATION_ID)).unwrap();
        let holder = store.holder(KeyRole::Load, 1, &UID, [0; 16]).unwrap();
        idle.authenticate_ev2_first_by(LOAD, holder).unwrap();
        assert_eq!(store.uses_left(KeyRole::Load), Ok(Some(left)));
    }
    let mut idle = Card::new(&mut card, FrameSize::Bytes128);
    idle.select_application(Aid(APPLICATION_ID)).unwrap();
    let error =
        idle.authenticate_ev2_first_by(LOAD, store.holder(KeyRole::Load, 1, &UID, [0; 16]).unwrap()).unwrap_err();
    let AuthenticationError::Holder(error) = error else { panic!("the card is not to blame: {error}") };
    assert_eq!(
        error.to_string(),
        "the SAM refused SAM_AuthenticatePICC with status 6985: the key's usage counter may have reached its limit; \
         have the limit raised"
    );
}

#[test]
fn a_sam_that_lost_its_power_is_told_its_token_key_again() {
    let keys = project_keys(&[1]);
    let mut store = SamKeyStore::open(PowerCycled { sam: sam_of(&keys), exchanges: 0 }, &ENTRIES).unwrap();
    for _ in 0..20 {
        assert_eq!(store.token(&UID).unwrap(), keys.token(&UID).unwrap());
    }
}

/// A SAM whose power is lost before every fifth command.
struct PowerCycled {
    sam: Sam,
    exchanges: u32,
}

impl Transport for PowerCycled {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        self.exchanges += 1;
        if self.exchanges.is_multiple_of(5) {
            self.sam.power_cycle();
        }
        self.sam.exchange(command)
    }
}

#[test]
fn entries_that_protect_nothing_are_refused() {
    let keys = project_keys(&[1]);
    let master = |role| [(1, *keys.master(role, 1).unwrap().expose_secret())];
    let picc = KeyEntry::picc(&master(KeyRole::Validate));
    let offline = KeyEntry::offline_crypto(&master(KeyRole::Token));
    for (number, entry, problem) in [
        (
            0x12,
            KeyEntry { mandatory_diversification: false, ..picc.clone() },
            "\"mandatory key diversification\" is off",
        ),
        (0x12, KeyEntry { allow_dump_session_key: false, ..picc.clone() }, "\"allow dump session key\" is off"),
        (0x12, KeyEntry { class: KeyClass::OfflineCrypto, ..picc.clone() }, "its class is not PICC"),
        (0x12, KeyEntry { versions: [(0, [0; 16]); 3], ..picc }, "it has no key: versions are 1 to 255"),
        (0x20, KeyEntry { allow_dump_secret_key: true, ..offline.clone() }, "\"allow dump secret key\" is on"),
        (0x20, KeyEntry { class: KeyClass::Picc, ..offline }, "its class is not OfflineCrypto"),
    ] {
        let mut sam = sam_of(&keys);
        sam.load(number, entry);
        let error = SamKeyStore::open(&mut sam, &ENTRIES).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("entry {number:02X} of the SAM, the ")) && error.contains(problem),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_sam_av3_is_refused() {
    let version = |mode: u8| {
        let mut answer = [0; 31];
        answer[30] = mode;
        [&answer[..], &[0x90, 0x00]].concat()
    };
    for (answer, error) in [
        (version(0xA2), SamError::NotAv3 { mode: 0xA2 }),
        (vec![0x6D, 0x00], SamError::Refused { command: "SAM_GetVersion", status: 0x6D00 }),
        (vec![0x90, 0x00], SamError::Length { command: "SAM_GetVersion", expected: 31, found: 0 }),
        (vec![0x90], SamError::Lost(Lost::Card)),
    ] {
        assert_eq!(SamKeyStore::open(Fixed(answer), &ENTRIES).unwrap_err(), error);
    }
}

struct Fixed(Vec<u8>);

impl Transport for Fixed {
    fn exchange(&mut self, _: &[u8]) -> Result<Vec<u8>, Lost> {
        Ok(self.0.clone())
    }
}

/// A SAM that answers rightly until this exchange, and from there with these bytes.
struct Turned {
    sam: Sam,
    left: u32,
    answer: Vec<u8>,
}

impl Transport for Turned {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                self.sam.exchange(command)
            }
            None => Ok(self.answer.clone()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn arbitrary_answers_of_a_sam_are_errors_and_no_panic(
        left in 0_u32..9,
        data in proptest::collection::vec(any::<u8>(), 0..40),
        status in prop_oneof![Just(0x9000_u16), Just(0x90AF), any::<u16>()],
    ) {
        let answer = [&data[..], &status.to_be_bytes()].concat();
        let turned = Turned { sam: sam_of(&project_keys(&[1])), left, answer };
        let Ok(mut store) = SamKeyStore::open(turned, &ENTRIES) else { return Ok(()) };
        let _ = store.token(&UID);
        let _ = store.uses_left(KeyRole::Validate);
        let _ = store.card_key(KeyRole::Load, 1, &UID);
        let mut card = adult();
        let mut idle = Card::new(&mut card, FrameSize::Bytes128);
        idle.select_application(Aid(APPLICATION_ID)).unwrap();
        if let Ok(holder) = store.holder(KeyRole::Validate, 1, &UID, [0; 16]) {
            let _: Result<_, AuthenticationError<KeyStoreError>> = idle.authenticate_ev2_first_by(VALIDATE, holder);
        }
    }
}
