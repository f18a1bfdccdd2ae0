//! Keys in a SAM: a desk does the same as with keys in memory, and the SAM counts what it loads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use card_crypto::{Lost, Transport};
use counter::desk::Desk;
use counter::open_action::open_actions;
use counter::personalise::Person;
use counter::refusal::{DeskError, Refusal};
use counter::report::Report;
use counter::sale::Wanted;
use counter::session::CardError;
use key_store::{KeyRole, KeyStore, Keys, SamEntries, SamError, SamKeyStore, SamTransport};
use transit::card::{ProductKind, Profile};
use transit::id::LineNumber;
use transit::money::Amount;
use virtual_card::CardInField;
use virtual_card::sam::{KeyEntry, Sam};

use crate::world::{AID, NOW, Pocket, Shop, counting_random, issuer_keys, later};

/// Where an issuer's SAM holds its keys.
const ENTRIES: SamEntries = SamEntries {
    card_master: Some(0x10),
    application_master: Some(0x11),
    inspect: Some(0x12),
    validate: Some(0x13),
    load: Some(0x14),
    transaction_mac: Some(0x15),
    token: Some(0x20),
};
/// The usage counter of the load key.
const LOADS: u8 = 5;
const TOP_UP: u32 = 20_000;

/// Whether the SAM may give out a card's own keys.
#[derive(Clone, Copy, PartialEq)]
enum Gives {
    SessionKeys,
    CardKeys,
}

/// A SAM with the issuer's test keys, as an operator's would hold them.
fn sam(gives: Gives) -> Sam {
    let keys = issuer_keys();
    let mut sam = Sam::new(counting_random());
    for role in KeyRole::ALL {
        // Version 0 is an empty place of a SAM.
        let version = [(1, *keys.master(role, 0).unwrap().expose_secret())];
        let entry = match role {
            KeyRole::Token => KeyEntry::offline_crypto(&version),
            _ => KeyEntry { allow_dump_secret_key: gives == Gives::CardKeys, ..KeyEntry::picc(&version) },
        };
        sam.load(ENTRIES.of(role).unwrap(), entry);
    }
    sam
}

/// The same, whose load key may be used this often.
fn sam_with_loads(loads: u32) -> Sam {
    let mut sam = sam(Gives::SessionKeys);
    let master = *issuer_keys().master(KeyRole::Load, 0).unwrap().expose_secret();
    let entry = KeyEntry { usage_counter: Some(LOADS), ..KeyEntry::picc(&[(1, master)]) };
    sam.load(ENTRIES.load.unwrap(), entry);
    sam.limit(LOADS, loads);
    sam
}

/// A SAM whose exchanges are counted, and which does not answer this one.
struct Counted {
    sam: Sam,
    exchanges: Arc<AtomicU32>,
    silent: Option<u32>,
}

impl Transport for Counted {
    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Lost> {
        let number = self.exchanges.fetch_add(1, Ordering::Relaxed) + 1;
        if self.silent == Some(number) { Err(Lost::Reader) } else { self.sam.exchange(command) }
    }
}

/// A desk whose keys are in this SAM, and the number of exchanges since it was opened.
fn shop_with(sam: Sam, silent: Option<u32>) -> (Shop, Arc<AtomicU32>) {
    let exchanges = Arc::new(AtomicU32::new(0));
    let counted = Counted { sam, exchanges: Arc::clone(&exchanges), silent };
    let store = SamKeyStore::open(SamTransport::new(counted), &ENTRIES).unwrap();
    assert_eq!(exchanges.load(Ordering::Relaxed), OPENING, "GetVersion, and GetKeyEntry for each of seven roles");
    let mut shop = Shop::new();
    shop.desk.keys = Keys::Sam(Box::new(store));
    (shop, exchanges)
}

const OPENING: u32 = 8;

/// What is done with a card.
#[derive(Clone, Copy, Debug)]
enum Work {
    Issue,
    TopUp,
    Sell,
    Inspect,
    Refund,
}

fn serve(shop: &mut Shop, pocket: &mut Pocket, work: Work) -> (Result<Report, DeskError>, u32) {
    let (answer, exchanges) = shop.serve(
        pocket,
        NOW,
        None,
        |desk: &mut Desk<Keys>, field: &mut CardInField, uid, serving, random| match work {
            Work::Issue => {
                let person = Person { profile: Profile::Ordinary, profile_valid_until: None, holder: None };
                desk.issue(field, uid, person, serving, random)
            }
            Work::TopUp => desk.top_up(field, uid, Amount::from(TOP_UP), serving, random),
            Work::Sell => {
                let pass = Wanted { kind: ProductKind::OneRoutePass, line: LineNumber(1), month: None };
                desk.sell(field, uid, pass, serving, random)
            }
            Work::Inspect => desk.inspect(field, uid, NOW, random),
            Work::Refund => desk.refund(field, uid, Some(Amount::from(TOP_UP)), serving, random),
        },
    );
    (answer.map(|(_, report)| report.unwrap()), exchanges)
}

