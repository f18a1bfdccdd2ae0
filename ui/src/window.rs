//! Puts a [`View`] on the window.

use std::rc::Rc;

use slint::VecModel;

pub use crate::generated::{AppWindow, Kind, Scheme, Theme};
use crate::generated::{Bilingual, Line, PassengerAdapter};
use crate::show::{self, View};
use crate::words;

/// Shows `view` on `window`, whole. Call it on the thread of the event loop.
pub fn apply(window: &AppWindow, view: &View) {
    use slint::ComponentHandle as _;
    let passenger = window.global::<PassengerAdapter>();
    passenger.set_kind(kind(view.kind));
    passenger.set_headline(bilingual(&view.headline));
    passenger.set_has_figure(view.figure.is_some());
    passenger.set_figure(view.figure.as_ref().map(line).unwrap_or_default());
    passenger.set_lines(Rc::new(view.lines.iter().map(line).collect::<VecModel<_>>()).into());
    passenger.set_has_note(view.note.is_some());
    passenger.set_note(optional(view.note.as_ref()));
    passenger.set_has_cause(view.cause.is_some());
    passenger.set_cause(optional(view.cause.as_ref()));
    passenger.set_offline(view.offline.is_some());
    passenger.set_offline_badge(optional(view.offline.as_ref()));
    passenger.set_line_name(view.line.as_str().into());
    passenger.set_stop_name(view.stop.as_str().into());
}

/// The toolkit's name of `kind`.
pub fn kind(kind: show::Kind) -> Kind {
    match kind {
        show::Kind::Idle => Kind::Idle,
        show::Kind::Accepted => Kind::Accepted,
        show::Kind::Attention => Kind::Attention,
        show::Kind::Declined => Kind::Declined,
        show::Kind::PresentAgain => Kind::PresentAgain,
        show::Kind::OutOfService => Kind::OutOfService,
    }
}

fn line(line: &show::Line) -> Line {
    Line { label: bilingual(&line.label), value: line.value.as_str().into() }
}

fn optional(text: Option<&words::Bilingual>) -> Bilingual {
    text.map(bilingual).unwrap_or_default()
}

fn bilingual(text: &words::Bilingual) -> Bilingual {
    Bilingual { vi: text.vi.as_str().into(), en: text.en.as_str().into() }
}
