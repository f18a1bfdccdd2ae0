//! A city from a seed, run: one clock, one queue, everything in this process.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use clearing_house::ingest::SignedAcknowledgement;
use key_store::{KeyStore, Keys};
use ring::digest::{SHA256, digest};
use transit::action::SealedAction;
use transit::desk::ACTIONS_PER_BATCH_MAX;
use transit::id::{CardToken, TapId};
use transit::screen::{AttentionReason, State};
use transit::tap::SealedTap;
use validator::config::Core;
use virtual_card::{Fixture, Picc};

use crate::Failed;
use crate::city::CLEARING_HOUSE_KEY;
use crate::seeded_card::{issue, state_of};
use crate::seeded_clearing_house::House;
use crate::seeded_desk::Desk;
use crate::seeded_event::{DeskVisit, GatePlan, Passage, Plan, Presentation, What};
use crate::seeded_gate::{Acknowledged, Gate, Upload};
use crate::seeded_model::Model;
use crate::seeded_outcome::{Ended, Happened};

/// How long a validator waits for the answer to an upload.
const ANSWER_WITHIN_S: u32 = 10;
/// How long a rider at the desk takes to lay a card down again.
const SECOND_TRY_AFTER_S: u32 = 6;

/// A city while it runs.
struct City<'a> {
    plan: &'a Plan,
    folder: &'a Path,
    fixtures: &'a Path,
    cards: Vec<(Fixture, Option<Picc>)>,
    gates: Vec<Gate>,
    desk: Desk,
    house: House,
    keys: Keys,
    denied: Vec<(usize, CardToken)>,
    /// How many of them each validator knows.
    listed: Vec<usize>,
    lost: Vec<String>,
    queue: BinaryHeap<Reverse<Due>>,
    next_number: u32,
    model: Model,
    acknowledged: BTreeMap<TapId, Acknowledged>,
    sealed_in_order: Vec<Sealed>,
    seen_of_log: Vec<usize>,
    seen_of_journal: usize,
    happened: Happened,
    trace: String,
}

/// What a device has sealed.
enum Sealed {
    Tap(SealedTap),
    Step(SealedAction),
}

/// What is due: ordered by time and number alone.
struct Due {
    at: u32,
    number: u32,
    what: Step,
}

/// An event of the plan, or what follows from one.
enum Step {
    Planned(What),
    /// An upload reaches the clearing house.
    Arrives {
        gate: usize,
        upload: Rc<Upload>,
        answer: Passage,
        chance: u32,
    },
    /// An answer reaches a validator.
    Answered {
        gate: usize,
        upload: Rc<Upload>,
        answer: Rc<SignedAcknowledgement>,
        chance: u32,
    },
    /// No answer came in time.
    NoAnswer {
        gate: usize,
        upload: u32,
        chance: u32,
    },
}

/// Runs `plan` in `folder`, which must be empty. The logs are in `gate-…/log/tap-log.db`, the books in
/// `clearing-house/books.sqlite` and `in-order/books.sqlite`.
///
/// # Errors
/// What no fault of the plan explains.
pub fn run(plan: &Plan, folder: &Path, fixtures: &Path) -> Result<Ended, Failed> {
    let mut city = City::new(plan, folder, fixtures)?;
    while let Some(Reverse(due)) = city.queue.pop() {
        city.step(due)?;
    }
    city.end()
}

