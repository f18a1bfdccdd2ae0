//! The desk and the real clearing house, over HTTP.

use std::fs;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clearing_house::{ClearingHouse, Config, http};
use counter::desk::Serving;
use counter::personalise::Person;
use counter::refusal::{DeskError, Refusal};
use counter::report::{Report, Synced};
use counter::settle::ResumedOutcome;
use counter::uplink::{Uplink, UplinkError};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use transit::card::Profile;
use transit::desk::Lost;
use transit::id::HolderReference;
use transit::money::Amount;
use transit::time::Moment;
use virtual_card::Fault;

use crate::world::{
    DESK, NOW, Pocket, STAFF, Shop, clearing_house as signing, fixtures, fresh, id, issuer_keys, later, memory_folder,
    signer_of,
};

const DAILY_LIMIT_MINOR: i64 = 500_000;

fn clock() -> Moment {
    later(60)
}

/// A clearing house that knows desks 900 and 901, in a thread of its own.
pub(crate) struct House {
    folder: TempDir,
    pub(crate) url: String,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl House {
    fn new() -> Self {
        Self::with_clock(clock)
    }

    pub(crate) fn with_clock(clock: http::Clock) -> Self {
        Self::with(clock, 0)
    }

    /// It believes a desk so much a day of what cards gave up that prove nothing.
    pub(crate) fn believing(minor: u32) -> Self {
        Self::with(clock, minor)
    }

    fn with(clock: http::Clock, unproven_limit_minor: u32) -> Self {
        let folder = memory_folder();
        let desk = |device: u32| {
            let key = hex::encode(signer_of(device).public_key());
            format!(
                "[[desk]]\nnumber = {device}\noperator = 1\npublic_key = \"{key}\"\n\
                 daily_load_limit_minor = {DAILY_LIMIT_MINOR}\n\
                 unproven_daily_limit_minor = {unproven_limit_minor}\n"
            )
        };
        let config = format!(
            "listen = \"127.0.0.1:0\"\ndatabase = \"books.sqlite\"\ntariff = \"{fixtures}/hanoi/tariff.toml\"\n\
             keys = \"{fixtures}/keys/test-clearing-house-keys.toml\"\nkeys_class = \"test\"\n\
             transaction_mac_policy = \"enforce\"\n[[operator]]\nnumber = 1\nname = \"Hà Nội BRT\"\n{}{}",
            desk(DESK),
            desk(DESK + 1),
            fixtures = fixtures().display(),
        );
        fs::write(folder.path().join("clearing-house.toml"), config).unwrap();
        let books = Self::books(&folder);
        let (tell_url, told_url) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell_url.send(format!("http://{}", listener.local_addr().unwrap())).unwrap();
                let stopped = async {
                    let _ = stopped.await;
                };
                http::serve(listener, books, clock, stopped).await.unwrap();
            });
        });
        Self { folder, url: told_url.recv().unwrap(), stop: Some(stop), server: Some(server) }
    }

    fn books(folder: &TempDir) -> ClearingHouse {
        ClearingHouse::open(Config::read(&folder.path().join("clearing-house.toml"), None).unwrap()).unwrap()
    }

    fn uplink(&self) -> Uplink {
        Uplink::new(&self.url, signing().public_key(), Duration::from_secs(30)).unwrap()
    }

    pub(crate) fn sync(&self, shop: &mut Shop) -> Synced {
        self.uplink().sync(&mut shop.desk.journal, NOW).unwrap()
    }

    /// Ends the server and opens its books, which must hold together; what a desk does is no alarm.
    pub(crate) fn close(self) -> ClearingHouse {
        let mut books = self.end();
        assert!(books.status().unwrap().alarms.is_empty());
        books
    }

    /// Ends the server and opens its books, which must hold together.
    pub(crate) fn end(mut self) -> ClearingHouse {
        self.stop.take().unwrap().send(()).unwrap();
        self.server.take().unwrap().join().unwrap();
        let mut books = Self::books(&self.folder);
        assert_eq!(books.verify().wrong, None);
        books
    }
}

pub(crate) fn balance(books: &mut ClearingHouse, account: &str) -> i64 {
    books.status().unwrap().balances_minor.get(account).copied().unwrap_or(0)
}