#[test]
fn a_desk_does_the_same_with_a_sam_as_with_keys_in_memory() {
    for (name, works) in [
        // Six card keys given out, six handshakes at three exchanges, the token twice.
        ("blank-ev2", &[(Work::Issue, 26), (Work::TopUp, 12)][..]),
        // Keys 2, 3 and 2 again, and the token three times; a look and a refund need key 2 alone.
        ("adult", &[(Work::TopUp, 12), (Work::Sell, 12), (Work::Inspect, 5), (Work::Refund, 6)]),
        ("adult-ev1", &[(Work::TopUp, 12)]),
    ] {
        let (mut shop, count) = shop_with(sam(Gives::CardKeys), None);
        let (mut pocket, mut memory, mut other) = (Pocket::new(name), Shop::new(), Pocket::new(name));
        // The first token costs ActivateOfflineKey too.
        shop.desk.token(&pocket.uid()).unwrap();
        for &(work, expected) in works {
            let before = count.load(Ordering::Relaxed);
            let (report, exchanges) = serve(&mut shop, &mut pocket, work);
            let with_sam = count.load(Ordering::Relaxed) - before;
            println!("sam_exchanges {name} {work:?} {with_sam}");
            let (same, same_exchanges) = serve(&mut memory, &mut other, work);
            assert_eq!(report.unwrap(), same.unwrap(), "{name} {work:?}");
            assert_eq!(exchanges, same_exchanges, "the card sees what it always sees: {name} {work:?}");
            assert_eq!(with_sam, expected, "{name} {work:?}");
        }
        assert_eq!(pocket.card().records(AID, 3), other.card().records(AID, 3), "{name}");
        assert_eq!(pocket.purse(), other.purse(), "{name}");
        assert_eq!(shop.step_names(), memory.step_names(), "{name}");
    }
}

#[test]
fn a_sam_that_gives_out_no_card_keys_makes_no_cards() {
    let (mut shop, _) = shop_with(sam(Gives::SessionKeys), None);
    let mut pocket = Pocket::new("blank-ev2");
    let error = serve(&mut shop, &mut pocket, Work::Issue).0.unwrap_err();
    let DeskError::NotWritten { source: CardError::Keys(why), .. } = &error else { panic!("{error}") };
    assert_eq!(*why, SamError::Refused { command: "SAM_DumpSecretKey", status: 0x6986 }.into());
    assert!(error.to_string().starts_with("the card could not be written and is unchanged"), "{error}");
    let (mut issuers, _) = shop_with(sam(Gives::CardKeys), None);
    assert!(serve(&mut issuers, &mut pocket, Work::Issue).0.is_ok(), "it is still blank");
}

#[test]
fn a_used_up_load_key_refuses_before_the_cash_is_taken_and_says_what_to_do() {
    let (mut shop, _) = shop_with(sam_with_loads(2), None);
    let mut pocket = Pocket::new("adult");
    assert_eq!(shop.desk.keys.uses_left(KeyRole::Validate), Ok(None));
    for (work, left) in [(Work::TopUp, 1), (Work::Sell, 0)] {
        serve(&mut shop, &mut pocket, work).0.unwrap();
        assert_eq!(shop.desk.keys.uses_left(KeyRole::Load), Ok(Some(left)));
    }
    let (purse, steps) = (pocket.purse(), shop.steps());
    for work in [Work::TopUp, Work::Sell] {
        let mut another = Pocket::new("adult");
        let refused = serve(&mut shop, &mut another, work).0.unwrap_err();
        assert!(matches!(refused, DeskError::Refused(Refusal::LoadKeyUsedUp)), "{refused}");
        let remedy = "the load key in the SAM is used up: have the limit of its usage counter raised";
        assert!(refused.to_string().starts_with(remedy), "{refused}");
    }
    let blank = serve(&mut shop, &mut Pocket::new("blank-ev2"), Work::Issue).0.unwrap_err();
    assert!(matches!(blank, DeskError::Refused(Refusal::LoadKeyUsedUp)), "{blank}");
    assert_eq!((pocket.purse(), shop.steps()), (purse, steps), "no cash was taken, and no card was touched");
    // What needs no load key goes on.
    serve(&mut shop, &mut pocket, Work::Inspect).0.unwrap();
    serve(&mut shop, &mut pocket, Work::Refund).0.unwrap();
}

/// Wherever the SAM stops answering, the cash is taken once and is on the card once, and nobody blames the card.
#[test]
fn a_sam_that_fails_at_any_exchange_of_a_top_up_loses_no_cash() {
    let total = {
        let (mut shop, count) = shop_with(sam_with_loads(9), None);
        serve(&mut shop, &mut Pocket::new("adult"), Work::TopUp).0.unwrap();
        count.load(Ordering::Relaxed)
    };
    for silent in OPENING + 1..=total {
        let (mut shop, _) = shop_with(sam_with_loads(9), Some(silent));
        let mut pocket = Pocket::new("adult");
        let before = pocket.purse();
        let error = serve(&mut shop, &mut pocket, Work::TopUp).0.unwrap_err();
        let is_paid = match &error {
            DeskError::Card(CardError::Keys(_)) => false,
            DeskError::NotWritten { source: CardError::Keys(_), .. } => {
                assert!(error.to_string().starts_with("the card could not be written"), "{silent}: {error}");
                true
            }
            _ => panic!("{silent}: {error}"),
        };
        assert_eq!(open_actions(&shop.steps()).len(), usize::from(is_paid), "{silent}");
        assert_eq!(pocket.purse(), before, "{silent}");

        let (again, _) = shop.serve(&mut pocket, later(20), None, |desk, field, uid, serving, random| {
            desk.top_up(field, uid, Amount::from(TOP_UP), serving, random)
        });
        assert_eq!(again.unwrap().1.is_none(), is_paid, "{silent}");
        assert_eq!(pocket.purse(), before + 20_000, "{silent}");
        assert!(open_actions(&shop.steps()).is_empty(), "{silent}");
    }
}
