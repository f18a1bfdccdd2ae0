//! What everyone should owe, worked out the simple way: from what the cards really committed, and the public fare.
//!
//! No code of the product that knows money, days or records is used here; the card in memory is the truth.

use std::collections::BTreeMap;

use crate::seeded_event::{CardPlan, GatePlan, Profile};

/// The fare of a ride in dong: routes under 15 km since 1 November 2024.
pub const FARE: i64 = 8_000;

/// The name of a tap: device, epoch, sequence.
pub type Name = (u32, u8, u32);

/// What can be seen of a card from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardState {
    /// What its purse holds, in dong.
    pub purse: i64,
    /// How many transactions it has committed.
    pub counter: u32,
    /// Its newest record.
    pub record: Vec<u8>,
}

/// A transaction that a card committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The card's place in the plan.
    pub card: usize,
    /// Whose validator it was.
    pub operator: u16,
    /// What the card lost, in dong.
    pub debit: i64,
    /// What the ride costs, in dong.
    pub fare: i64,
}

/// A load that a card committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The card's place in the plan.
    pub card: usize,
    /// The number of the record that it wrote.
    pub record: u32,
    /// What the card got, in dong.
    pub amount: i64,
}

/// The model: what the cards did, in order.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// What was on the cards at the beginning, in dong.
    pub issued: i64,
    /// Every commit, by the name that the card's record gives it.
    pub commits: BTreeMap<Name, Commit>,
    /// Every load, by the name that the card's record gives it.
    pub loads: BTreeMap<Name, Load>,
    /// What riders paid at the desk in cash, in dong.
    pub cash: i64,
    /// How often riders were let in, by card.
    pub admitted: BTreeMap<usize, u32>,
    /// Rides of denied cards at validators that had them on their list.
    pub denied_rides: Vec<String>,
    /// What no card should do.
    pub wrong: Vec<String>,
}

impl Model {
    /// Notes what a presentation did to a card, and whether its rider was let in. `clock` is the validator's, in Unix
    /// seconds.
    pub fn presented(
        &mut self,
        (place, card): (usize, &CardPlan),
        (gate, clock): (&GatePlan, u32),
        (before, after): (&CardState, &CardState),
        admitted: bool,
    ) {
        if admitted {
            *self.admitted.entry(place).or_default() += 1;
        }
        match after.counter.checked_sub(before.counter) {
            Some(0) if before == after => {}
            Some(1) => {
                let debit = before.purse - after.purse;
                let commit = Commit { card: place, operator: gate.operator, debit, fare: fare(card, clock) };
                let name = name_in(&after.record);
                if name.0 != gate.device || self.commits.insert(name, commit).is_some() {
                    self.wrong.push(format!("card {place} has a record of tap {name:?}, made at {}", gate.device));
                }
            }
            _ => self.wrong.push(format!(
                "card {place} went from {} dong after {} transactions to {} after {} in one tap",
                before.purse, before.counter, after.purse, after.counter
            )),
        }
    }

    /// Notes what a visit to the desk did to a card, and what its rider paid.
    pub fn served(&mut self, place: usize, (before, after): (&CardState, &CardState), paid: i64) {
        self.cash += paid;
        match after.counter.checked_sub(before.counter) {
            Some(0) if before == after => {}
            Some(1) => {
                let load = Load { card: place, record: number_in(&after.record), amount: after.purse - before.purse };
                if self.loads.insert(name_in(&after.record), load).is_some() {
                    self.wrong.push(format!("card {place} was loaded twice under one name"));
                }
            }
            _ => {
                self.wrong.push(format!("card {place} went from {} to {} dong at the desk", before.purse, after.purse))
            }
        }
    }

    /// How often riders were let in beyond the commits of their cards, by card.
    pub fn beyond_debits(&self) -> BTreeMap<usize, u32> {
        let beyond = self.admitted.iter().map(|(card, rides)| {
            let commits = self.commits.values().filter(|commit| commit.card == *card).count();
            (*card, rides.saturating_sub(u32::try_from(commits).unwrap_or(u32::MAX)))
        });
        beyond.filter(|(_, rides)| *rides > 0).collect()
    }

    /// What each operator is owed, in dong.
    pub fn owed(&self) -> BTreeMap<u16, i64> {
        let mut owed = BTreeMap::new();
        for commit in self.commits.values() {
            *owed.entry(commit.operator).or_default() += commit.fare;
        }
        owed
    }
}

/// What a ride costs the holder of this card, in dong.
fn fare(card: &CardPlan, clock: u32) -> i64 {
    let day = service_day(clock);
    let free = card.profile == Profile::SixtyPlus && day <= card.profile_until;
    let pass = card.pass.is_some_and(|(first, last)| first <= day && day <= last);
    if free || pass { 0 } else { FARE }
}

/// Days since 2000-01-01; a service day begins at 04:00, and Hanoi is seven hours ahead of UTC.
fn service_day(clock: u32) -> u16 {
    let days = (i64::from(clock) + 7 * 3600 - 4 * 3600).div_euclid(86_400) - 10_957;
    u16::try_from(days.max(0)).unwrap_or(u16::MAX)
}

/// The tap that a card's record names: bytes 4 to 6 the device, 7 the epoch, 8 to 11 the sequence.
fn name_in(record: &[u8]) -> Name {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
    let part = |range: std::ops::Range<usize>| record.get(range).map_or(0, number);
    (part(4..7), record.get(7).copied().unwrap_or(0), part(8..12))
}

/// The number of a card's record: bytes 1 to 3.
fn number_in(record: &[u8]) -> u32 {
    record.get(1..4).map_or(0, |bytes| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}