pub(crate) fn issue(shop: &mut Shop, name: &str, holder: Option<u64>) -> Pocket {
    let mut pocket = Pocket::new(name);
    let holder = holder.map(|number| HolderReference(number.try_into().unwrap()));
    let person = Person { profile: Profile::Ordinary, profile_valid_until: None, holder };
    let (uid, serving) = (pocket.uid(), Serving { staff: STAFF, at: NOW });
    pocket.present(None, |field| shop.desk.issue(field, &uid, person, serving, &mut fresh)).0.unwrap();
    pocket
}

pub(crate) fn top_up(shop: &mut Shop, pocket: &mut Pocket, minor: u32, fault: Option<Fault>) -> Result<(), DeskError> {
    counted_top_up(shop, pocket, minor, fault).0
}

pub(crate) fn counted_top_up(
    shop: &mut Shop,
    pocket: &mut Pocket,
    minor: u32,
    fault: Option<Fault>,
) -> (Result<(), DeskError>, u32) {
    let (answer, exchanges) = shop.serve(pocket, NOW, fault, |desk, field, uid, serving, random| {
        desk.top_up(field, uid, Amount::from(minor), serving, random)
    });
    (answer.map(|_| ()), exchanges)
}

#[test]
fn every_step_of_a_day_is_proven_booked_and_acknowledged() {
    let house = House::new();
    let mut shop = Shop::without_allowance();
    let first = house.sync(&mut shop);
    assert_eq!((first.sent, first.allowance.unwrap().loads_through_minor.minor()), (0, DAILY_LIMIT_MINOR));

    let mut card = issue(&mut shop, "blank-ev2", None);
    top_up(&mut shop, &mut card, 60_000, None).unwrap();
    let wanted = counter::sale::Wanted {
        kind: transit::card::ProductKind::AllRoutePass,
        line: transit::id::LineNumber(0),
        month: None,
    };
    shop.serve(&mut card, NOW, None, |desk, field, uid, serving, random| {
        desk.sell(field, uid, wanted, serving, random)
    })
    .0
    .unwrap();
    shop.serve(&mut card, NOW, None, |desk, field, uid, serving, random| {
        desk.refund(field, uid, Some(Amount::from(15_000)), serving, random)
    })
    .0
    .unwrap();
    let token = shop.desk.token(&card.uid()).unwrap().1;
    shop.desk.block(token, Serving { staff: STAFF, at: NOW }).unwrap();

    let synced = house.sync(&mut shop);
    assert_eq!((synced.sent, synced.kept_aside), (8, vec![]), "{:?}", shop.step_names());
    assert_eq!(shop.desk.journal.counts().unwrap(), (8, 0));
    assert_eq!(shop.desk.journal.verdict(id(3)).unwrap().as_deref(), Some("accepted"), "confirmed");
    assert_eq!(house.sync(&mut shop).sent, 0, "nothing is sent twice");

    let mut books = house.close();
    assert_eq!(balance(&mut books, "cards:float").abs(), 45_000);
    assert_eq!(balance(&mut books, "revenue:passes").abs(), 280_000);
    assert_eq!(balance(&mut books, "desk:900:cash").abs(), 60_000 + 280_000 - 15_000);
    assert_eq!(balance(&mut books, "suspense:loads"), 0);
    assert!(books.deny_list(clock()).unwrap().cards.contains(&token));
}

#[test]
fn an_allowance_is_a_ceiling_that_grows_by_a_limit_a_day() {
    let house = House::new();
    let mut shop = Shop::without_allowance();
    house.sync(&mut shop);
    let mut card = issue(&mut shop, "blank-ev3", None);
    top_up(&mut shop, &mut card, 400_000, None).unwrap();
    let refused = top_up(&mut shop, &mut card, 200_000, None).unwrap_err();
    assert!(matches!(refused, DeskError::Refused(Refusal::AllowanceUsedUp { left_minor: 100_000, .. })), "{refused}");
    let synced = house.sync(&mut shop);
    let through = synced.allowance.unwrap().loads_through_minor.minor();
    assert!(through <= DAILY_LIMIT_MINOR, "no more than a day's limit in a day: {through}");
    house.close();
}

