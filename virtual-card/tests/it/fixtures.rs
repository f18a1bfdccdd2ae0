//! The project's cards, and what is said of files that make no card.

use std::path::{Path, PathBuf};

use virtual_card::{Activation, Fixture, Layout, TestKeys};

use crate::raw_reader::{AID, ISSUER, MOMENT, RawReader, VALIDATE, counting, fixture, fixtures, keys, wrap};

fn newest(name: &str, field: &str) -> i64 {
    let fixture = fixture(name);
    let records = fixture.records(&fixture.card(counting())).expect("our card");
    let layout = fixture.layout().expect("our card");
    let fields = layout.record.decode(&records[0]);
    fields.into_iter().find(|(name, _)| *name == field).expect("a field of the layout").1
}

#[test]
fn every_card_has_its_content() {
    let cards = Fixture::load_directory(&fixtures().join("cards"), &keys(), MOMENT).expect("the project's cards");
    let described: Vec<_> =
        cards.iter().map(|fixture| (fixture.name(), fixture.purse(&fixture.card(counting())))).collect();
    let expected = [
        ("adult-ev1", Some(50_000)),
        ("adult-listed", Some(50_000)),
        ("adult", Some(50_000)),
        ("blank-ev1", None),
        ("blank-ev2", None),
        ("blank-ev3", None),
        ("clash", None),
        ("classic", None),
        ("clone", Some(99_000)),
        ("denied", Some(50_000)),
        ("elderly", Some(0)),
        ("empty", Some(3_000)),
        ("expired", Some(20_000)),
        ("foreign", None),
        ("open-journey", Some(30_000)),
        ("other-line", Some(9_000)),
        ("student-pass", Some(20_000)),
        ("torn", Some(50_000)),
    ];
    assert_eq!(described, expected);

    let mut uids: Vec<_> = cards.iter().map(|fixture| fixture.identity().uid).collect();
    let desfires = cards.iter().filter(|fixture| fixture.card(counting()).activation() == Activation::Desfire);
    assert!(
        desfires.map(|fixture| fixture.identity().uid).all(|uid| uid[0] == 0x04),
        "NXP's identifiers begin with 04"
    );
    uids.sort_unstable();
    uids.dedup();
    assert_eq!(uids.len(), cards.len(), "every card has its own identifier");

    for fixture in cards.iter().filter(|fixture| fixture.layout().is_some()) {
        assert_eq!(
            Some(newest(fixture.name(), "balance_after").try_into().expect("31 bits")),
            fixture.purse(&fixture.card(counting())),
            "{}",
            fixture.name()
        );
    }
}

#[test]
fn the_layout_fills_its_files() {
    let layout = Layout::load(&fixtures().join("cards/layout-1.toml")).expect("the project's layout");
    assert_eq!((layout.record.bits(), layout.issuer.bits()), (480, 512));
}

#[test]
fn an_open_journey_began_twenty_minutes_ago() {
    let expected = [
        ("layout_version", 1),
        ("kind", 2),
        ("card_sequence", 8),
        ("tap_device", 900),
        ("tap_epoch", 1),
        ("tap_sequence", 77),
        ("time", i64::from(MOMENT.now) - 1200),
        ("line", 1),
        ("stop", 5),
    ];
    for (field, value) in expected {
        assert_eq!(newest("open-journey", field), value, "{field}");
    }
}

/// The issuer file byte by byte: version, profile, its end, then the first product.
#[test]
fn a_pass_ends_on_its_day() {
    let cases = [("student-pass", 1, 1, -18, 12), ("expired", 1, 1, -31, -1), ("other-line", 0, 6, -10, 20)];
    for (name, profile, route, from, until) in cases {
        let mut reader = RawReader::authenticated(name, VALIDATE);
        let issuer = reader.maced(0xBD, &[ISSUER, 0, 0, 0, 0, 0, 0]).expect("the issuer file");
        let day = |offset: i16| MOMENT.today.checked_add_signed(offset).expect("this century").to_be_bytes();
        assert_eq!((issuer.len(), issuer[0], issuer[1]), (64, 1, profile), "{name}");
        let profile_until = if profile == 0 { [0, 0] } else { day(300) };
        assert_eq!(issuer[2..4], profile_until, "{name}");
        assert_eq!(issuer[4..11], [&[1, 0, route][..], &day(from), &day(until)].concat(), "{name}");
    }
}

