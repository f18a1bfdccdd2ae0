use proptest::prelude::*;
use transit::card::{
    CarriedFields, ISSUER_LEN, Issuer, LayoutError, Product, ProductKind, Profile, RECORD_FIELDS, RECORD_LEN, Record,
    RecordKind, layout_version,
};
use transit::id::{DeviceId, LineNumber, StopNumber, TapId};
use transit::money::{Amount, Balance};
use transit::time::{Moment, ServiceDay};

fn tap(device: u32, epoch: u8, sequence: u32) -> TapId {
    TapId { device: DeviceId::new(device).unwrap(), epoch, sequence }
}

fn record() -> Record {
    Record {
        kind: RecordKind::Boarding,
        card_sequence: 0x010203,
        tap: Some(tap(0xA1A2A3, 0xB1, 0xC1C2C3C4)),
        previous: Some(tap(0xD1D2D3, 0xE1, 0xF1F2F3F4)),
        time: Moment(0x11121314),
        line: LineNumber(0x2122),
        stop: StopNumber(0x3132),
        amount: Amount::from(0x414243),
        balance_after: Balance::from_minor(-2),
        has_pass: true,
        has_profile: true,
        profile: Profile::SixtyPlus,
        carried: CarriedFields {
            journey: (0x5152, 0x616, 0x71727),
            transfer: (0x818, 0x9, 0xA1A2A),
            caps: (0x1FF, 0xFFFFF, 0x3F, 0x3FFFFF),
            pass_uses: 0,
            action: (0xFFF, -1),
        },
        recovered: true,
    }
}

#[test]
fn a_record_has_these_bytes_for_ever() {
    let encoded = record().encode().unwrap();
    assert_eq!(encoded, bits_by_hand());
    assert_eq!(Record::decode(&encoded), Ok(record()));
}

/// The same record packed the slow way: a string of binary digits.
fn bits_by_hand() -> [u8; RECORD_LEN] {
    let values: [(u64, usize); 31] = [
        (1, 4),
        (1, 4),
        (0x010203, 24),
        (0xA1A2A3, 24),
        (0xB1, 8),
        (0xC1C2C3C4, 32),
        (0xD1D2D3, 24),
        (0xE1, 8),
        (0xF1F2F3F4, 32),
        (0x11121314, 32),
        (0x2122, 16),
        (0x3132, 16),
        (0x414243, 24),
        (0xFFFF_FFFE, 32),
        (0b11, 8),
        (3, 4),
        (0x5152, 16),
        (0x616, 12),
        (0x71727, 20),
        (0x818, 12),
        (0x9, 4),
        (0xA1A2A, 20),
        (0x1FF, 9),
        (0xFFFFF, 20),
        (0x3F, 6),
        (0x3FFFFF, 22),
        (0, 6),
        (0xFFF, 12),
        (0xFF_FFFF, 24),
        (1, 1),
        (0, 4),
    ];
    let digits: String = values.iter().map(|(value, width)| format!("{value:0width$b}")).collect();
    assert_eq!(digits.len(), RECORD_LEN * 8);
    let mut bytes = [0; RECORD_LEN];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[index * 8..index * 8 + 8], 2).unwrap();
    }
    bytes
}

#[test]
fn widths_fill_the_record() {
    assert_eq!(RECORD_FIELDS.iter().map(|(_, width)| width).sum::<usize>(), RECORD_LEN * 8);
}

#[test]
fn a_value_wider_than_its_field_is_named() {
    let wide = Record { card_sequence: 0x0100_0000, ..record() };
    assert_eq!(wide.encode(), Err(LayoutError::Field("card_sequence")));
    let wide = Record { amount: Amount::from(0x0100_0000), ..record() };
    assert_eq!(wide.encode(), Err(LayoutError::Field("amount")));
    let wide = Record { balance_after: Balance::from_minor(i64::from(i32::MAX) + 1), ..record() };
    assert_eq!(wide.encode(), Err(LayoutError::Field("balance_after")));
}

#[test]
fn other_layouts_and_lengths_are_refused() {
    let mut bytes = record().encode().unwrap();
    bytes[0] = 0x21;
    assert_eq!(Record::decode(&bytes), Err(LayoutError::Version(2)));
    assert_eq!(Record::decode(&bytes[1..]), Err(LayoutError::Length { expected: 60, found: 59 }));
    assert_eq!(Issuer::decode(&[2; ISSUER_LEN]), Err(LayoutError::Version(2)));
    assert_eq!(layout_version(&bytes), Ok(2));
    assert_eq!(layout_version(&[3; ISSUER_LEN]), Ok(3));
    assert_eq!(layout_version(&[3; 61]), Err(LayoutError::Length { expected: 60, found: 61 }));
}

#[test]
fn every_kind_survives_a_round_trip() {
    use RecordKind::{Boarding, Issued, Load, Refund, Sale, TapIn, TapOut};
    for (code, kind) in [Issued, Boarding, TapIn, TapOut, Load, Refund, Sale].into_iter().enumerate() {
        let record = Record { kind, ..record() };
        let bytes = record.encode().unwrap();
        assert_eq!(usize::from(bytes[0] & 0x0F), code);
        assert_eq!(Record::decode(&bytes), Ok(record));
    }
    let mut bytes = record().encode().unwrap();
    bytes[0] = 0x17;
    assert_eq!(Record::decode(&bytes), Err(LayoutError::Field("kind")));
}

#[test]
fn the_issuer_file_survives_a_round_trip() {
    let mut products = [Product::NONE; 5];
    products[3] = Product {
        kind: ProductKind::OneRoutePass,
        line: LineNumber(1),
        valid_from: ServiceDay(9000),
        valid_until: ServiceDay(9030),
    };
    let issuer = Issuer { profile: Profile::Student, profile_valid_until: ServiceDay(9500), products };
    assert_eq!(Issuer::decode(&issuer.encode()), Ok(issuer));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..130)) {
        let _ = Issuer::decode(&bytes);
        if let Ok(record) = Record::decode(&bytes) {
            prop_assert_eq!(record.encode().map(|bytes| bytes.to_vec()), Ok(canonical(&bytes)));
        }
    }

    #[test]
    fn records_of_our_version_survive(mut bytes in proptest::array::uniform32(any::<u8>()).prop_flat_map(|head| {
        proptest::collection::vec(any::<u8>(), 28).prop_map(move |tail| [head.to_vec(), tail].concat())
    })) {
        bytes[0] = 0x10 | (bytes[0] % 7);
        bytes[59] &= 0xF0;
        if let Ok(record) = Record::decode(&bytes) {
            prop_assert_eq!(record.encode().map(|bytes| bytes.to_vec()), Ok(canonical(&bytes)));
        }
    }
}

/// "No tap" is device 0, whatever stands beside it; product bits that have no meaning are dropped.
fn canonical(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in [4, 12] {
        if bytes[at..at + 3] == [0; 3] {
            bytes[at..at + 8].fill(0);
        }
    }
    bytes[35] &= 3;
    bytes
}
