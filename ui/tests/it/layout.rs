//! Every text fits where it stands, at its full size.

use i_slint_backend_testing::ElementHandle;
use slint::ComponentHandle as _;
use ui::show::{View, view};
use ui::window::Theme;

use crate::cases::{self, accepted, screen};
use crate::panel::Panel;

/// Type sizes on a panel 480 pixels high: a verdict or fare, and anything else a passenger must read.
const VERDICT_PX: f32 = 90.0;
const WORDS_PX: f32 = 45.0;
/// Height of a line of Noto Sans in ems (ascender 1.069, descender 0.293).
const LINE_EM: f32 = 1.362;
/// How far the box of an English headline goes beyond its letters.
const ABOVE_AND_BELOW_PX: f32 = 8.0;

#[test]
fn catalogue_fits_800x480() {
    every_text_fits((800, 480));
}

/// The narrower of the two shapes of panel: 96 units to 100.
#[test]
fn catalogue_fits_1280x800() {
    every_text_fits((1280, 800));
}

fn every_text_fits(size: (u32, u32)) {
    let panel = Panel::new(size);
    let pixels = |unit_px: f32| unit_px * panel.window.global::<Theme>().get_unit() / 8.0;
    for (name, view) in cases::all() {
        panel.show(&view);
        let what = |text: &ElementHandle| format!("{name}: {:?}", text.accessible_label());
        for text in find(&panel, "FitText::shown") {
            let type_px = text.size().height / LINE_EM;
            assert!(type_px >= pixels(WORDS_PX) - 0.5, "{} shrank to {type_px} px", what(&text));
            let is_fare =
                view.figure.as_ref().is_some_and(|fare| text.accessible_label().as_deref() == Some(&fare.value));
            assert!(!is_fare || type_px >= pixels(VERDICT_PX), "{} is only {type_px} px", what(&text));
            inside(&text, size, &what(&text));
        }
        for headline in find(&panel, "Verdict::headline") {
            assert!(headline.size().height < 3.0 * pixels(VERDICT_PX), "{} takes three lines", what(&headline));
            assert!(headline.absolute_position().y >= header_bottom(&panel), "{} meets the header", what(&headline));
            let english = find_label(&panel, &view.headline.en);
            let bottom = english.absolute_position().y + english.size().height - pixels(ABOVE_AND_BELOW_PX);
            assert!(bottom <= details_top(&panel), "{} meets the details", what(&english));
        }
        for id in ["LabelledRow::vi", "LabelledRow::en"] {
            for label in find(&panel, id) {
                inside(&label, size, &what(&label));
            }
        }
    }
}

#[test]
fn huge_amounts_shrink_and_stay_inside() {
    let size = (800, 480);
    let panel = Panel::new(size);
    let huge = accepted(|tap| (tap.fare, tap.balance) = (i64::MAX, i64::MIN));
    panel.show(&view(&huge));
    let texts = find(&panel, "FitText::shown");
    assert!(texts.len() >= 5, "verdict, label twice, fare and balance are there");
    for text in texts {
        inside(&text, size, &format!("{:?}", text.accessible_label()));
    }
}

#[test]
fn a_long_stop_name_leaves_the_offline_badge_in_place() {
    let panel = Panel::new((800, 480));
    let mut long = screen(transit::screen::State::Idle);
    long.offline = true;
    let badge = |view: &View| {
        panel.show(view);
        find_label(&panel, "Offline")
    };
    let short = badge(&view(&long)).absolute_position();
    long.stop = "Trạm trung chuyển Nguyễn Văn Cừ – đối diện Bến xe Giáp Bát".repeat(3);
    assert_eq!(badge(&view(&long)).absolute_position(), short);
}

fn find(panel: &Panel, id: &str) -> Vec<ElementHandle> {
    ElementHandle::find_by_element_id(&panel.window, id).collect()
}

fn header_bottom(panel: &Panel) -> f32 {
    let header = ElementHandle::find_by_element_type_name(&panel.window, "Header").next().unwrap();
    header.absolute_position().y + header.size().height
}

fn details_top(panel: &Panel) -> f32 {
    let details = ElementHandle::find_by_element_type_name(&panel.window, "Details").next().unwrap();
    details.absolute_position().y
}

fn find_label(panel: &Panel, label: &str) -> ElementHandle {
    ElementHandle::find_by_accessible_label(&panel.window, label).next().unwrap()
}

fn inside(element: &ElementHandle, (width, height): (u32, u32), what: &str) {
    let (position, size) = (element.absolute_position(), element.size());
    #[expect(clippy::cast_precision_loss, reason = "panels are thousands of pixels wide, not millions")]
    let (width, height) = (width as f32, height as f32);
    assert!(position.x >= 0.0 && position.x + size.width <= width, "{what} leaves the panel: {position:?} {size:?}");
    assert!(
        position.y >= 0.0 && position.y + size.height <= height + 8.0,
        "{what} leaves the panel: {position:?} {size:?}"
    );
}
