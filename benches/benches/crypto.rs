//! The card cryptography of a tap, part by part, the card replayed.

#![forbid(unsafe_code)]

use std::{hint::black_box, time::Duration};

use benches::{
    Failure,
    bus::{Bus, memory_folder},
    replay::{Recording, authenticated, card_key, purse_dialogue, read_newest_record},
};
use card_crypto::{FileNumber, Key, TransactionMacInput, transaction_mac};
use criterion::{BatchSize, Criterion};

fn main() -> Result<(), Failure> {
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let folder = memory_folder()?;
    let mut bus = Bus::new(folder.path())?;
    let recording = Recording::of_purse_tap(&mut bus)?;
    let master = Key::new(bus.master_key);

    criterion.bench_function("diversify a key", |bencher| {
        bencher.iter(|| card_key(black_box(&master), black_box(&recording.uid)));
    });
    criterion.bench_function("diversify, select, authenticate", |bencher| {
        bencher.iter(|| authenticated(black_box(&recording), &master).expect("a recorded answer verifies"));
    });
    criterion.bench_function("read a record with MACs", |bencher| {
        bencher.iter_batched_ref(
            || authenticated(&recording, &master).expect("a recorded answer verifies"),
            |card| read_newest_record(card).expect("a recorded answer verifies"),
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("card cryptography of a purse tap", |bencher| {
        bencher.iter(|| purse_dialogue(black_box(&recording), &master).expect("a recorded answer verifies"));
    });

    let purse = FileNumber::new(2).ok_or("2 is a file number")?;
    let record = FileNumber::new(3).ok_or("3 is a file number")?;
    let input = TransactionMacInput::new().read_records(record, 0, 1, &[0x5A; 60])?.debit(purse, 8_000).write_record(
        record,
        0,
        &[0xA5; 60],
    )?;
    let value = transaction_mac::compute(&master, &recording.uid, 1, &input);
    criterion.bench_function("verify a Transaction MAC", |bencher| {
        bencher.iter(|| transaction_mac::verify(&master, &recording.uid, 1, black_box(&input), &value));
    });
    criterion.final_summary();
    Ok(())
}
