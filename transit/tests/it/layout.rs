//! The layout in the code, in docs/card-layout.md and in fixtures/cards/layout-1.toml is one.

use transit::card::{
    APPLICATION, APPLICATION_ID, FileKind, ISSUER_FIELDS, ISSUER_LEN, KEY_TRANSACTION_MAC, Mode, PRODUCTS,
    RECORD_FIELDS, Right, SYSTEM_ID,
};

const DOCUMENT: &str = include_str!("../../../docs/card-layout.md");

fn documented(row: &str) {
    assert!(DOCUMENT.contains(row), "docs/card-layout.md lacks `{row}`");
}

fn right(right: Right) -> String {
    match right {
        Right::Key(number) => format!("{number:X}"),
        Right::Free => "E".to_owned(),
        Right::Never => "F".to_owned(),
    }
}

#[test]
fn the_document_has_the_record() {
    let mut at = 0;
    for (name, width) in RECORD_FIELDS {
        documented(&format!("| {at} | {width} | `{name}` |"));
        at += width;
    }
}

#[test]
fn the_document_has_the_issuer_file() {
    let product_len: usize = ISSUER_FIELDS[3..].iter().map(|(_, length)| length).sum();
    let mut at = 0;
    for (index, (name, length)) in ISSUER_FIELDS.into_iter().enumerate() {
        let place = if index < 3 { at.to_string() } else { format!("{at} + {product_len} n") };
        documented(&format!("| {place} | {length} | `{name}` |"));
        at += length;
    }
    assert_eq!(at + (PRODUCTS - 1) * product_len, ISSUER_LEN);
}

#[test]
fn the_document_has_keys_files_and_settings() {
    for (number, key) in APPLICATION.keys.iter().enumerate() {
        assert_eq!(usize::from(key.number), number, "keys are numbered without a gap");
        documented(&format!("| {number} | `{}` | {} |", key.name, key.role));
    }
    for file in APPLICATION.files {
        let (kind, size) = match file.kind {
            FileKind::BackupData { length } => ("backup data", format!("{length} bytes")),
            FileKind::Value { lower_limit, upper_limit, limited_credit: false, free_value: false } => {
                let off = "limited credit off, free GetValue off";
                ("value", format!("{lower_limit} to {upper_limit} minor units, {off}"))
            }
            FileKind::Value { .. } => panic!("a value file that gives money or its balance away"),
            FileKind::CyclicRecords { record_length, slots } => {
                ("cyclic records", format!("{slots} × {record_length} bytes, {} kept", slots - 1))
            }
            FileKind::TransactionMac => ("Transaction MAC", "kept by the card".to_owned()),
        };
        let rights = [file.rights.read, file.rights.write, file.rights.read_write, file.rights.change].map(right);
        assert_eq!(file.mode, Mode::Mac);
        let (number, name) = (file.number, file.name);
        documented(&format!("| {number:02X} | `{name}` | {kind} | {} | MAC | {size} |", rights.join(" / ")));
    }
    documented(&format!("| key settings (KeySett1) | `{:02X}` |", APPLICATION.key_settings));
    documented(&format!("| key sets | {} |", APPLICATION.key_sets));
    documented(&format!("| roll key | {} |", APPLICATION.roll_key));
    documented(&format!("Application identifier `{}`", APPLICATION_ID.map(|byte| format!("{byte:02X}")).join(" ")));
}

/// The fixtures pin the layout from outside of the code.
#[test]
fn the_fixtures_have_the_layout() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/cards/layout-1.toml");
    let layout: toml::Table = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let fields = |name: &str| -> Vec<(String, i64)> {
        let fields = layout[name].as_array().unwrap().iter();
        fields.map(|field| (field["name"].as_str().unwrap().into(), field["bits"].as_integer().unwrap())).collect()
    };
    let bits = |length: usize| i64::try_from(length).unwrap();
    let record: Vec<_> = RECORD_FIELDS.iter().map(|(name, width)| ((*name).to_owned(), bits(*width))).collect();
    assert_eq!(fields("record"), record);

    let (head, product) = ISSUER_FIELDS.split_at(3);
    let mut issuer: Vec<_> = head.iter().map(|(name, length)| ((*name).to_owned(), bits(8 * length))).collect();
    for number in 1..=PRODUCTS {
        let numbered = |name: &str| name.replacen("product", &format!("product{number}"), 1);
        issuer.extend(product.iter().map(|(name, length)| (numbered(name), bits(8 * length))));
    }
    assert_eq!(fields("issuer"), issuer);

    assert_eq!(layout["aid"].as_str(), Some(&*hex::encode_upper(APPLICATION_ID)));
    assert_eq!(layout["system"].as_str().map(str::as_bytes), Some(&SYSTEM_ID[..]));
    assert_eq!(layout["transaction_mac_key_number"].as_integer(), Some(i64::from(KEY_TRANSACTION_MAC)));
    let keys: Vec<_> = layout["keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
    assert_eq!(keys, APPLICATION.keys.iter().map(|key| key.name).collect::<Vec<_>>());
    for file in APPLICATION.files {
        let stated = &layout[&format!("{}_file", file.name)];
        assert_eq!(stated["number"].as_integer(), Some(i64::from(file.number)), "{}", file.name);
        assert_eq!(stated["mode"].as_str(), Some("mac"), "{}", file.name);
        let rights = [file.rights.read, file.rights.write, file.rights.read_write, file.rights.change];
        for (name, right) in ["read", "write", "read_write", "change"].into_iter().zip(rights) {
            let stated = &stated["rights"][name];
            match right {
                Right::Key(number) => assert_eq!(stated.as_integer(), Some(i64::from(number)), "{} {name}", file.name),
                Right::Free => assert_eq!(stated.as_str(), Some("free"), "{} {name}", file.name),
                Right::Never => assert_eq!(stated.as_str(), Some("never"), "{} {name}", file.name),
            }
        }
        if let FileKind::CyclicRecords { slots, .. } = file.kind {
            assert_eq!(stated["slots"].as_integer(), Some(i64::from(slots)));
        }
    }
}
