//! A real server on a loopback port, asked by a real client.

use clearing_house::http;
use clearing_house::signer::Signer;
use reqwest::{Client, StatusCode};
use ring::signature::{ED25519, UnparsedPublicKey};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use transit::action::ACTION_LEN;
use transit::desk::{
    ACTIONS_PATH, ACTIONS_PER_BATCH_MAX, Ask, DESK_PATH, DeskAnswer, DeskRequest, Reply, request_signed_bytes,
};
use transit::sync::{Acknowledgement, SIGNATURE_HEADER, TAPS_PATH, TAPS_PER_BATCH_MAX, Verdict, signed_bytes};
use transit::tap::TAP_LEN;
use transit::time::Moment;

use crate::desk_support::Desk;
use crate::support::{Card, City, MORNING, Validator, body, later, verdicts};

fn clock() -> Moment {
    later(3_600)
}

/// Serves while `ask` runs, and returns when the server has ended by itself.
async fn with_server<F: Future<Output = ()>>(ask: impl FnOnce(Client, String) -> F) -> City {
    let City { folder, clearing_house } = City::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(http::serve(listener, clearing_house, clock, async {
        let _ = stopped.await;
    }));
    let client = Client::builder().no_proxy().build().unwrap();
    ask(client, base).await;
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
    let config = clearing_house::Config::read(&folder.path().join("clearing-house.toml"), None).unwrap();
    let clearing_house = clearing_house::ClearingHouse::open(config).unwrap();
    City { folder, clearing_house }
}

#[tokio::test]
async fn an_upload_is_booked_and_its_answer_signed() {
    let mut validator = Validator::new(1, 1);
    let taps =
        [validator.done(&mut Card::new(1, 50_000), MORNING), validator.done(&mut Card::new(2, 50_000), later(60))];
    let mut city = with_server(async |client, base| {
        let url = format!("{base}{TAPS_PATH}");
        for expected in [Verdict::Accepted, Verdict::Known] {
            let response = client.post(&url).body(body(&taps)).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()["content-type"], "application/json");
            let signature = hex::decode(response.headers()[SIGNATURE_HEADER].as_bytes()).unwrap();
            let text = response.text().await.unwrap();
            let key = Signer::from_seed(&[0x33; 32]).unwrap().public_key();
            UnparsedPublicKey::new(&ED25519, key).verify(&signed_bytes(&text), &signature).unwrap();
            let acknowledgement: Acknowledgement = serde_json::from_str(&text).unwrap();
            assert_eq!(verdicts(&acknowledgement), [expected; 2]);
            assert_eq!(acknowledgement.at, clock());
        }
    })
    .await;
    assert_eq!(city.balance("operator:1:payable"), 16_000);
    city.verify();
}

