//! The radio model against frames timed on the air.

use benches::{
    rf_constants::{ACTIVATION_GAP_MS, READER_OVERHEAD},
    rf_model::{Case, NotModelled, Sender, activation_ms, frame_ms, tap_ms},
};
use virtual_card::field::Exchange;

/// Frames of the DESFire and Ultralight AES captures in the folder `traces` of proxmark3: bytes, sender, milliseconds.
const TIMED_FRAMES: [(usize, Sender, f64); 5] = [
    (13, Sender::Reader, 1.112),
    (26, Sender::Reader, 2.216),
    (16, Sender::Reader, 1.366),
    (14, Sender::Card, 1.199),
    (21, Sender::Card, 1.789),
];

/// A reader's frame ends with a bit without modulation, which takes its time and which a capture cannot see.
const UNSEEN_END_MS: f64 = 128.0 / 13_560.0;

#[test]
fn frames_agree_with_the_air_within_one_percent() {
    for (bytes, sender, observed_ms) in TIMED_FRAMES {
        let unseen_ms = if sender == Sender::Reader { UNSEEN_END_MS } else { 0.0 };
        let seen_ms = frame_ms(bytes, sender) - unseen_ms;
        let error = (seen_ms / observed_ms - 1.0).abs();
        assert!(error < 0.01, "{bytes} bytes from {sender:?}: {seen_ms:.3} ms, observed {observed_ms} ms");
    }
}

/// The activation that the capture shows took 8.6 ms with the reader's own gaps.
#[test]
fn an_activation_is_shorter_than_the_observed_one() {
    let modelled_ms = activation_ms();
    assert!((6.0..8.6).contains(&modelled_ms), "{modelled_ms:.2} ms");
    assert!(modelled_ms > ACTIVATION_GAP_MS);
}

/// Select with three bytes of data: 12 + 5 bytes on air, worked out by hand.
#[test]
fn one_exchange_by_hand() {
    let select = exchange(1, &[0x90, 0x5A, 0, 0, 3, 1, 2, 3, 0]);
    let whole_ms = tap_ms(&[select], 0.25, Case::Typical).unwrap() - activation_ms();
    // Reader 110 bits, card 46 bits, 1172/fc guard, 0.8 ms in the card, and the host.
    let bits_ms = 156.0 * 128.0 / 13_560.0;
    let expected_ms = bits_ms + 1172.0 / 13_560.0 + 0.8 + READER_OVERHEAD.typical_ms + 0.25;
    assert!((whole_ms - expected_ms).abs() < 1e-9, "{whole_ms} ms, by hand {expected_ms} ms");
}

#[test]
fn a_worse_case_takes_longer() {
    let tap = [exchange(1, &[0x90, 0x5A, 0, 0, 3, 1, 2, 3, 0])];
    let [low, typical, high] = [Case::Low, Case::Typical, Case::High].map(|case| tap_ms(&tap, 0.0, case).unwrap());
    assert!(low < typical && typical < high);
}

#[test]
fn what_it_does_not_know_it_does_not_model() {
    let chained = exchange(1, &[0x90, 0xAF, 0, 0, 0]);
    let too_long = exchange(2, &[&[0x90, 0x3B, 0, 0, 120][..], &[0; 121]].concat());
    let unknown = exchange(3, &[0x90, 0x01, 0, 0, 0]);
    let unanswered = Exchange { answer: None, ..exchange(4, &[0x90, 0xC7, 0, 0, 0]) };
    let table = [
        (chained, NotModelled::FrameTooLong(1)),
        (too_long, NotModelled::FrameTooLong(2)),
        (unknown, NotModelled::NoCardTime(3)),
        (unanswered, NotModelled::NoAnswer(4)),
    ];
    for (exchange, why) in table {
        assert_eq!(tap_ms(&[exchange], 0.0, Case::Typical), Err(why));
    }
}

fn exchange(number: u32, command: &[u8]) -> Exchange {
    Exchange { number, command: command.to_vec(), answer: Some(vec![0x91, 0x00]) }
}
