//! The cards of a city from a seed: virtual cards, made from card files that are written for them.

use std::fs;
use std::path::{Path, PathBuf};

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use virtual_card::distortion::distorted;
use virtual_card::{CardInField, Fault, Fixture, Picc, TestKeys};

use crate::Failed;
use crate::seeded_event::{CardPlan, Mishap, Plan, Profile};
use crate::seeded_model::CardState;

/// What can be seen of a card from outside.
pub(crate) fn state_of(fixture: &Fixture, card: &Picc) -> Result<CardState, Failed> {
    let purse = fixture.purse(card).map(i64::from);
    let record = fixture.records(card).and_then(|records| records.into_iter().next());
    match (purse, fixture.transaction_counter(card), record) {
        (Some(purse), Some(counter), Some(record)) => Ok(CardState { purse, counter, record }),
        _ => Err(Failed::Unexpected("a card has lost its application".to_owned())),
    }
}

/// Makes the cards of `plan`; their files are in `cards` in `folder`.
pub(crate) fn issue(plan: &Plan, folder: &Path, fixtures: &Path) -> Result<Vec<(Fixture, Option<Picc>)>, Failed> {
    let cards = folder.join("cards");
    let making = |path: &Path| Failed::system(format!("writing {}", path.display()));
    fs::create_dir_all(&cards).map_err(making(&cards))?;
    let layout = cards.join("layout-1.toml");
    fs::copy(fixtures.join("cards/layout-1.toml"), &layout).map_err(making(&layout))?;
    let keys = TestKeys::load(&fixtures.join("keys/test-card-keys.toml")).map_err(Failed::unexpected)?;
    // Every time on these cards is written as a number.
    let moment = virtual_card::Moment { now: plan.begins_at, today: 0 };
    let mut issued = Vec::new();
    for (number, card) in (0..).zip(&plan.cards) {
        let path: PathBuf = cards.join(format!("{}.toml", card.uid));
        fs::write(&path, card_file(card)).map_err(making(&path))?;
        let fixture = Fixture::load(&path, &keys, moment).map_err(Failed::unexpected)?;
        let mut random = ChaCha8Rng::seed_from_u64(plan.seed ^ (number + 1) << 40);
        let card = fixture.card(Box::new(move || random.random()));
        issued.push((fixture, Some(card)));
    }
    Ok(issued)
}

fn card_file(card: &CardPlan) -> String {
    let CardPlan { uid, purse, profile, profile_until, pass } = card;
    let profile = match profile {
        Profile::Ordinary => 0,
        Profile::Student => 1,
        Profile::SixtyPlus => 3,
    };
    let product = u8::from(pass.is_some()) | u8::from(profile != 0) << 1;
    let pass = pass.map_or_else(String::new, |(first, last)| {
        format!("product1_kind = 1\nproduct1_route = 1\nproduct1_valid_from = {first}\nproduct1_valid_until = {last}\n")
    });
    format!(
        r#"uid = "{uid}"
chip = "EV2"
frame_size = 128
layout = "layout-1.toml"
genuine = false

[purse]
value = {purse}
lower_limit = 0
upper_limit = 2000000

[record]
layout_version = 1
kind = 0
card_sequence = 1
balance_after = {purse}
product = {product}
profile = {profile}

[issuer]
layout_version = 1
profile = {profile}
profile_valid_until = {profile_until}
{pass}"#
    )
}

/// Lays a card into a field in which `mishap` happens.
pub(crate) fn in_field(card: Picc, mishap: Option<Mishap>) -> CardInField {
    let field = CardInField::new(card);
    match mishap {
        None | Some(Mishap::PowerLost | Mishap::ProcessDies { exchange: None, .. }) => field,
        Some(Mishap::LostBefore { exchange } | Mishap::ProcessDies { exchange: Some(exchange), card_acts: false }) => {
            field.with_fault(Fault::LoseBefore(exchange))
        }
        Some(Mishap::LostAfter { exchange } | Mishap::ProcessDies { exchange: Some(exchange), card_acts: true }) => {
            field.with_fault(Fault::LoseAfter(exchange))
        }
        Some(Mishap::LostInAnswer { exchange, arrived }) => field.with_fault(Fault::LoseInAnswer(exchange, arrived)),
        Some(Mishap::Silent { exchange }) => field.with_fault(Fault::Hold(exchange)),
        Some(Mishap::Distorted { exchange, seed }) => {
            field.with_mutation(Box::new(
                move |number, answer| {
                    if number == exchange { distorted(&answer, seed) } else { answer }
                },
            ))
        }
    }
}