#[test]
fn a_lost_registered_card_is_blocked_and_its_value_is_on_a_new_one_once() {
    let house = House::new();
    let mut shop = Shop::without_allowance();
    house.sync(&mut shop);
    let mut lost = issue(&mut shop, "blank-ev2", Some(4711));
    top_up(&mut shop, &mut lost, 90_000, None).unwrap();
    let mut new = issue(&mut shop, "blank-ev3", None);
    house.sync(&mut shop);

    let holder = Lost::Holder(HolderReference(4711.try_into().unwrap()));
    let (lost_token, new_token) = (shop.desk.token(&lost.uid()).unwrap().1, shop.desk.token(&new.uid()).unwrap().1);
    let grant = house.uplink().grant(&mut shop.desk.journal, holder, new_token, NOW).unwrap();
    assert_eq!((grant.lost, grant.amount_minor.minor()), (lost_token, 90_000));
    let kept = shop.desk.journal.grants(&signing().public_key()).unwrap();
    assert_eq!(kept, [(Some(holder), grant)], "a grant is good without a network too");
    assert_eq!(shop.desk.kept_grant(holder, new_token).unwrap(), Some(grant));
    let transfer = |shop: &mut Shop, new: &mut Pocket| {
        let work = shop.serve(new, NOW, None, |desk, field, uid, serving, random| {
            desk.transfer(field, uid, &grant, serving, random)
        });
        work.0
    };
    let (_, report) = transfer(&mut shop, &mut new).unwrap();
    assert!(matches!(report, Some(Report::Moved(moved)) if moved.balance_minor.minor() == 90_000));
    assert_eq!(new.purse(), 90_000);
    assert!(transfer(&mut shop, &mut new).is_err(), "once");
    assert_eq!(shop.desk.kept_grant(holder, new_token).unwrap(), None, "used");

    let synced = house.sync(&mut shop);
    assert_eq!(synced.kept_aside, []);
    let other = issue(&mut shop, "blank-ev1", None);
    let other_token = shop.desk.token(&other.uid()).unwrap().1;
    let twice = house.uplink().grant(&mut shop.desk.journal, Lost::Card(lost_token), other_token, NOW).unwrap_err();
    assert!(matches!(twice, UplinkError::Refused(_)), "{twice}");
    let mut books = house.close();
    assert!(books.deny_list(clock()).unwrap().cards.contains(&lost_token));
    assert_eq!(balance(&mut books, "cards:float").abs(), 90_000, "moved, not made");
}

/// A clearing house and two desks that have their allowances of it.
fn two_desks() -> (House, Shop, Shop) {
    let (house, mut shop) = (House::new(), Shop::without_allowance());
    let mut elsewhere = Shop::of_device(DESK + 1, issuer_keys());
    house.sync(&mut shop);
    house.sync(&mut elsewhere);
    (house, shop, elsewhere)
}

#[test]
fn what_was_paid_for_a_card_that_is_gone_waits_until_its_records_prove_that_it_was_not_written() {
    let exchanges = counted_top_up(&mut Shop::new(), &mut Pocket::new("adult"), 20_000, None).1;
    for is_written in [false, true] {
        let (house, mut shop, mut elsewhere) = two_desks();
        let mut card = issue(&mut elsewhere, "blank-ev2", None);
        top_up(&mut elsewhere, &mut card, 10_000, None).unwrap();
        house.sync(&mut elsewhere);

        let fault = if is_written { Fault::LoseAfter(exchanges) } else { Fault::LoseBefore(exchanges) };
        assert!(top_up(&mut shop, &mut card, 20_000, Some(fault)).is_err());
        let unknown = shop.steps().last().unwrap().id;
        house.sync(&mut shop);
        let ask = |shop: &Shop| house.uplink().is_written(&shop.desk.journal, unknown, NOW).unwrap();
        assert_eq!(ask(&shop), None, "nobody has seen the card since");

        // The rider goes to another desk.
        top_up(&mut elsewhere, &mut card, 5_000, None).unwrap();
        house.sync(&mut elsewhere);
        assert_eq!(ask(&shop), Some(is_written));
        let serving = Serving { staff: STAFF, at: NOW };
        let given_back = shop.desk.give_back(id(1), |_| Some(is_written), serving);
        match given_back {
            Ok(report) if !is_written => {
                assert_eq!(report, Report::GivenBack { action: id(1), amount_minor: Amount::from(20_000) });
            }
            Err(DeskError::Refused(Refusal::IsWritten(_))) if is_written => {}
            other => panic!("{is_written}: {other:?}"),
        }
        assert_eq!(house.sync(&mut shop).kept_aside, []);
        let mut books = house.close();
        let on_cards = if is_written { 35_000 } else { 15_000 };
        assert_eq!(i64::from(card.purse()), on_cards);
        assert_eq!(balance(&mut books, "cards:float").abs(), on_cards);
        assert_eq!(balance(&mut books, "suspense:loads"), 0);
    }
}