#[tokio::test]
async fn the_largest_upload_is_taken_and_a_larger_one_is_not() {
    let mut validator = Validator::new(1, 1);
    let card = Card::new(1, 0);
    let taps: Vec<_> = (0..TAPS_PER_BATCH_MAX).map(|_| validator.declined(&card, MORNING)).collect();
    with_server(async |client, base| {
        let url = format!("{base}{TAPS_PATH}");
        let mut bytes = body(&taps);
        let response = client.post(&url).body(bytes.clone()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let acknowledgement: Acknowledgement = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(acknowledgement.taps.len(), TAPS_PER_BATCH_MAX);
        bytes.extend([0; TAP_LEN]);
        let response = client.post(&url).body(bytes).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let text = response.text().await.unwrap();
        assert_eq!(text, "an upload has at most 500 taps of 352 bytes; send them in parts\n");
    })
    .await;
}

#[tokio::test]
async fn health_and_what_is_not_there() {
    with_server(async |client, base| {
        let health = client.get(format!("{base}{}", http::HEALTH_PATH)).send().await.unwrap();
        assert_eq!((health.status(), health.text().await.unwrap()), (StatusCode::OK, "ok\n".to_owned()));
        let nothing = client.get(format!("{base}/v1/nothing")).send().await.unwrap();
        assert_eq!(nothing.status(), StatusCode::NOT_FOUND);
        let wrong_verb = client.get(format!("{base}{TAPS_PATH}")).send().await.unwrap();
        assert_eq!(wrong_verb.status(), StatusCode::METHOD_NOT_ALLOWED);
    })
    .await;
}

#[tokio::test]
async fn uploads_at_the_same_time_are_booked_once() {
    let mut validator = Validator::new(1, 1);
    let taps: Vec<_> = (0..20).map(|number| validator.done(&mut Card::new(number, 50_000), MORNING)).collect();
    let mut city = with_server(async |client, base| {
        let url = format!("{base}{TAPS_PATH}");
        let uploads: Vec<_> = (0..8).map(|_| tokio::spawn(client.post(&url).body(body(&taps)).send())).collect();
        for upload in uploads {
            assert_eq!(upload.await.unwrap().unwrap().status(), StatusCode::OK);
        }
    })
    .await;
    assert_eq!(city.balance("operator:1:payable"), 160_000);
    city.verify();
}

#[tokio::test]
async fn a_desk_uploads_and_asks() {
    let mut desk = Desk::new();
    let load = desk.load(&mut Card::new(1, 0), MORNING, 50_000);
    let body: Vec<u8> = load.iter().flat_map(|action| *action.as_bytes()).collect();
    let request = DeskRequest { desk: desk.next.device, epoch: 1, at: clock(), ask: Ask::Allowance };
    let request = serde_json::to_string(&request).unwrap();
    let signature = hex::encode(desk.key.sign(&request_signed_bytes(&request)));
    let key = Signer::from_seed(&[0x33; 32]).unwrap().public_key();
    let mut city = with_server(async |client, base| {
        let response = client.post(format!("{base}{ACTIONS_PATH}")).body(body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let signed = hex::decode(response.headers()[SIGNATURE_HEADER].as_bytes()).unwrap();
        let text = response.text().await.unwrap();
        UnparsedPublicKey::new(&ED25519, key).verify(&signed_bytes(&text), &signed).unwrap();
        assert_eq!(verdicts(&serde_json::from_str(&text).unwrap()), [Verdict::Accepted; 2]);

        let url = format!("{base}{DESK_PATH}");
        let ask = |signature: &str, text: &str| {
            client.post(&url).header(SIGNATURE_HEADER, signature).body(text.to_owned()).send()
        };
        let response = ask(&signature, &request).await.unwrap();
        assert_eq!(
            (response.status(), &response.headers()["content-type"]),
            (StatusCode::OK, &"application/json".parse().unwrap())
        );
        let signed = hex::decode(response.headers()[SIGNATURE_HEADER].as_bytes()).unwrap();
        let answer = DeskAnswer::open(&response.text().await.unwrap(), &signed, &key, &request).unwrap();
        let Reply::Allowance(allowance) = answer.reply else { panic!("{answer:?}") };
        assert_eq!(allowance.loads_through_minor.minor(), 1_000_000);

        let table = [
            (
                &*"00".repeat(64),
                &*request,
                StatusCode::FORBIDDEN,
                "the signature does not belong to this text and this sender\n",
            ),
            (&*signature, "{}", StatusCode::BAD_REQUEST, "the text is no message of this system: missing field"),
            ("no digits", &*request, StatusCode::BAD_REQUEST, "a request is JSON text with its signature"),
            (&*signature, &*"x".repeat(5_000), StatusCode::PAYLOAD_TOO_LARGE, "a request has at most 4096 bytes\n"),
        ];
        for (signature, text, status, expected) in table {
            let response = ask(signature, text).await.unwrap();
            assert_eq!(response.status(), status);
            let said = response.text().await.unwrap();
            assert!(said.starts_with(expected), "{said}");
        }
    })
    .await;
    assert_eq!(city.balance("cards:float"), 50_000);
    city.verify();
}

#[tokio::test]
async fn the_largest_upload_of_actions_is_taken_and_a_larger_one_is_not() {
    let mut desk = Desk::new();
    let card = Card::new(1, 0);
    let actions: Vec<_> = (0..ACTIONS_PER_BATCH_MAX).map(|_| desk.block(&card, MORNING)).collect();
    let mut bytes: Vec<u8> = actions.iter().flat_map(|action| *action.as_bytes()).collect();
    with_server(async |client, base| {
        let url = format!("{base}{ACTIONS_PATH}");
        let response = client.post(&url).body(bytes.clone()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        for more in [ACTION_LEN, 60_000] {
            bytes.resize(ACTIONS_PER_BATCH_MAX * ACTION_LEN + more, 0);
            let response = client.post(&url).body(bytes.clone()).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
            let text = response.text().await.unwrap();
            assert_eq!(text, "an upload has at most 300 actions of 512 bytes; send them in parts\n");
        }
    })
    .await;
}
