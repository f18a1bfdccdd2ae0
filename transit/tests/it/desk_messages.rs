//! Messages between a desk and the clearing house: signed, and each answer bound to its request.

use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair};
use transit::card::{Issuer, Product, ProductKind, Profile};
use transit::desk::{
    Allowance, Ask, CardState, DeskAnswer, DeskRequest, Grant, Lost, MessageError, Reply, StepState,
    answer_signed_bytes, request_digest, request_signed_bytes,
};
use transit::id::{CardToken, DeviceId, HolderReference, LineNumber};
use transit::money::{Amount, Balance};
use transit::time::{Moment, ServiceDay};

fn pair(seed: u8) -> (Ed25519KeyPair, [u8; 32]) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let public = pair.public_key().as_ref().try_into().unwrap();
    (pair, public)
}

fn desk(number: u32) -> DeviceId {
    DeviceId::new(number).unwrap()
}

fn request(ask: Ask) -> DeskRequest {
    DeskRequest { desk: desk(900), epoch: 1, at: Moment(1_795_489_200), ask }
}

fn asks() -> Vec<Ask> {
    let card = CardToken([7; 16]);
    let holder = HolderReference(4_711.try_into().unwrap());
    vec![
        Ask::Allowance,
        Ask::CardState { card },
        Ask::Step { step: "900-1-12".to_owned() },
        Ask::Transfer { lost: Lost::Card(CardToken([8; 16])), card },
        Ask::Transfer { lost: Lost::Holder(holder), card },
    ]
}

fn replies() -> Vec<Reply> {
    let mut products = [Product::NONE; 5];
    products[2] = Product { kind: ProductKind::OneRoutePass, line: LineNumber(1), ..Product::NONE };
    let issuer = Some(Issuer { profile: Profile::Student, profile_valid_until: ServiceDay(9_900), products });
    let (card, lost) = (CardToken([7; 16]), CardToken([8; 16]));
    let amount = Amount::from(50_000);
    vec![
        Reply::Allowance(Allowance {
            desk: desk(900),
            epoch: 1,
            number: 3,
            loads_through_minor: amount,
            valid_until: Moment(9),
        }),
        Reply::Step(StepState { step: "900-1-12".to_owned(), written: None }),
        Reply::CardState(CardState {
            card,
            balance_minor: Some(Balance::from_minor(-1)),
            seen: Some(Moment(7)),
            issuer,
            blocked: true,
            pending: 2,
        }),
        Reply::Transfer(Grant { number: 4, desk: desk(900), lost, card, amount_minor: amount, issuer }),
        Reply::Refused { why: "no".to_owned() },
    ]
}

#[test]
fn requests_are_taken_from_the_desk_that_signed_them() {
    let (key, public) = pair(1);
    for ask in asks() {
        let text = serde_json::to_string(&request(ask.clone())).unwrap();
        let signature = key.sign(&request_signed_bytes(&text));
        let known = |desk: DeviceId| (desk.number() == 900).then_some(public);
        assert_eq!(DeskRequest::open(&text, signature.as_ref(), known), Ok(request(ask)));
        assert_eq!(DeskRequest::open(&text, signature.as_ref(), |_| None), Err(MessageError::Signature));
        assert_eq!(DeskRequest::open(&text, signature.as_ref(), |_| Some(pair(2).1)), Err(MessageError::Signature));
        let other = text.replace("900", "901");
        assert_eq!(DeskRequest::open(&other, signature.as_ref(), |_| Some(public)), Err(MessageError::Signature));
        // A signature of the clearing house's answers is none of a request.
        let answer = key.sign(&answer_signed_bytes(&text));
        assert_eq!(DeskRequest::open(&text, answer.as_ref(), known), Err(MessageError::Signature));
    }
    let words = DeskRequest::open("{}", &[], |_| Some(public)).unwrap_err().to_string();
    assert!(words.starts_with("the text is no message of this system: missing field `desk`"), "{words}");
}

#[test]
fn an_answer_stands_for_its_own_request_only() {
    let (key, public) = pair(1);
    let asked = serde_json::to_string(&request(Ask::Allowance)).unwrap();
    for reply in replies() {
        let answer = DeskAnswer { at: Moment(5), request: request_digest(&asked), reply };
        let text = serde_json::to_string(&answer).unwrap();
        let signature = key.sign(&answer_signed_bytes(&text));
        assert_eq!(DeskAnswer::open(&text, signature.as_ref(), &public, &asked), Ok(answer));
        let other = DeskAnswer::open(&text, signature.as_ref(), &public, "something else");
        assert_eq!(other, Err(MessageError::OtherRequest));
        let changed = text.replace(":5,", ":6,");
        let changed = DeskAnswer::open(&changed, signature.as_ref(), &public, &asked);
        assert_eq!(changed, Err(MessageError::Signature));
    }
}

#[test]
fn the_text_of_an_allowance_is_as_documented() {
    let text = serde_json::to_string(&replies()[0]).unwrap();
    let expected = r#"{"allowance":{"desk":900,"epoch":1,"number":3,"loads_through_minor":50000,"valid_until":9}}"#;
    assert_eq!(text, expected);
    assert_eq!(serde_json::to_string(&Ask::Allowance).unwrap(), r#""allowance""#);
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}", signature in proptest::collection::vec(any::<u8>(), 0..80)) {
        prop_assert!(DeskRequest::open(&text, &signature, |_| Some([7; 32])).is_err());
        prop_assert!(DeskAnswer::open(&text, &signature, &[7; 32], "").is_err());
    }
}