/// The new card is torn at its commit and the rider goes off with it: what the clearing house has by the card's own records
/// decides whether the exchange is at its end, or goes on with another new card.
#[test]
fn an_exchange_whose_torn_new_card_is_gone_goes_on_by_the_word_of_the_clearing_house() {
    let serving = Serving { staff: STAFF, at: NOW };
    let exchanges = {
        let (mut shop, mut old, mut new) = (Shop::new(), Pocket::new("adult"), Pocket::new("elderly"));
        let (old_uid, new_uid) = (old.uid(), new.uid());
        let emptied = old.present(None, |field| shop.desk.empty_old_card(field, &old_uid, serving, &mut fresh)).0;
        let load =
            |field: &mut _| shop.desk.load_new_card(field, &new_uid, emptied.as_ref().unwrap(), serving, &mut fresh);
        new.present(None, load).1
    };
    for is_written in [false, true] {
        let (house, mut shop, mut elsewhere) = two_desks();
        let mut old = issue(&mut elsewhere, "blank-ev2", None);
        top_up(&mut elsewhere, &mut old, 30_000, None).unwrap();
        let mut torn = issue(&mut elsewhere, "blank-ev3", None);
        house.sync(&mut elsewhere);

        let (old_uid, torn_uid) = (old.uid(), torn.uid());
        let emptied = old.present(None, |field| shop.desk.empty_old_card(field, &old_uid, serving, &mut fresh)).0;
        let exchange = emptied.unwrap();
        let fault = if is_written { Fault::LoseAfter(exchanges) } else { Fault::LoseBefore(exchanges) };
        let load = |field: &mut _| shop.desk.load_new_card(field, &torn_uid, &exchange, serving, &mut fresh);
        assert!(matches!(torn.present(Some(fault), load).0, Err(DeskError::Unknown { .. })));

        let step = shop.desk.torn_new_card(&exchange).unwrap().unwrap();
        let ask = |shop: &mut Shop| {
            house.sync(shop);
            house.uplink().is_written(&shop.desk.journal, step.id, NOW).unwrap()
        };
        assert_eq!(ask(&mut shop), None, "nobody has seen the card since");
        let refused = shop.desk.resolve_new_card(&exchange, &step, None, serving).unwrap_err();
        assert!(
            matches!(refused, DeskError::Refused(Refusal::NewCardUnknown(name)) if name == exchange.id),
            "{refused}"
        );

        top_up(&mut elsewhere, &mut torn, 5_000, None).unwrap();
        house.sync(&mut elsewhere);
        let written = ask(&mut shop);
        assert_eq!(written, Some(is_written));
        let resolved = shop.desk.resolve_new_card(&exchange, &step, written, serving).unwrap();
        let outcome = if is_written { ResumedOutcome::Found } else { ResumedOutcome::HalfMoved };
        assert_eq!((resolved.action, resolved.outcome), (exchange.id, outcome));
        assert_eq!(shop.desk.torn_new_card(&exchange).unwrap(), None);
        assert_eq!(shop.desk.is_open(exchange.id).unwrap(), !is_written);

        let mut another = issue(&mut elsewhere, "blank-ev1", None);
        house.sync(&mut elsewhere);
        let uid = another.uid();
        let load = |field: &mut _| shop.desk.load_new_card(field, &uid, &exchange, serving, &mut fresh);
        let loaded = another.present(None, load).0;
        assert_eq!(loaded.is_ok(), !is_written, "everything is on one card: {loaded:?}");
        assert_eq!(house.sync(&mut shop).kept_aside, []);
        assert_eq!(old.purse() + torn.purse() + another.purse(), 35_000);
        let mut books = house.close();
        assert_eq!(balance(&mut books, "cards:float").abs(), 35_000);
    }
}

#[test]
fn what_the_clearing_house_did_not_sign_is_not_believed_and_nothing_is_noted() {
    let house = House::new();
    let mut shop = Shop::new();
    let card = issue(&mut shop, "blank-ev2", None);
    let stranger = Uplink::new(&house.url, [7; 32], Duration::from_secs(30)).unwrap();
    let error = stranger.sync(&mut shop.desk.journal, NOW).unwrap_err();
    assert!(matches!(error, UplinkError::NotBelieved(_)), "{error}");
    assert_eq!(shop.desk.journal.counts().unwrap(), (2, 2));
    drop(card);
    house.close();
    let nobody = Uplink::new("http://127.0.0.1:9", signing().public_key(), Duration::from_secs(5)).unwrap();
    let error = nobody.sync(&mut shop.desk.journal, NOW).unwrap_err();
    assert!(matches!(error, UplinkError::Network(_)), "{error}");
}
