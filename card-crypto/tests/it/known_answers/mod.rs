//! Every published known answer that touches this crate.

mod back_office;
mod ev1;
mod ev2;
mod primitives;

use crate::vectors::{self, Vector};

const FILES: [&str; 14] = [
    include_str!("../../vectors/authenticate_aes.txt"),
    include_str!("../../vectors/authenticate_des.txt"),
    include_str!("../../vectors/authenticate_ev2_first.txt"),
    include_str!("../../vectors/authenticate_ev2_non_first.txt"),
    include_str!("../../vectors/change_key.txt"),
    include_str!("../../vectors/checksum.txt"),
    include_str!("../../vectors/cmac.txt"),
    include_str!("../../vectors/delegation.txt"),
    include_str!("../../vectors/diversification.txt"),
    include_str!("../../vectors/ev1_messaging.txt"),
    include_str!("../../vectors/ev2_exchanges.txt"),
    include_str!("../../vectors/originality.txt"),
    include_str!("../../vectors/secure_messaging.txt"),
    include_str!("../../vectors/transaction_mac.txt"),
];

/// Marks what this project computed itself: no proof of anything but that nothing has changed.
const COMPUTED_HERE: &str = "of this project: computed";

/// Marks what another project computed: neither printed by the maker or a standard, nor captured from a card.
const COMPUTED_BY_OTHERS: &str = "[third-party computed";

#[test]
fn every_vector_holds() {
    let vectors: Vec<Vector> = FILES.iter().flat_map(|file| vectors::parse(file)).collect();
    let mut sessions = ev1::Sessions::default();
    for vector in &vectors {
        check(vector, &mut sessions);
    }
    let marked = |mark| vectors.iter().filter(|vector| vector.text("source").contains(mark)).count();
    let (others, passed) = (marked(COMPUTED_BY_OTHERS), vectors.len());
    let outside = passed - marked(COMPUTED_HERE);
    println!("known answers: {outside} outside, {passed} passed");
    println!("of those from outside {others} were computed by other projects");
    assert_eq!((outside, others, passed), (126, 17, 128), "a vector was lost or added; the README says these numbers");
}

fn check(vector: &Vector, sessions: &mut ev1::Sessions) {
    match vector.text("kind") {
        "aes_cmac" => primitives::aes_cmac(vector),
        "tdes_cmac" => primitives::tdes_cmac(vector),
        "cmac_subkeys" => primitives::cmac_subkeys(vector),
        "crc32" => primitives::crc32(vector),
        "an10922_aes128" => primitives::an10922_aes128(vector),
        "d40_auth" => primitives::d40_auth(vector),
        "ev1_auth_aes" => ev1::authenticate_aes(vector),
        "ev1_auth_iso_des" => ev1::authenticate_iso(vector),
        "ev1_cmac_chain" => ev1::cmac_chain(vector),
        "ev1_des_cmac_chain" => ev1::des_cmac_chain(vector),
        "ev1_exchange" => sessions.exchange(vector),
        "ev1_changekey_aes" => ev1::change_key(vector),
        "ev1_changekey_2k3des" => ev1::change_key_2k3des(vector),
        "ev2_first" => ev2::first(vector),
        "ev2_nonfirst" => ev2::non_first(vector),
        "ev2_iv" => ev2::initialization_vector(vector),
        "ev2_mac" => ev2::mac(vector),
        "ev2_full_command" => ev2::full_command(vector),
        "ev2_full_response" => ev2::full_response(vector),
        "ev2_decrypt_response" => ev2::decrypt_response(vector),
        "ev2_command" => drop(ev2::command(vector)),
        "ev2_exchange" => ev2::exchange(vector),
        "ev2_changekey" => ev2::change_key(vector),
        "tmac_keys" => back_office::tmac_keys(vector),
        "tmac_value" => back_office::tmac_value(vector),
        "tmac_model" => back_office::tmac_model(vector),
        "tmac_readerid" => back_office::previous_reader_id(vector),
        "dam_enck" => back_office::delegated_default_key(vector),
        "dam_mac" => back_office::delegation(vector),
        "originality" => back_office::originality(vector),
        other => panic!("{vector:?}: no test for the kind {other}"),
    }
}

fn byte(index: usize) -> u8 {
    u8::try_from(index).expect("an index into a few bytes")
}
