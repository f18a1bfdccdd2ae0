//! Inspect and lint: what a card holds, and what is weak about it.

use card_crypto::{
    Access, AccessRights, ChangeKeyRight, CommunicationMode, FileKind, FileNumber, FileSettings, KeyKind, KeyNumber,
    KeySettings, KeyTable,
};
use counter::desk::{Desk, Serving};
use counter::lint::{Rule, check_card_settings, check_files, check_key_table, lint};
use counter::personalise::Person;
use counter::refusal::DeskError;
use counter::report::{Answer, Report, Speaker};
use counter::session::Generation;
use counter::words::Language;
use key_store::Keys;
use transit::card::{APPLICATION, Profile};
use virtual_card::CardInField;

use crate::world::{NOW, Pocket, STAFF, Shop, fresh, later, tariff};

fn inspect(shop: &mut Shop, pocket: &mut Pocket) -> Result<Report, DeskError> {
    let uid = pocket.uid();
    let desk: &mut Desk<Keys> = &mut shop.desk;
    pocket.present(None, |field: &mut CardInField| desk.inspect(field, &uid, NOW, &mut fresh)).0
}

fn said(report: Report, language: Language) -> String {
    Speaker { language, tariffs: &tariff().into() }.say(&Answer { resumed: vec![], report })
}

#[test]
fn a_card_is_shown_in_vietnamese_in_english_and_as_json() {
    let mut shop = Shop::new();
    let report = inspect(&mut shop, &mut Pocket::new("student-pass")).unwrap();
    let vietnamese = said(report.clone(), Language::Vi);
    for text in ["Số dư:", "20.000\u{a0}₫", "Học sinh, sinh viên", "Vé tháng một tuyến BRT 01", "được", "Phát hành"]
    {
        assert!(vietnamese.contains(text), "`{text}` is not in\n{vietnamese}");
    }
    let english = said(report.clone(), Language::En);
    for text in ["Balance:", "Pupil or student", "Monthly pass, one line BRT 01", "valid", "BRT 01: yes, 0\u{a0}₫"] {
        assert!(english.contains(text), "`{text}` is not in\n{english}");
    }
    let json = serde_json::to_value(Answer { resumed: vec![], report }).unwrap();
    assert_eq!(json["done"], "inspected");
    assert_eq!(json["balance_minor"], 20_000);
    assert_eq!(json["passes"][0]["is_valid"], true);
    assert_eq!(json["verdicts"][0]["fare_minor"], 0);
    assert!(shop.steps().is_empty(), "looking writes nothing");
}

#[test]
fn the_verdict_is_that_of_a_validator() {
    let mut shop = Shop::new();
    let empty = inspect(&mut shop, &mut Pocket::new("empty")).unwrap();
    assert!(said(empty.clone(), Language::Vi).contains("không đủ tiền"));
    assert!(said(empty, Language::En).contains("not enough value"));
    let foreign = inspect(&mut shop, &mut Pocket::new("foreign")).unwrap_err();
    assert_eq!(foreign.to_string(), "not a card of this system");
    let clone = inspect(&mut shop, &mut Pocket::new("clone")).unwrap_err();
    assert!(clone.to_string().contains("not a genuine card"), "{clone}");
}

#[test]
fn older_records_are_shown_newest_first() {
    let (mut shop, mut pocket) = (Shop::new(), Pocket::new("adult"));
    for seconds in [0, 60] {
        let work = |desk: &mut Desk<Keys>,
                    field: &mut CardInField,
                    uid: &[u8; 7],
                    serving,
                    random: counter::session::Random<'_>| {
            desk.top_up(field, uid, transit::money::Amount::from(10_000), serving, random)
        };
        shop.serve(&mut pocket, later(seconds), None, work).0.unwrap();
    }
    let Report::Inspected(card) = inspect(&mut shop, &mut pocket).unwrap() else { panic!() };
    let balances: Vec<i64> = card.records.iter().map(|record| record.balance_after_minor.minor()).collect();
    assert_eq!(balances[..3], [70_000, 60_000, 50_000]);
}