#[test]
fn errors_name_file_line_field_and_remedy() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("invalid-cards");
    std::fs::create_dir_all(&directory).expect("a directory for the test");
    let copy = |name: &str| {
        let text = std::fs::read_to_string(fixtures().join("cards").join(name)).expect("a file of the project");
        std::fs::write(directory.join(name), &text).expect("a copy");
        text
    };
    copy("layout-1.toml");
    let card = copy("adult.toml");
    let cases = [
        ("value = 50000", "value = -1", "adult.toml:8: [purse] `value` -1 is not within 0 to 2000000"),
        ("frame_size = 128", "frame_size = 99", "adult.toml:5: `frame_size` is not 64, 128 or 256 bytes"),
        ("04A1", "4A1", "adult.toml:3: `uid` is not 14 hexadecimal digits"),
        ("kind = 0", "kind = 16", "adult.toml:15: `kind`: 16 does not fit 4 bits: give 0 to 15"),
        ("kind = 0", "stop = \"here\"", "adult.toml:15: `stop`: \"here\" is a text: give a whole number"),
        ("kind = 0", "time = \"now-5\"", "adult.toml:15: `time`: \"now-5\" is no time: give Unix seconds or"),
        ("kind = 0", "time = \"now--5s\"", "adult.toml:15: `time`: \"now--5s\" is no time"),
        ("kind = 0", "color = 0", "adult.toml:15: the layout has no field `color`: use one of layout_version, kind"),
        ("[issuer]", "[issuer]\nprofile_valid_until = \"tomorrow\"", "`profile_valid_until`: \"tomorrow\" is no day"),
        ("[purse]", "[coins]", "unknown field `coins`"),
        ("layout = ", "foreign_application = ", "`foreign_application` is not 6 hexadecimal digits"),
        ("layout = \"layout-1.toml\"", "layout = \"layout-9.toml\"", "cannot read "),
    ];
    for (good, bad, expected) in cases {
        let path = directory.join("adult.toml");
        assert!(card.contains(good), "{good}");
        std::fs::write(&path, card.replace(good, bad)).expect("a changed copy");
        let error = Fixture::load(&path, &keys(), MOMENT).expect_err(bad).to_string();
        assert!(error.contains(expected), "{bad}: {error}");
    }
    let path = directory.join("keys.toml");
    let keys = std::fs::read_to_string(fixtures().join("keys/test-card-keys.toml")).expect("the project's test keys");
    std::fs::write(&path, keys.replace("\"test\"", "\"real\"")).expect("a changed copy");
    let error = TestKeys::load(&path).expect_err("real keys").to_string();
    assert!(
        error.ends_with("keys.toml:4: `class` is not \"test\": real keys never belong on a virtual card"),
        "{error}"
    );
    let missing = Fixture::load(&PathBuf::from("/nowhere/adult.toml"), &self::keys(), MOMENT);
    assert_eq!(missing.expect_err("no such file").to_string(), "cannot read /nowhere/adult.toml");
}

#[test]
fn the_application_is_ours() {
    let fixture = fixture("adult");
    assert_eq!(fixture.card(counting()).value(AID, 2), Some(50_000));
    assert_eq!(fixture.card(counting()).value([0xF0, 0x01, 0x23], 2), None);
}

/// A card that was used and saved is the same card when it is loaded: a commit, an application more, a changed key.
#[test]
fn a_saved_card_reads_back() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("saved-cards");
    std::fs::create_dir_all(&directory).expect("a directory for the test");
    std::fs::copy(fixtures().join("cards/layout-1.toml"), directory.join("layout-1.toml")).expect("a copy");
    for name in ["adult", "adult-ev1", "blank-ev1", "blank-ev3", "classic", "clash", "foreign"] {
        let fixture = fixture(name);
        let mut card = fixture.card(counting());
        if name == "adult" {
            let mut reader = RawReader::new(virtual_card::CardInField::new(card));
            reader.select().expect("our application");
            reader.authenticate(VALIDATE).expect("the right key");
            reader.debit(1234).expect("enough money");
            reader.write_record(0, &[7; 60]).expect("a whole record");
            reader.commit().expect("something to commit");
            card = reader.field.remove();
        }
        if name == "blank-ev1" {
            assert_eq!(card.handle(&wrap(0xCA, &[1, 2, 3, 0xFF, 0x42])), [0x91, 0x00], "an application of 3K3DES keys");
        }
        let path = directory.join(format!("{name}.toml"));
        fixture.save(&path, &card).expect("a directory that can be written");
        let again = Fixture::load(&path, &keys(), MOMENT).expect("what was saved");
        let loaded = again.card(counting());
        assert_eq!(loaded.memory(), card.memory(), "{name}");
        assert_eq!((loaded.identity(), loaded.activation()), (card.identity(), card.activation()), "{name}");
        assert_eq!(again.purse(&loaded), fixture.purse(&card), "{name}");
    }
    let path = directory.join("adult.toml");
    let saved = std::fs::read_to_string(&path).expect("what was saved");
    let cases = [
        ("committed = 48766", "committed = -1", "[memory]: a value is outside its limits"),
        ("record_length = 60", "record_length = 59", "[memory]: a record file does not hold what it has room for"),
        ("type = \"aes\"", "type = \"3k3des\"", "[memory]: a key is not as long as its `type` says"),
    ];
    for (good, bad, problem) in cases {
        assert!(saved.contains(good), "{good}");
        std::fs::write(&path, saved.replacen(good, bad, 1)).expect("a changed copy");
        let error = Fixture::load(&path, &keys(), MOMENT).expect_err(bad).to_string();
        assert!(error.contains(problem), "{error}");
    }
    let missing = Path::new("/nowhere/adult.toml");
    let error = fixture("adult").save(missing, &fixture("adult").card(counting())).expect_err("no such directory");
    assert_eq!(error.to_string(), "cannot write /nowhere/adult.toml");
}
