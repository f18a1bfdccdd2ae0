//! The validator's socket: whatever is written on it, and whenever it comes and goes.

use std::io::{Cursor, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixListener;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use transit::screen::State;
use ui::feed::{BACK_OFF_FIRST, BACK_OFF_MAX, LINE_MAX, follow, next_screen};
use ui::show::{self, View};

use crate::cases::screen;

#[test]
fn connects_again_after_anything() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("screen.socket");
    let (shown, views) = mpsc::channel::<View>();
    let path = socket.clone();
    let follower = thread::spawn(move || {
        let show = |view| match shown.send(view) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        follow(&path, show, |_| thread::yield_now());
    });
    let next = || views.recv_timeout(Duration::from_secs(20)).expect("the follower shows something");
    let until = |kind| while next().kind != kind {};

    assert_eq!(next(), show::no_validator(), "nobody listens yet");
    let listener = UnixListener::bind(&socket).unwrap();
    for ending in ["", "no screen\n", "{\"number\":1}\n"] {
        let (mut connection, _) = listener.accept().unwrap();
        let idle = serde_json::to_string(&screen(State::Idle)).unwrap();
        let again = serde_json::to_string(&screen(State::PresentAgain)).unwrap();
        write!(connection, "{idle}\n{again}\n").unwrap();
        until(show::Kind::Idle);
        assert_eq!(next().kind, show::Kind::PresentAgain);
        connection.write_all(ending.as_bytes()).unwrap();
        drop(connection);
        assert_eq!(next(), show::no_validator(), "after {ending:?}");
    }
    drop(listener);
    drop(views);
    follower.join().unwrap();
}

#[test]
fn waits_longer_and_longer_but_never_long() {
    let directory = tempfile::tempdir().unwrap();
    let mut waits = Vec::new();
    let mut attempts = 0;
    let show = |_| {
        attempts += 1;
        if attempts > 8 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    follow(&directory.path().join("nobody"), show, |wait| waits.push(wait));
    assert_eq!(waits[..3], [BACK_OFF_FIRST, BACK_OFF_FIRST * 2, BACK_OFF_FIRST * 4]);
    assert_eq!(waits.last(), Some(&BACK_OFF_MAX));
}

#[test]
fn a_line_without_end_is_an_error() {
    let endless = vec![b' '; usize::try_from(LINE_MAX).unwrap() + 1];
    assert!(next_screen(&mut Cursor::new(endless)).is_err());
    assert!(next_screen(&mut Cursor::new("{")).is_err());
    assert!(next_screen(&mut Cursor::new("")).unwrap().is_none());
}

proptest! {
    #[test]
    fn arbitrary_lines_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let mut lines = Cursor::new(bytes);
        while let Ok(Some(screen)) = next_screen(&mut lines) {
            show::view(&screen);
        }
    }

    /// Nearly a screen: one byte of a good line changed.
    #[test]
    fn damaged_screens_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut line = serde_json::to_vec(&crate::cases::accepted(|tap| tap.pass = crate::cases::pass(3, "2026-12-05"))).unwrap();
        let at = at.index(line.len());
        line[at] = byte;
        line.push(b'\n');
        if let Ok(Some(screen)) = next_screen(&mut Cursor::new(line)) {
            show::view(&screen);
        }
    }
}