/// The settings of a right card, as GetFileSettings gives them.
fn right_files() -> Vec<(FileNumber, FileSettings)> {
    let rights = |read: u8, read_write: u8| AccessRights {
        read: Access::Key(KeyNumber::new(read).unwrap()),
        write: Access::Never,
        read_write: Access::Key(KeyNumber::new(read_write).unwrap()),
        change: Access::Key(KeyNumber::MASTER),
    };
    let file = |number: u8, rights, kind| {
        let settings = FileSettings { mode: CommunicationMode::Mac, option: 1, rights, kind, other: vec![] };
        (FileNumber::new(number).unwrap(), settings)
    };
    let never = AccessRights {
        read: Access::Never,
        write: Access::Never,
        read_write: Access::Never,
        change: Access::Key(KeyNumber::MASTER),
    };
    let records = card_crypto::file_settings::Records { record_length: 60, records_max: 12, records: 1 };
    vec![
        file(1, rights(2, 3), FileKind::BackupData { length: 64 }),
        file(
            2,
            rights(2, 3),
            FileKind::Value {
                lower_limit: 0,
                upper_limit: 2_000_000,
                limited_credit_value: 0,
                limited_credit: false,
                free_get_value: false,
            },
        ),
        file(3, rights(1, 2), FileKind::CyclicRecord(records)),
        file(15, never, FileKind::TransactionMac { key_option: 2, key_version: 1, counter_limit: None }),
    ]
}

#[test]
fn every_weak_setting_of_a_file_is_found_and_named() {
    let rules = |files: &[_], generation| -> Vec<Rule> {
        check_files(files, generation).iter().map(|finding| finding.rule).collect()
    };
    assert_eq!(rules(&right_files(), Generation::Ev2), []);
    assert_eq!(rules(&right_files()[..3], Generation::Ev1), []);
    assert_eq!(rules(&right_files()[..3], Generation::Ev3), [Rule::FilesOfLayout]);
    assert_eq!(rules(&right_files()[1..], Generation::Ev2), [Rule::FilesOfLayout]);

    type Change = fn(&mut Vec<(FileNumber, FileSettings)>);
    let table: [(Change, Rule); 13] = [
        (|files| files[0].1.mode = CommunicationMode::Plain, Rule::MacMode),
        (|files| files[1].1.mode = CommunicationMode::Full, Rule::MacMode),
        (|files| files[2].1.rights.read = Access::Free, Rule::NoFreeRight),
        (|files| files[1].1.rights.read = Access::Key(KeyNumber::new(1).unwrap()), Rule::RightsOfLayout),
        (|files| files[1].1.rights.read_write = Access::Key(KeyNumber::new(2).unwrap()), Rule::RightsOfLayout),
        (|files| files[0].1.rights.change = Access::Key(KeyNumber::new(3).unwrap()), Rule::RightsOfLayout),
        (|files| files[3].1.rights.read_write = Access::Free, Rule::NoFreeRight),
        (|files| files[2].1.option |= 0x80, Rule::NoFurtherRights),
        (|files| value(files, |_, _, limited, _| *limited = true), Rule::NoLimitedCredit),
        (|files| value(files, |_, _, _, free| *free = true), Rule::NoFreeGetValue),
        (|files| value(files, |lower, _, _, _| *lower = -10_000), Rule::PurseLimits),
        (|files| value(files, |_, upper, _, _| *upper = i32::MAX), Rule::PurseLimits),
        (|files| files[0].1.kind = FileKind::StandardData { length: 64 }, Rule::KindAndSize),
    ];
    for (index, (change, rule)) in table.into_iter().enumerate() {
        let mut files = right_files();
        change(&mut files);
        assert_eq!(rules(&files, Generation::Ev2), [rule], "case {index}");
    }
    let mut more = right_files();
    let another = (FileNumber::new(9).unwrap(), more[0].1.clone());
    more.push(another);
    assert_eq!(rules(&more, Generation::Ev2), [Rule::NoOtherFile]);
}

fn value(files: &mut [(FileNumber, FileSettings)], change: impl Fn(&mut i32, &mut i32, &mut bool, &mut bool)) {
    if let FileKind::Value { lower_limit, upper_limit, limited_credit, free_get_value, .. } = &mut files[1].1.kind {
        change(lower_limit, upper_limit, limited_credit, free_get_value);
    }
}

