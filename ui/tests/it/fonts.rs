//! The fonts have every character of every text, and unpack whole.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ttf_parser::Face;

const FONTS: [(&str, &[u8]); 2] = [
    ("Regular", include_bytes!("../../fonts/NotoSans-Regular.ttf")),
    ("Bold", include_bytes!("../../fonts/NotoSans-Bold.ttf")),
];
/// Composed Vietnamese letters with the most accents, and what amounts are written with: a stop may be called anything.
const EXPECTED: &str = "ẰẮẲẴẶằắẳẵặẦẤẨẪẬầấẩẫậỀẾỂỄỆềếểễệỒỐỔỖỘồốổỗộỜỚỞỠỢờớởỡợỪỨỬỮỰừứửữựỲÝỶỸỴĐđ 0123456789.,–\u{a0}₫…";

#[test]
fn every_character_is_in_both_fonts() {
    let sources = ["src/words.rs", "src/show.rs", "ui"].map(|path| Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    let mut characters: BTreeSet<char> = EXPECTED.chars().collect();
    for source in sources {
        let files = if source.is_dir() {
            fs::read_dir(&source).unwrap().map(|entry| entry.unwrap().path()).collect()
        } else {
            vec![source]
        };
        for file in files {
            characters.extend(fs::read_to_string(&file).unwrap().chars().filter(|c| !c.is_control()));
        }
    }
    assert!(characters.contains(&'ẻ'), "the catalogue is Vietnamese");
    for (name, bytes) in FONTS {
        let face = Face::parse(bytes, 0).unwrap();
        let missing: String = characters.iter().filter(|c| face.glyph_index(**c).is_none()).collect();
        assert!(missing.is_empty(), "Noto Sans {name} lacks {missing:?}");
    }
}

#[test]
fn unpacks_a_configuration_beside_its_fonts() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("cham-ui");
    fs::create_dir_all(&target).unwrap();
    fs::write(target.join("NotoSans-Bold.ttf"), "half a fo").unwrap();
    let configuration = ui::fonts::unpack(&target).unwrap();
    assert_eq!(configuration, target.join("fonts.conf"));
    let mut found: Vec<String> =
        fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    assert_eq!(found, ["NotoSans-Bold.ttf", "NotoSans-Regular.ttf", "fonts.conf"]);
    for (name, bytes) in FONTS {
        assert_eq!(fs::read(target.join(format!("NotoSans-{name}.ttf"))).unwrap(), bytes);
    }
    assert_eq!(ui::fonts::unpack(&target).unwrap(), configuration, "and again, over itself");
}
