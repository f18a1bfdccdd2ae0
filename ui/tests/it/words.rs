//! What the screen says.

use transit::screen::{DeclineReason, State, Way};
use ui::show::{Kind, View, view};
use ui::words::{self, Bilingual};

use crate::cases::{self, accepted, day, declined, pass, screen};

fn text(vi: &str, en: &str) -> Option<Bilingual> {
    Some(Bilingual::new(vi, en))
}

fn amounts(view: &View) -> Vec<&str> {
    view.figure.iter().chain(&view.lines).map(|line| line.value.as_str()).collect()
}

#[test]
fn a_purse_pays() {
    let view = view(&accepted(|_| ()));
    assert_eq!((view.kind, view.name), (Kind::Accepted, "accepted"));
    assert_eq!(view.headline, Bilingual::new("Mời qua", "Go ahead"));
    assert_eq!(amounts(&view), ["8.000\u{a0}₫", "42.000\u{a0}₫"]);
    assert_eq!(view.note, None);
}

#[test]
fn a_gate_says_which_way() {
    let table = [
        (
            Way::In,
            "accepted-in",
            Bilingual::new("Mời vào", "Come in"),
            text("Nhớ đặt thẻ khi ra", "Tap again when you leave"),
        ),
        (Way::Out, "accepted-out", Bilingual::new("Mời ra", "Way out is open"), None),
    ];
    for (way, name, headline, note) in table {
        let view = view(&accepted(|tap| tap.way = Some(way)));
        assert_eq!(amounts(&view), ["8.000\u{a0}₫", "42.000\u{a0}₫"]);
        assert_eq!((view.kind, view.name, view.headline, view.note), (Kind::Accepted, name, headline, note));
    }
    let recovered = view(&accepted(|tap| (tap.way, tap.recovered) = (Some(Way::In), true)));
    assert_eq!(recovered.note, text("Đã trừ ở lần đặt thẻ trước", "Charged by your earlier tap"));
}

#[test]
fn a_pass_rides() {
    for (days, until, expected) in [
        (12, "2026-12-05", text("Còn 12 ngày, đến 05/12/2026", "12 days left, to 5 Dec 2026")),
        (1, "2026-12-31", text("Còn 1 ngày, đến 31/12/2026", "1 day left, to 31 Dec 2026")),
        (0, "2026-11-30", text("Ngày cuối: 30/11/2026", "Last day: 30 Nov 2026")),
    ] {
        let view = view(&accepted(|tap| (tap.fare, tap.pass) = (0, pass(days, until))));
        assert_eq!(view.note, expected);
        assert_eq!(view.figure.unwrap().label, words::pass());
    }
}

/// One note fits: what was ridden on goes before why it cost what it did.
#[test]
fn the_most_useful_note_is_shown() {
    let everything = |tap: &mut cases::Accepted| {
        tap.pass = pass(12, "2026-12-05");
        tap.concession = Some(transit::card::Profile::SixtyPlus);
        tap.recovered = true;
        tap.expired_pass = Some(day("2026-11-22"));
    };
    type Drop = fn(&mut cases::Accepted);
    let drops: [Drop; 4] = [
        |tap| tap.pass = None,
        |tap| tap.concession = None,
        |tap| tap.recovered = false,
        |tap| tap.expired_pass = None,
    ];
    let notes: Vec<Option<Bilingual>> = (0..=drops.len())
        .map(|dropped| {
            view(&accepted(|tap| {
                everything(tap);
                drops[..dropped].iter().for_each(|drop| drop(tap));
            }))
            .note
        })
        .collect();
    assert_eq!(
        notes,
        [
            text("Còn 12 ngày, đến 05/12/2026", "12 days left, to 5 Dec 2026"),
            text("Người từ 60 tuổi", "Aged 60 and over"),
            text("Đã trừ ở lần đặt thẻ trước", "Charged by your earlier tap"),
            text("Vé tháng hết hạn 22/11/2026", "Pass expired 22 Nov 2026"),
            None,
        ]
    );
}

#[test]
fn too_little_money_says_how_little() {
    let view = view(&declined(DeclineReason::NotEnough));
    assert_eq!(view.name, "declined-not-enough");
    assert_eq!(amounts(&view), ["3.000\u{a0}₫", "8.000\u{a0}₫"]);
}

#[test]
fn offline_changes_only_the_badge() {
    for state in [State::Idle, State::PresentAgain] {
        let online = screen(state);
        let offline = transit::screen::Screen { offline: true, ..online.clone() };
        let expected = View { offline: text("Ngoại tuyến", "Offline"), ..view(&online) };
        assert_eq!(view(&offline), expected);
    }
}

/// A passenger who reads one language only is told everything, and no two reasons read alike.
#[test]
fn every_text_is_in_both_languages() {
    let mut told = std::collections::BTreeMap::new();
    for (name, view) in cases::all() {
        let labels = view.figure.iter().chain(&view.lines).map(|line| &line.label);
        let texts = labels.chain(view.note.iter()).chain(view.cause.iter()).chain(view.offline.iter());
        for text in texts.chain([&view.headline]) {
            assert!(!text.vi.trim().is_empty() && !text.en.trim().is_empty(), "{name}: {text:?}");
            assert_ne!(text.vi, text.en, "{name}");
            assert!(text.en.is_ascii(), "{name}: {text:?} is not English");
        }
        let all =
            format!("{:?} {:?} {:?} {:?} {:?}", view.headline, view.note, view.cause, view.offline, amounts(&view));
        if let Some(other) = told.insert(all, name.clone()) {
            panic!("{name} reads like {other}");
        }
    }
}