#[test]
fn every_weak_key_setting_of_card_and_application_is_found_and_named() {
    type Check = fn(&KeyTable) -> Vec<counter::lint::Finding>;
    let key = |number| ChangeKeyRight::Key(KeyNumber::new(number).unwrap());
    let levels: [(&str, &str, KeySettings, Check); 2] = [
        ("card", "applications", KeySettings::CLOSED, check_card_settings),
        ("application", "files", KeySettings::from_byte(APPLICATION.key_settings), check_key_table),
    ];
    for (place, contents, right, check) in levels {
        let table = |settings| KeyTable { settings, number_of_keys: 4, kind: KeyKind::Aes, other: vec![] };
        assert_eq!(check(&table(right)), [], "{place}");
        let weak = [
            (KeySettings { free_listing: true, ..right }, format!("tells its {contents} to everybody")),
            (KeySettings { free_create_delete: true, ..right }, format!("lets everybody make and delete {contents}")),
            (KeySettings { settings_changeable: false, ..right }, "its key settings are frozen".to_owned()),
            (KeySettings { settings_changeable: true, ..right }, "its key settings can be changed".to_owned()),
            (KeySettings { master_key_changeable: false, ..right }, "its master key can never be changed".to_owned()),
            (KeySettings { change_key: ChangeKeyRight::Same, ..right }, "every key can change itself".to_owned()),
            (KeySettings { change_key: ChangeKeyRight::Frozen, ..right }, "its keys can never be changed".to_owned()),
            (KeySettings { change_key: key(2), ..right }, "key 2 changes its keys".to_owned()),
        ];
        for (settings, found) in weak.into_iter().filter(|(settings, _)| *settings != right) {
            let findings = check(&table(settings));
            assert_eq!(findings.len(), 1, "{place}: {found}");
            assert_eq!((findings[0].rule, &findings[0].found), (Rule::KeySettings, &found), "{place}");
            assert_eq!(findings[0].place, place);
        }
        let open = KeySettings { free_listing: true, free_create_delete: true, change_key: key(1), ..right };
        assert_eq!(check(&table(open)).len(), 3, "{place}: each is named");
        let not_aes = KeyTable { kind: KeyKind::TripleDes, ..table(right) };
        assert_eq!(check(&not_aes).len(), 1, "{place}");
    }
    let right = KeySettings::from_byte(APPLICATION.key_settings);
    let few = KeyTable { settings: right, number_of_keys: 3, kind: KeyKind::Aes, other: vec![] };
    assert_eq!(check_key_table(&few)[0].rule, Rule::KeysOfLayout);
}

/// The settings of a card itself, changed after its issue by somebody with its master key.
#[test]
fn a_card_whose_own_settings_were_changed_is_named_by_the_linter() {
    use card_crypto::{Aid, Card, FrameSize};
    let closed = KeySettings::CLOSED;
    for (settings, found) in [
        (KeySettings { settings_changeable: false, ..closed }, "its key settings are frozen"),
        (KeySettings { free_create_delete: true, ..closed }, "lets everybody make and delete applications"),
        (KeySettings { free_listing: true, ..closed }, "tells its applications to everybody"),
        (KeySettings { master_key_changeable: false, ..closed }, "its master key can never be changed"),
    ] {
        let (mut shop, mut pocket) = (Shop::new(), Pocket::new("blank-ev2"));
        let (uid, serving) = (pocket.uid(), Serving { staff: STAFF, at: NOW });
        let person = Person { profile: Profile::Ordinary, profile_valid_until: None, holder: None };
        pocket.present(None, |field| shop.desk.issue(field, &uid, person, serving, &mut fresh)).0.unwrap();
        let keys = crate::world::issuer_keys();
        let role = key_store::KeyRole::CardMaster;
        let master = keys.card_key(role, keys.versions(role)[0], &uid).unwrap();
        let changed = pocket.present(None, |field| {
            let mut card = Card::new(field, FrameSize::Bytes128);
            card.select_application(Aid::PICC)?;
            let mut card = card.authenticate_ev2_first(KeyNumber::MASTER, &master, [7; 16])?;
            card.change_key_settings(settings)
        });
        changed.0.unwrap();
        let findings = pocket.present(None, |field| lint(field, &uid, &mut shop.desk.keys, &mut fresh)).0.unwrap();
        let found_there: Vec<_> = findings.iter().map(|finding| (finding.rule, finding.found.as_str())).collect();
        assert_eq!(found_there, [(Rule::KeySettings, found)]);
    }
}

