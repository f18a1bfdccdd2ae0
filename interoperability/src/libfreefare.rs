//! libfreefare 0.4.0 over libnfc's PC/SC driver, both built from Debian's sources: D40 and EV1 from somebody who has
//! real cards.

use std::process::Command;

use virtual_card::diversify_aes128;

use crate::{
    outcome::{Done, NotDone, Outcome},
    stand::{Stand, outcome},
};

const CLIENT: &str = "libfreefare";

/// Its suite for real cards: the program, and the test in it. One card goes through all of them: a test leaves its
/// master key behind, which the next finds by its version.
const SUITE: [(&str, &str); 12] = [
    ("suite_mifare_desfire", "test_mifare_desfire"),
    ("suite_mifare_desfire", "test_mifare_desfire_get_tag_friendly_name"),
    ("suite_mifare_desfire", "test_mifare_desfire_get_many_application_ids"),
    ("suite_mifare_desfire", "test_mifare_desfire_des_macing"),
    ("suite_mifare_desfire", "test_mifare_desfire_free_read"),
    ("suite_mifare_desfire_ev1", "test_mifare_desfire_ev1_aes2"),
    ("suite_mifare_desfire_ev1", "test_mifare_desfire_ev1_3des"),
    ("suite_mifare_desfire_ev1", "test_mifare_desfire_ev1_3k3des"),
    ("suite_mifare_desfire_ev1", "test_mifare_desfire_ev1_aes"),
    ("suite_mifare_desfire_ev1", "test_mifare_desfire_ev1_aes_write_data_encyphered"),
    ("suite_mifare_desfire_ev1", "test_mifare_desfire_ev1_aes_create_value_file_encyphered"),
    ("suite_mifare_desfire_ev1", "test_mifare_desfire_ev1_iso"),
];

/// libfreefare's own suite for real cards, on one blank EV1.
#[must_use]
pub fn run_suite(stand: &Stand) -> Vec<Outcome> {
    let mut card = None;
    let run = |(program, test): (&str, &str)| {
        let result = stand.peer(CLIENT).and_then(|folder| {
            let blank = card.take().map_or_else(|| stand.card("blank-ev1").map(|(_, card)| card), Ok)?;
            let (after, run) = stand.run(blank, Command::new(folder.join(program)).arg(test))?;
            card = Some(after);
            let assertions = run.said.trim().parse();
            let checks = assertions.map_err(|_| NotDone::Failed(format!("it says {:?}", run.said)))?;
            Ok(Done { checks, exchanges: run.traffic.exchanges })
        });
        outcome(CLIENT, &format!("its suite: {test}"), result)
    };
    SUITE.into_iter().map(run).collect()
}

/// The stock tools on a blank card: they look at it, make an NDEF application on it, and format it. The others of them free
/// or overrun memory of their own after they have done their work.
#[must_use]
pub fn run_tools(stand: &Stand) -> Outcome {
    const TOOLS: [(&str, &[&str]); 3] =
        [("mifare-desfire-info", &[]), ("mifare-desfire-create-ndef", &["-y"]), ("mifare-desfire-format", &["-y"])];
    let result = stand.peer(CLIENT).and_then(|folder| {
        let (_, mut card) = stand.card("blank-ev1")?;
        let mut done = Done { checks: 0, exchanges: 0 };
        for (tool, arguments) in TOOLS {
            let (after, run) = stand.run(card, Command::new(folder.join(tool)).args(arguments))?;
            card = after;
            done.checks += 1;
            done.exchanges += run.traffic.exchanges;
        }
        Ok(done)
    });
    outcome(CLIENT, "stock tools: info, create-ndef, format", result)
}

/// A purse transaction on one of this project's cards, written on libfreefare, which knows frames of 64 bytes alone.
#[must_use]
pub fn run_purse_client(stand: &Stand) -> Outcome {
    const VALIDATE: u8 = 2;
    const AMOUNT: i32 = 8000;
    let result = stand.peer(CLIENT).and_then(|folder| {
        let (fixture, card) = stand.card("adult-listed")?;
        let before = fixture.purse(&card);
        let input = [&fixture.identity().uid[..], &[0x01, 0x4E, 0x48], &[VALIDATE], b"CHAM"].concat();
        let key = diversify_aes128(&stand.keys().validate, &input).map(hex::encode);
        let key = key.ok_or_else(|| NotDone::Failed("no card key can be derived".to_owned()))?;
        let mut command = Command::new(folder.join("purse_client"));
        let (card, run) = stand.run(card, command.args([&VALIDATE.to_string(), &key, &AMOUNT.to_string()]))?;
        // What it says is checked on the card itself.
        let newest = fixture.records(&card).and_then(|records| records.into_iter().next());
        if fixture.purse(&card) != before.map(|before| before - AMOUNT) || newest.as_deref() != Some(&[0x5A; 60][..]) {
            return Err(NotDone::Failed(format!("the card holds {:?} and {newest:02X?}", fixture.purse(&card))));
        }
        Ok(run.lines())
    });
    outcome(CLIENT, "purse client: list, AES, read, debit, write record, commit", result)
}
