//! The field is lost at every exchange of a tap: the purse and the record change together or not at all.

use virtual_card::{CardInField, Fault};

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
