//! How a layout changes: a card goes from version 1 to an imagined version 2 in one desk transaction.
//!
//! Version 2 of the record uses the four reserved bits for the language of the rider's screen. Everything of version 1
//! stays where it is, so that a record of version 2 is one of version 1 with another number and these bits.

use transit::card::{
    DeskWrite, ISSUER_LEN, Issuer, LayoutError, Product, ProductKind, Profile, RECORD_LEN, Record, layout_version,
    record_of_issue, record_of_load,
};
use transit::id::{DeviceId, TapId};
use transit::money::{Amount, Balance};
use transit::time::{Moment, ServiceDay};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Unstated = 0,
    Vietnamese = 1,
    English = 2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record2 {
    record: Record,
    language: Language,
}

impl Record2 {
    /// Reads both versions; what version 1 lacks has a stated default.
    fn decode(bytes: &[u8]) -> Result<Self, LayoutError> {
        match layout_version(bytes)? {
            1 => Ok(Self { record: Record::decode(bytes)?, language: Language::Unstated }),
            2 => {
                let mut of_version_1 = bytes.to_vec();
                of_version_1[0] = 1 << 4 | bytes[0] & 0x0F;
                of_version_1[RECORD_LEN - 1] &= 0xF0;
                let language = match bytes[RECORD_LEN - 1] & 0x0F {
                    0 => Language::Unstated,
                    1 => Language::Vietnamese,
                    2 => Language::English,
                    _ => return Err(LayoutError::Field("language")),
                };
                Ok(Self { record: Record::decode(&of_version_1)?, language })
            }
            other => Err(LayoutError::Version(other)),
        }
    }

    fn encode(&self) -> Result<[u8; RECORD_LEN], LayoutError> {
        let mut bytes = self.record.encode()?;
        bytes[0] = 2 << 4 | bytes[0] & 0x0F;
        bytes[RECORD_LEN - 1] |= self.language as u8;
        Ok(bytes)
    }
}

/// The files that a desk's transaction writes; a commit takes both or neither.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Files {
    record: [u8; RECORD_LEN],
    issuer: [u8; ISSUER_LEN],
}

fn issuer_2(issuer: &Issuer) -> [u8; ISSUER_LEN] {
    let mut bytes = issuer.encode();
    bytes[0] = 2;
    bytes
}

fn write(sequence: u32) -> DeskWrite {
    let action = TapId { device: DeviceId::new(900).unwrap(), epoch: 1, sequence };
    DeskWrite { action, at: Moment(1_795_489_200 + sequence), amount: Amount::from(20_000) }
}

/// A load that takes the card over to version 2: read, decide, stage both files, commit.
fn load_and_change_over(card: &mut Files, commit: bool) {
    let read = Record2::decode(&card.record).unwrap();
    let issuer = Issuer::decode(&card.issuer).unwrap();
    let record = record_of_load(&read.record, write(2)).unwrap();
    let staged = Files {
        record: Record2 { record, language: Language::Vietnamese }.encode().unwrap(),
        issuer: issuer_2(&issuer),
    };
    if commit {
        *card = staged;
    }
}

#[test]
fn a_card_goes_from_version_1_to_2_whole_or_not_at_all() {
    let mut products = [Product::NONE; 5];
    products[0] = Product { kind: ProductKind::AllRoutePass, ..Product::NONE };
    let issuer = Issuer { profile: Profile::Student, profile_valid_until: ServiceDay(9_900), products };
    let issued = record_of_issue(&issuer, write(1)).unwrap();
    let version_1 = Files { record: issued.encode().unwrap(), issuer: issuer.encode() };

    let mut card = version_1.clone();
    load_and_change_over(&mut card, false);
    assert_eq!(card, version_1, "torn before the commit: the old layout, whole");

    load_and_change_over(&mut card, true);
    // An old reader refuses both files by name.
    assert_eq!(Record::decode(&card.record), Err(LayoutError::Version(2)));
    assert_eq!(Issuer::decode(&card.issuer), Err(LayoutError::Version(2)));
    let words = Record::decode(&card.record).unwrap_err().to_string();
    assert_eq!(words, "card layout version 2 is unknown; this program reads version 1");

    // A new reader reads both, and nothing of the card was lost.
    let after = Record2::decode(&card.record).unwrap();
    assert_eq!(after.language, Language::Vietnamese);
    assert_eq!((after.record.card_sequence, after.record.previous), (2, issued.tap));
    assert_eq!(after.record.balance_after, Balance::from_minor(40_000));
    assert_eq!((after.record.has_pass, after.record.profile), (true, Profile::Student));
    assert_eq!(&card.issuer[1..], &version_1.issuer[1..]);
    let before = Record2::decode(&version_1.record).unwrap();
    assert_eq!(before, Record2 { record: issued, language: Language::Unstated });
}

#[test]
fn both_readers_refuse_version_3() {
    let mut bytes = record_of_issue(
        &Issuer { profile: Profile::Ordinary, profile_valid_until: ServiceDay(0), products: [Product::NONE; 5] },
        write(1),
    )
    .unwrap()
    .encode()
    .unwrap();
    bytes[0] = 0x30;
    assert_eq!(Record2::decode(&bytes), Err(LayoutError::Version(3)));
    assert_eq!(Record::decode(&bytes), Err(LayoutError::Version(3)));
}
