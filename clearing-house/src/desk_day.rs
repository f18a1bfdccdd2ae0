//! The desks' day: what each desk took and gave, so that finance can compare it with the till.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use transit::action::{Action, ActionKind, Step};
use transit::id::{DeviceId, OperatorId};
use transit::money::Currency;
use transit::time::ServiceDay;

use crate::backing;
use crate::clearing_house::ClearingHouse;
use crate::ledger::moved;
use crate::store::{Books, StoreError};

/// What the desks did on one service day, as far as the books know now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeskDays {
    /// The day.
    pub service_day: ServiceDay,
    /// Every desk that did something.
    pub desks: Vec<DeskDay>,
    /// The currency of every amount.
    pub currency: Currency,
}

/// What one desk did. Amounts are minor units; a step that is unknown counts in `unknown` until its card shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeskDay {
    /// The desk.
    pub desk: DeviceId,
    /// Whose.
    pub operator: OperatorId,
    /// How often each step of each kind of action was made, such as `top_up written`.
    pub steps: BTreeMap<String, u64>,
    /// Cash taken.
    pub taken_minor: i64,
    /// Cash given back for what was paid and not written.
    pub given_back_minor: i64,
    /// Cash paid out for the value of cards.
    pub paid_out_minor: i64,
    /// What the till must have gained: taken, less given back and paid out.
    pub till_minor: i64,
    /// What each member of staff must have gained of it.
    pub till_by_staff_minor: BTreeMap<u32, i64>,
    /// Written on cards for cash: value and passes.
    pub written_minor: i64,
    /// Of what was written or given back, what no payment and no exchanged card backs: nobody paid for it.
    pub unbacked_minor: i64,
    /// Steps that were paid on this day and are neither written nor given back yet: what the desk must finish.
    pub waiting: Vec<String>,
    /// Steps of this day of which no card has shown yet whether it took them.
    pub unknown: Vec<String>,
}

impl ClearingHouse {
    /// What the desks did on the service day `day`.
    ///
    /// # Errors
    /// [`StoreError`] where the books cannot be read.
    pub fn desk_day(&mut self, day: ServiceDay) -> Result<DeskDays, StoreError> {
        let Self { store, config } = self;
        let books = store.view()?;
        let calendar = config.tariffs.calendar();
        let (first, last) = calendar.span(day);
        let mut desks: BTreeMap<DeviceId, DeskDay> = BTreeMap::new();
        for action in books.actions_between(first.0, last.0)? {
            let desk = desks.entry(action.id.device).or_insert_with(|| DeskDay::new(&action));
            desk.add(&books, &action)?;
        }
        let currency = config.tariffs.currency().clone();
        Ok(DeskDays { service_day: day, desks: desks.into_values().collect(), currency })
    }
}

impl DeskDay {
    fn new(action: &Action) -> Self {
        Self {
            desk: action.id.device,
            operator: action.operator,
            steps: BTreeMap::new(),
            taken_minor: 0,
            given_back_minor: 0,
            paid_out_minor: 0,
            till_minor: 0,
            till_by_staff_minor: BTreeMap::new(),
            written_minor: 0,
            unbacked_minor: 0,
            waiting: Vec::new(),
            unknown: Vec::new(),
        }
    }

    fn add(&mut self, books: &Books<'_>, action: &Action) -> Result<(), StoreError> {
        *self.steps.entry(format!("{} {}", action.kind.name(), action.step.name())).or_insert(0) += 1;
        let (amount, moved) = (action.amount.minor(), moved(action).minor());
        let has_entry = !books.entries_of(action.id)?.is_empty();
        let mut cash = 0;
        match action.step {
            Step::Paid => {
                cash = amount;
                self.taken_minor = sum(self.taken_minor, amount)?;
                if !finished(books, action)? {
                    self.waiting.push(action.id.to_string());
                }
            }
            Step::Refunded => {
                cash = -amount;
                self.given_back_minor = sum(self.given_back_minor, amount)?;
            }
            Step::Written | Step::Unknown if has_entry => {
                if action.kind == ActionKind::Refund {
                    cash = -moved;
                    self.paid_out_minor = sum(self.paid_out_minor, moved)?;
                } else if action.kind.takes_cash() {
                    self.written_minor = sum(self.written_minor, moved)?;
                }
            }
            Step::Unknown if books.is_pending(action)? && !books.is_said_void(action.id)? => {
                self.unknown.push(action.id.to_string())
            }
            Step::Written | Step::Unknown | Step::Void | Step::Confirmed { .. } | Step::Voided { .. } | Step::Done => {}
        }
        self.unbacked_minor = sum(self.unbacked_minor, unbacked(books, action)?)?;
        self.till_minor = sum(self.till_minor, cash)?;
        if cash != 0 {
            let of_staff = self.till_by_staff_minor.entry(action.staff).or_insert(0);
            *of_staff = sum(*of_staff, cash)?;
        }
        Ok(())
    }
}

/// Whether what was paid in this step is on a card, or was given back.
fn finished(books: &Books<'_>, paid: &Action) -> Result<bool, StoreError> {
    for step in books.later_steps(paid.id)? {
        if step.step == Step::Refunded || !books.entries_of(step.id)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What nothing backs of what this step wrote or gave back.
fn unbacked(books: &Books<'_>, action: &Action) -> Result<i64, StoreError> {
    let first = backing::first_of(action);
    let endings = backing::endings(first, &books.known_steps(first)?);
    Ok(endings.iter().filter(|ending| ending.step == action.id).map(|ending| ending.unbacked.minor()).sum())
}

fn sum(a: i64, b: i64) -> Result<i64, StoreError> {
    a.checked_add(b).ok_or_else(|| StoreError::Damaged("the sums of a desk's day overflow".to_owned()))
}

impl fmt::Display for DeskDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let money = |minor| self.currency.display(minor).to_string();
        for desk in &self.desks {
            writeln!(f, "Desk {} of operator {}, service day {}", desk.desk, desk.operator.0, self.service_day)?;
            for (step, count) in &desk.steps {
                writeln!(f, "  {step:<28}{count:>6}")?;
            }
            let amounts = [
                ("Cash taken", desk.taken_minor),
                ("Given back", -desk.given_back_minor),
                ("Paid out of cards", -desk.paid_out_minor),
                ("The till gained", desk.till_minor),
            ];
            for (name, minor) in amounts {
                writeln!(f, "  {name:<28}{:>20}", money(minor))?;
            }
            for (staff, minor) in &desk.till_by_staff_minor {
                writeln!(f, "  {:<28}{:>20}", format!("… with staff {staff}"), money(*minor))?;
            }
            writeln!(f, "  {:<28}{:>20}", "Written on cards for cash", money(desk.written_minor))?;
            writeln!(f, "  {:<28}{:>20}", "Unbacked by any payment", money(desk.unbacked_minor))?;
            for (name, steps) in [("Paid, not finished", &desk.waiting), ("Card not seen since", &desk.unknown)] {
                if !steps.is_empty() {
                    writeln!(f, "  {name:<28}{}", steps.join(" "))?;
                }
            }
        }
        writeln!(f, "Service day {}: {} desk(s)", self.service_day, self.desks.len())
    }
}