#[test]
fn a_card_that_was_just_issued_is_right_and_one_with_old_keys_is_named() {
    let (mut shop, mut pocket) = (Shop::new(), Pocket::new("blank-ev3"));
    let (uid, serving) = (pocket.uid(), Serving { staff: STAFF, at: NOW });
    let person = Person { profile: Profile::Ordinary, profile_valid_until: None, holder: None };
    pocket.present(None, |field| shop.desk.issue(field, &uid, person, serving, &mut fresh)).0.unwrap();
    let findings = pocket.present(None, |field| lint(field, &uid, &mut shop.desk.keys, &mut fresh)).0.unwrap();
    assert_eq!(findings, []);
}

#[test]
fn a_newer_key_version_is_laid_in_the_spare_set_and_torn_it_is_laid_again() {
    use virtual_card::Fault;
    let issue = || {
        let (mut shop, mut pocket) = (Shop::new(), Pocket::new("blank-ev2"));
        let (uid, serving) = (pocket.uid(), Serving { staff: STAFF, at: NOW });
        let person = Person { profile: Profile::Ordinary, profile_valid_until: None, holder: None };
        pocket.present(None, |field| shop.desk.issue(field, &uid, person, serving, &mut fresh)).0.unwrap();
        let mut rolled = crate::world::issuer_keys();
        let mut next = 0;
        rolled
            .roll(key_store::KeyRole::Validate, &mut |bytes: &mut [u8]| {
                bytes.fill_with(|| {
                    next += 1;
                    next
                })
            })
            .unwrap();
        (Shop::with_keys(rolled), pocket, uid)
    };
    let (mut shop, mut pocket, uid) = issue();
    let (report, exchanges) = pocket.present(None, |field| shop.desk.load_key_set(field, &uid, &mut fresh));
    assert!(matches!(report.unwrap(), Report::KeySetLoaded { is_newer: true, set_version: 1, .. }));
    // A validator rolls to it at a tap; then the desk reads the card under the new version, and the linter is content.
    let old = crate::world::issuer_keys().card_key(key_store::KeyRole::Validate, 0, &uid).unwrap();
    let rolled = pocket.present(None, |field| {
        let mut card = card_crypto::Card::new(field, card_crypto::FrameSize::Bytes128);
        card.select_application(card_crypto::Aid(crate::world::AID))?;
        let card = card.authenticate_ev2_first(KeyNumber::new(2).unwrap(), &old, [7; 16])?;
        card.roll_key_set(card_crypto::KeySetNumber::new(1).unwrap()).map(drop)
    });
    rolled.0.unwrap();
    inspect(&mut shop, &mut pocket).unwrap();
    let findings = pocket.present(None, |field| lint(field, &uid, &mut shop.desk.keys, &mut fresh)).0.unwrap();
    assert_eq!(findings, []);
    let (report, _) = pocket.present(None, |field| shop.desk.load_key_set(field, &uid, &mut fresh));
    assert!(matches!(report.unwrap(), Report::KeySetLoaded { is_newer: false, .. }));

    for exchange in 1..=exchanges {
        for fault in [Fault::LoseBefore(exchange), Fault::LoseAfter(exchange)] {
            let (mut shop, mut pocket, uid) = issue();
            let torn = pocket.present(Some(fault), |field| shop.desk.load_key_set(field, &uid, &mut fresh)).0;
            assert!(torn.is_err(), "{fault:?}");
            pocket.present(None, |field| shop.desk.load_key_set(field, &uid, &mut fresh)).0.unwrap();
            inspect(&mut shop, &mut pocket).unwrap_or_else(|error| panic!("the old keys still open it: {error}"));
        }
    }
    println!("key set: {} tears", 2 * exchanges);
}

#[test]
fn an_ev1_card_has_one_key_set() {
    let (mut shop, mut pocket) = (Shop::new(), Pocket::new("adult-ev1"));
    let uid = pocket.uid();
    let refused = pocket.present(None, |field| shop.desk.load_key_set(field, &uid, &mut fresh)).0.unwrap_err();
    assert!(matches!(refused, DeskError::Refused(counter::refusal::Refusal::OneKeySet)), "{refused}");
}
