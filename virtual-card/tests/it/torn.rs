//! The field is lost at every exchange of a tap: the purse and the record change together or not at all.

use std::time::Duration;

use virtual_card::{CardInField, Fault, field::Step};

use crate::raw_reader::{AID, RawReader, Refusal, VALIDATE, card, fixture, wrap};

const EXCHANGES: u32 = 7;
const COMMIT: u32 = EXCHANGES;

fn tap(reader: &mut RawReader) -> Result<(), Refusal> {
    reader.select()?;
    reader.authenticate(VALIDATE)?;
    reader.read_records(0, 1)?;
    reader.debit(8000)?;
    reader.write_record(0, &[1; 60])?;
    reader.commit().map(|_| ())
}

#[test]
fn before_or_after_never_between() {
    let fixture = fixture("torn");
    for number in 1..=EXCHANGES {
        for (fault, is_after) in [(Fault::LoseBefore(number), false), (Fault::LoseAfter(number), true)] {
            let mut reader = RawReader::new(CardInField::new(card("torn")).with_fault(fault));
            assert_eq!(tap(&mut reader), Err(Refusal::Lost), "{fault:?}");
            assert_eq!(reader.send(0x60, &[]), Err(Refusal::Lost), "a lost card stays lost");
            assert_eq!(reader.field.traffic().exchanges, number);

            let card = reader.field.remove();
            let has_committed = is_after && number == COMMIT;
            let records = fixture.records(&card).expect("our card");
            let expected = if has_committed { (42_000, 2, 1) } else { (50_000, 1, 0) };
            let counter = fixture.transaction_counter(&card).expect("our card");
            assert_eq!((fixture.purse(&card).expect("our card"), records.len(), counter), expected, "{fault:?}");

            let mut again = RawReader::new(CardInField::new(card));
            assert_eq!(tap(&mut again), Ok(()), "the card works after {fault:?}");
        }
    }
}

/// Within each command and each answer, at every byte: what arrives of a command is never acted on, what arrives of an
/// answer is what the card said.
#[test]
fn at_every_byte() {
    let fixture = fixture("torn");
    let mut whole = RawReader::new(CardInField::new(card("torn")));
    tap(&mut whole).expect("the right keys");
    let exchanges = whole.field.transcript().to_vec();
    let mut faults = vec![];
    for exchange in &exchanges {
        let answer = exchange.answer.as_ref().expect("nothing is lost here");
        faults.extend((0..=exchange.command.len()).map(|bytes| Fault::LoseInCommand(exchange.number, bytes)));
        faults.extend((0..answer.len()).map(|bytes| Fault::LoseInAnswer(exchange.number, bytes)));
    }
    for &fault in &faults {
        let mut field = CardInField::new(card("torn")).with_fault(fault);
        for exchange in &exchanges {
            let answer = exchange.answer.clone().expect("nothing is lost here");
            match field.step(&exchange.command) {
                Step::Answered(given) => assert_eq!(given, answer, "{fault:?}"),
                Step::Torn(given, arrived) => {
                    assert_eq!(given, answer, "{fault:?}");
                    assert!((1..answer.len()).contains(&arrived));
                    let seen = field.transcript().last().and_then(|last| last.answer.clone());
                    assert_eq!(seen.as_deref(), Some(&answer[..arrived]));
                    break;
                }
                Step::Lost => break,
                Step::Held(_) => panic!("nothing holds here"),
            }
        }
        assert_eq!(field.step(&exchanges[0].command), Step::Lost, "a lost card stays lost");
        let card = field.remove();
        let has_committed = matches!(fault, Fault::LoseInAnswer(COMMIT, _));
        let expected = if has_committed { (42_000, 2, 1) } else { (50_000, 1, 0) };
        let records = fixture.records(&card).expect("our card").len();
        let counter = fixture.transaction_counter(&card).expect("our card");
        assert_eq!((fixture.purse(&card).expect("our card"), records, counter), expected, "{fault:?}");
    }
    // Every byte of the commands and answers, and after each whole command.
    assert_eq!(faults.len(), 357 + 7);
}

#[test]
fn an_answer_that_breaks_off_reaches_the_reader() {
    let mut field = CardInField::new(card("torn")).with_fault(Fault::LoseInAnswer(1, 3));
    let answer = card_crypto::Transport::exchange(&mut field, &[0x90, 0x60, 0x00, 0x00, 0x00]);
    assert_eq!(answer, Ok(vec![0x04, 0x01, 0x01]));
    assert_eq!(card_crypto::Transport::exchange(&mut field, &wrap(0x5A, &AID)), Err(card_crypto::Lost::Card));
}

/// The time of a chip is told, not waited for.
#[test]
fn chip_times() {
    let mut field = CardInField::new(card("torn"));
    field.step(&wrap(0x5A, &AID));
    assert_eq!(field.chip_time(), Duration::ZERO, "off unless asked for");
    let mut field = CardInField::new(card("torn")).with_chip_times();
    assert_eq!(field.chip_time(), Duration::ZERO, "nothing has happened yet");
    for (command, microseconds) in [
        (wrap(0x5A, &AID), 770),
        (wrap(0x1A, &[0]), 2470),
        (wrap(0xAF, &[0; 16]), 2030),
        (wrap(0x60, &[]), 1000),
        (wrap(0xAF, &[]), 1000),
    ] {
        field.step(&command);
        assert_eq!(field.chip_time(), Duration::from_micros(microseconds), "{command:02X?}");
    }
}

#[test]
fn a_held_answer_never_comes_to_an_in_process_reader() {
    let mut field = CardInField::new(card("torn")).with_fault(Fault::Hold(1));
    let answer = card_crypto::Transport::exchange(&mut field, &[0x90, 0x60, 0x00, 0x00, 0x00]);
    assert_eq!(answer, Err(card_crypto::Lost::Silent));
}

#[test]
fn a_mutation_changes_what_the_reader_sees() {
    let field = CardInField::new(card("adult"));
    let mut field = field.with_mutation(Box::new(|number, answer| if number == 2 { vec![0x6F, 0x00] } else { answer }));
    let mut exchange = || card_crypto::Transport::exchange(&mut field, &wrap(0x5A, &AID));
    assert_eq!(exchange(), Ok(vec![0x91, 0x00]));
    assert_eq!(exchange(), Ok(vec![0x6F, 0x00]));
}
