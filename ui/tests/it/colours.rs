//! Contrast by the formula of WCAG 2.2, "relative luminance" and "contrast ratio".

use slint::{Color, ComponentHandle as _};
use ui::show::Kind;
use ui::window::{Scheme, Theme, kind};

use crate::panel::Panel;

const KINDS: [Kind; 6] =
    [Kind::Idle, Kind::Accepted, Kind::Attention, Kind::Declined, Kind::PresentAgain, Kind::OutOfService];

#[test]
fn words_and_shapes_stand_out() {
    let panel = Panel::new((800, 480));
    for of in KINDS {
        let scheme = scheme(&panel, of);
        for (what, a, b) in [
            ("words on the background", scheme.ink, scheme.background),
            ("words on the band", scheme.ink, scheme.band),
            ("the shape", scheme.shape, scheme.background),
            ("the mark", scheme.mark, scheme.shape),
        ] {
            assert!(contrast(a, b) >= 4.5, "{of:?}: {what} have a contrast of {}", contrast(a, b));
        }
    }
    let theme = panel.window.global::<Theme>();
    assert!(contrast(theme.get_badge(), theme.get_badge_ink()) >= 4.5);
}

#[test]
fn accepted_and_declined_differ_in_lightness() {
    let panel = Panel::new((800, 480));
    let apart = contrast(scheme(&panel, Kind::Accepted).background, scheme(&panel, Kind::Declined).background);
    assert!(apart >= 3.0, "only {apart}");
}

/// The known answer of the definition: black on white is 21:1.
#[test]
fn contrast_of_black_and_white() {
    let contrast = contrast(Color::from_rgb_u8(0, 0, 0), Color::from_rgb_u8(255, 255, 255));
    assert!((contrast - 21.0).abs() < 1e-9);
}

fn scheme(panel: &Panel, of: Kind) -> Scheme {
    panel.window.global::<Theme>().invoke_scheme(kind(of))
}

fn contrast(a: Color, b: Color) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn luminance(colour: Color) -> f64 {
    let linear = |channel: u8| {
        let channel = f64::from(channel) / 255.0;
        if channel <= 0.04045 { channel / 12.92 } else { ((channel + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(colour.red()) + 0.7152 * linear(colour.green()) + 0.0722 * linear(colour.blue())
}
