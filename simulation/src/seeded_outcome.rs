//! What is left of a city from a seed after its run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ring::digest::{SHA256, digest};
use transit::action::SealedAction;
use transit::id::TapId;
use transit::tap::{Outcome, SealedTap};

use crate::Failed;
use crate::seeded_clearing_house::{Books, House};
use crate::seeded_desk::Desk;
use crate::seeded_event::Plan;
use crate::seeded_gate::{Acknowledged, Gate};
use crate::seeded_model::Model;

/// Past every deadline of a pending tap.
const LONG_AFTER_S: u32 = 100 * 86_400;

/// How often each kind of thing happened, by name.
pub type Happened = BTreeMap<&'static str, u64>;

/// A city at its end: no validator works any more, everything is settled.
#[derive(Debug)]
pub struct Ended {
    pub(crate) plan: Plan,
    pub(crate) gates: Vec<Gate>,
    pub(crate) desk: Desk,
    pub(crate) house: House,
    pub(crate) in_order: House,
    /// What the cards did.
    pub model: Model,
    pub(crate) on_cards: i64,
    pub(crate) acknowledged: BTreeMap<TapId, Acknowledged>,
    pub(crate) lost: Vec<String>,
    pub(crate) happened: Happened,
    pub(crate) trace: String,
}

/// What is left of a city after its run.
#[derive(Debug, Clone)]
pub struct Finished {
    /// What the cards did.
    pub model: Model,
    /// What is on the cards, in dong.
    pub on_cards: i64,
    /// What the clearing house acknowledged, as validators believed.
    pub acknowledged: BTreeMap<TapId, Acknowledged>,
    /// What of that was not there when a clearing house started again.
    pub lost: Vec<String>,
    /// The logs of the validators.
    pub logs: Vec<SealedTap>,
    /// The journal of the desk.
    pub journal: Vec<SealedAction>,
    /// The books of the clearing house.
    pub books: Books,
    /// The books of another clearing house, which got everything at once and in order.
    pub in_order: Books,
    /// How often each kind of thing happened.
    pub happened: Happened,
    /// What happened, a line for each step.
    pub trace: String,
}

impl Finished {
    /// SHA-256 over the trace.
    pub fn trace_digest(&self) -> String {
        hex::encode(digest(&SHA256, self.trace.as_bytes()))
    }
}

impl Ended {
    /// Looks into every log and both books.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn look(&mut self) -> Result<Finished, Failed> {
        let long_after = self.plan.ends_at + LONG_AFTER_S;
        let logs: Vec<_> = self.gates.iter().map(|gate| gate.taps_from(0)).collect::<Result<_, _>>()?;
        let books = self.house.books(long_after)?;
        let in_order = self.in_order.books(long_after)?;
        let mut happened = self.happened.clone();
        for tap in logs.iter().flatten().filter_map(|sealed| sealed.open().ok()) {
            *happened.entry(outcome_name(tap.outcome)).or_default() += 1;
        }
        let mut trace = self.trace.clone();
        let _ = writeln!(trace, "over: {} on the cards, {:?}", self.on_cards, books.balances);
        Ok(Finished {
            model: self.model.clone(),
            on_cards: self.on_cards,
            acknowledged: self.acknowledged.clone(),
            lost: self.lost.clone(),
            logs: logs.concat(),
            journal: self.desk.steps_from(0)?,
            books,
            in_order,
            happened,
            trace,
        })
    }
}

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "taps done",
        Outcome::Unknown => "taps unknown",
        Outcome::Void => "taps void",
        Outcome::Declined(_) => "taps declined",
        Outcome::Confirmed { .. } => "taps that confirm one",
        Outcome::Voided { .. } => "taps that void one",
        Outcome::Evidence => "taps of evidence",
    }
}