impl<'a> City<'a> {
    fn new(plan: &'a Plan, folder: &'a Path, fixtures: &'a Path) -> Result<Self, Failed> {
        let gates = plan
            .gates
            .iter()
            .map(|gate| {
                let own = folder.join(format!("gate-{}", gate.device));
                Gate::new(*gate, own, &core_configuration(*gate, fixtures, false), plan.seed)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let any = folder.join(format!("gate-{}/core.toml", plan.gates[0].device));
        let keys = Core::load(&any, None).map_err(Failed::unexpected)?.keys;
        let cards = issue(plan, folder, fixtures)?;
        let planned = plan
            .events
            .iter()
            .map(|event| Reverse(Due { at: event.at, number: event.number, what: Step::Planned(event.what.clone()) }));
        let issued = plan.cards.iter().map(|card| i64::from(card.purse)).sum();
        Ok(Self {
            plan,
            folder,
            fixtures,
            seen_of_log: vec![0; gates.len()],
            seen_of_journal: 0,
            desk: Desk::new(folder.join("desk"), fixtures, plan.seed)?,
            cards,
            gates,
            house: House::new(&folder.join("clearing-house"), fixtures, &plan.gates)?,
            keys,
            denied: Vec::new(),
            listed: vec![0; plan.gates.len()],
            lost: Vec::new(),
            queue: planned.collect(),
            next_number: u32::try_from(plan.events.len()).unwrap_or(u32::MAX),
            model: Model { issued, ..Model::default() },
            acknowledged: BTreeMap::new(),
            sealed_in_order: Vec::new(),
            happened: Happened::new(),
            trace: String::new(),
        })
    }

    fn count(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }

    fn later(&mut self, at: u32, what: Step) {
        self.queue.push(Reverse(Due { at, number: self.next_number, what }));
        self.next_number += 1;
    }

    fn step(&mut self, due: Due) -> Result<(), Failed> {
        let Due { at, number, what } = due;
        let (told, outcome) = match what {
            Step::Planned(what) => {
                let told = serde_json::to_string(&what).map_err(Failed::unexpected)?;
                (told, self.planned(at, number, what)?)
            }
            Step::Arrives { gate, upload, answer, chance } => (
                format!("upload {} of gate {gate} arrives", upload.number),
                self.arrives(at, gate, upload, answer, chance)?,
            ),
            Step::Answered { gate, upload, answer, chance } => {
                let told = format!("answer to upload {} of gate {gate}", upload.number);
                (told, self.answered(at, gate, &upload, &answer, chance))
            }
            Step::NoAnswer { gate, upload, chance } => {
                if self.gates[gate].no_answer(at, upload, chance) {
                    self.count("uploads that no answer came to in time");
                }
                return Ok(());
            }
        };
        // A string takes everything that is written to it.
        let _ = writeln!(self.trace, "{at} {number} {told}: {outcome}");
        Ok(())
    }

    fn planned(&mut self, at: u32, number: u32, what: What) -> Result<String, Failed> {
        let done = |()| "done".to_owned();
        match what {
            What::Tap(presentation) => self.tap(at, presentation),
            What::Upload { gate, request, answer, chance } => self.upload(at, number, gate, &request, &answer, chance),
            What::UploadAll { gate } => self.upload_all(at, number, gate),
            What::Desk(visit) => self.visit(at, visit),
            What::DeskSync { arrives, returns } => {
                let believed = self.desk.sync(&mut self.house, at, (arrives, returns))?;
                let count = believed.len();
                self.acknowledged.extend(believed.into_iter().map(|said| (said.tap, said)));
                Ok(format!("{count} acknowledged"))
            }
            What::DeskRestart => {
                self.desk.restart()?;
                self.look_into_journal().map(done)
            }
            What::Restart { gate, cursor_lost } => {
                self.gates[gate].restart(cursor_lost)?;
                self.look_into_log(gate).map(done)
            }
            What::ClockJump { gate, by_s } => {
                self.count("clocks that jumped");
                self.gates[gate].clock_ahead_s += by_s;
                Ok(format!("{} s ahead", self.gates[gate].clock_ahead_s))
            }
            What::ClockSet { gate } => {
                self.gates[gate].clock_ahead_s = 0;
                Ok(done(()))
            }
            What::DiskFault { gate, write, after_taps, lasts } => {
                self.gates[gate].refuse(write, after_taps, lasts).map(done)
            }
            What::DiskRepair { gate } => self.gates[gate].repair().map(done),
            What::ClearingHouseDies { table, after_rows } => self.house.will_die(table, after_rows).map(done),
            What::ClearingHouseRestart => {
                self.house.mend()?;
                self.house.restart()?;
                self.look_for_acknowledged(at).map(done)
            }
            What::Deny { card } => {
                let uid = self.cards[card].0.identity().uid;
                self.denied.push((card, self.keys.token(&uid).map_err(Failed::unexpected)?));
                self.write_deny_list().map(done)
            }
            What::ConfigPush { gate } => {
                let listed = !self.denied.is_empty();
                let configuration = core_configuration(self.plan.gates[gate], self.fixtures, listed);
                self.gates[gate].configure(&configuration)?;
                self.listed[gate] = self.denied.len();
                self.look_into_log(gate).map(done)
            }
            What::Settle { day } => self.house.settle(day, at),
        }
    }

    fn tap(&mut self, at: u32, presentation: Presentation) -> Result<String, Failed> {
        let Presentation { card: place, gate: number, mishap, idle_after, mut again } = presentation;
        let (fixture, pocket) = &mut self.cards[place];
        let Some(card) = pocket.take() else { return Err(Failed::Unexpected(format!("card {place} is nowhere"))) };
        let before = state_of(fixture, &card)?;
        let gate = &mut self.gates[number];
        let clock = gate.clock(at).0;
        let (card, shown) = gate.present(card, &fixture.identity().uid, at, mishap)?;
        if idle_after {
            gate.idle()?;
        }
        let after = state_of(fixture, &card)?;
        *pocket = Some(card);
        let admitted = matches!(shown, Some(State::Accepted { .. }));
        let who = (place, &self.plan.cards[place]);
        self.model.presented(who, (&self.plan.gates[number], clock), (&before, &after), admitted);
        self.count(match &shown {
            None => "out of service",
            Some(State::PresentAgain) => "present again",
            Some(State::Accepted { recovered: true, .. }) => "accepted on an earlier debit",
            Some(State::Accepted { .. }) => "accepted",
            Some(State::Declined { .. }) => "declined",
            Some(State::Attention { reason: AttentionReason::PaidBeforePowerLoss }) => "paid before the power went",
            Some(State::Attention { .. }) => "already paid",
            Some(State::Idle | State::OutOfService { .. }) => "something else",
        });
        let is_listed = self.denied[..self.listed[number]].iter().any(|(denied, _)| *denied == place);
        if is_listed && before != after {
            self.model
                .denied_rides
                .push(format!("card {place} was debited at {at} at gate {number}, which knew that it is denied"));
        }
        self.look_into_log(number)?;
        if matches!(shown, None | Some(State::PresentAgain)) && !again.is_empty() {
            let next = again.remove(0);
            let presentation = Presentation { card: place, gate: next.gate, mishap: next.mishap, idle_after, again };
            self.later(at + next.after_s, Step::Planned(What::Tap(presentation)));
        }
        Ok(format!("{shown:?}, {} after {}", after.purse, after.counter))
    }

    fn visit(&mut self, at: u32, visit: DeskVisit) -> Result<String, Failed> {
        let DeskVisit { card: place, amount, if_below, mishap, mut again } = visit;
        let (fixture, pocket) = &mut self.cards[place];
        let Some(card) = pocket.take() else { return Err(Failed::Unexpected(format!("card {place} is nowhere"))) };
        let before = state_of(fixture, &card)?;
        let wanted = (before.purse < if_below).then_some(amount);
        let (card, visit) = self.desk.serve(card, &fixture.identity().uid, at, wanted, mishap)?;
        let after = state_of(fixture, &card)?;
        *pocket = Some(card);
        self.model.served(place, (&before, &after), visit.paid);
        self.look_into_journal()?;
        self.count(match (visit.paid > 0, visit.again) {
            (true, false) => "loads",
            (true, true) => "loads that were torn",
            (false, false) => "visits to the desk without cash",
            (false, true) => "settlements that were torn",
        });
        if visit.again && !again.is_empty() {
            let mishap = again.remove(0);
            // What is open is settled; the rider hands nothing over again.
            let next = DeskVisit { card: place, amount, if_below: i64::MIN, mishap, again };
            self.later(at + SECOND_TRY_AFTER_S, Step::Planned(What::Desk(next)));
        }
        Ok(format!("{}, {} after {}", visit.told, after.purse, after.counter))
    }

    fn look_into_journal(&mut self) -> Result<(), Failed> {
        let new = self.desk.steps_from(self.seen_of_journal)?;
        self.seen_of_journal += new.len();
        self.sealed_in_order.extend(new.into_iter().map(Sealed::Step));
        Ok(())
    }

    /// A clearing house that has just started has everything that it had acknowledged.
    fn look_for_acknowledged(&mut self, at: u32) -> Result<(), Failed> {
        let held = self.house.hashes()?;
        let lost = self.acknowledged.values().filter(|said| !held.contains(&said.hash[..]));
        self.lost.extend(lost.map(|said| format!("tap {} was acknowledged and lost before {at}", said.tap)));
        Ok(())
    }

    /// Notes the order in which taps were sealed, over all validators.
    fn look_into_log(&mut self, gate: usize) -> Result<(), Failed> {
        let seen = self.seen_of_log[gate];
        let new = self.gates[gate].taps_from(seen)?;
        self.seen_of_log[gate] += new.len();
        self.sealed_in_order.extend(new.into_iter().map(Sealed::Tap));
        Ok(())
    }

    fn upload(
        &mut self,
        at: u32,
        number: u32,
        gate: usize,
        request: &Passage,
        answer: &Passage,
        chance: u32,
    ) -> Result<String, Failed> {
        let Some(upload) = self.gates[gate].next_upload(at, number)? else { return Ok("nothing".to_owned()) };
        let told = format!("from {} {} bytes", upload.first, upload.body.len());
        let upload = Rc::new(upload);
        self.count(match request.0.len() {
            0 => "uploads dropped",
            1 => "uploads",
            _ => "uploads doubled",
        });
        for delay_s in &request.0 {
            let upload = Rc::clone(&upload);
            self.later(at + delay_s, Step::Arrives { gate, upload, answer: answer.clone(), chance });
        }
        self.later(at + ANSWER_WITHIN_S, Step::NoAnswer { gate, upload: number, chance });
        Ok(told)
    }

    fn arrives(
        &mut self,
        at: u32,
        gate: usize,
        upload: Rc<Upload>,
        answer: Passage,
        chance: u32,
    ) -> Result<String, Failed> {
        let Some(said) = self.house.receive(&upload.body, at)? else {
            self.count("the clearing house died at an upload");
            self.look_for_acknowledged(at)?;
            return Ok("the clearing house dies".to_owned());
        };
        self.count(if answer.0.is_empty() { "answers dropped" } else { "answers" });
        let told = hex::encode(digest(&SHA256, said.text.as_bytes()));
        let said = Rc::new(said);
        for delay_s in answer.0 {
            let (upload, answer) = (Rc::clone(&upload), Rc::clone(&said));
            self.later(at + delay_s, Step::Answered { gate, upload, answer, chance });
        }
        Ok(told)
    }

    fn answered(
        &mut self,
        at: u32,
        gate: usize,
        upload: &Upload,
        answer: &SignedAcknowledgement,
        chance: u32,
    ) -> String {
        let of = (upload.number, upload.first);
        let believed = self.gates[gate].answered(at, of, (&answer.text, &answer.signature), chance);
        let count = believed.len();
        self.acknowledged.extend(believed.into_iter().map(|said| (said.tap, said)));
        format!("{count} acknowledged")
    }

    fn upload_all(&mut self, at: u32, number: u32, gate: usize) -> Result<String, Failed> {
        let mut uploads = 0;
        self.gates[gate].network_is_back();
        while let Some(upload) = self.gates[gate].next_upload(at, number)? {
            let Some(said) = self.house.receive(&upload.body, at)? else { continue };
            self.answered(at, gate, &upload, &said, 0);
            uploads += 1;
            self.gates[gate].network_is_back();
        }
        Ok(format!("{uploads} uploads"))
    }

    fn write_deny_list(&self) -> Result<(), Failed> {
        let cards: Vec<_> = self.denied.iter().map(|(_, token)| format!("\"{token}\"")).collect();
        let text = format!("version = {}\ncards = [{}]\n", self.denied.len(), cards.join(", "));
        for gate in &self.plan.gates {
            let path = self.folder.join(format!("gate-{}/deny-list.toml", gate.device));
            fs::write(&path, &text).map_err(Failed::system(format!("writing {}", path.display())))?;
        }
        Ok(())
    }

    /// Everything is settled, here and by a clearing house that gets everything at once and in order.
    fn end(mut self) -> Result<Ended, Failed> {
        let ends_at = self.plan.ends_at;
        self.house.settle_all(ends_at)?;
        let mut in_order = House::new(&self.folder.join("in-order"), self.fixtures, &self.plan.gates)?;
        let same_kind = |one: &Sealed, other: &Sealed| matches!(one, Sealed::Tap(_)) == matches!(other, Sealed::Tap(_));
        for part in self.sealed_in_order.chunk_by(same_kind).flat_map(|part| part.chunks(ACTIONS_PER_BATCH_MAX)) {
            let body: Vec<u8> = part.iter().flat_map(|sealed| sealed.as_bytes().iter().copied()).collect();
            match part[0] {
                Sealed::Tap(_) => in_order.receive(&body, ends_at)?,
                Sealed::Step(_) => in_order.receive_actions(&body, ends_at)?,
            };
        }
        in_order.settle_all(ends_at)?;
        let mut on_cards = 0;
        for (fixture, card) in &self.cards {
            let Some(card) = card else { continue };
            on_cards += state_of(fixture, card)?.purse;
        }
        self.gates.iter_mut().for_each(Gate::end);
        self.desk.end();
        let over_gates = |count: fn(&Gate) -> u64| self.gates.iter().map(count).sum();
        self.happened.insert("writes that a disk refused", over_gates(|gate| gate.refused_writes));
        self.happened.insert("intents of a dead process", over_gates(|gate| gate.adopted_intents));
        self.happened.insert("cards denied", self.denied.len() as u64);
        Ok(Ended {
            plan: self.plan.clone(),
            gates: self.gates,
            desk: self.desk,
            house: self.house,
            in_order,
            model: self.model,
            on_cards,
            acknowledged: self.acknowledged,
            lost: self.lost,
            happened: self.happened,
            trace: self.trace,
        })
    }
}

impl Sealed {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Tap(tap) => tap.as_bytes(),
            Self::Step(step) => step.as_bytes(),
        }
    }
}

fn core_configuration(gate: GatePlan, fixtures: &Path, listed: bool) -> String {
    let GatePlan { device, operator, stop, .. } = gate;
    let fixtures = fixtures.display();
    let deny_list = if listed { "deny_list = \"deny-list.toml\"\n" } else { "" };
    format!(
        r#"device = {device}
operator = {operator}
line = 1
stop = {stop}
reader = "none"
tariff = "{fixtures}/hanoi/tariff.toml"
{deny_list}keys = "{fixtures}/keys/test-validator-keys.toml"
keys_class = "test"
log = "log/tap-log.db"
panel_socket = "panel.sock"
link_socket = "link.sock"
clearing_house_public_key = "{CLEARING_HOUSE_KEY}"
"#
    )
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
