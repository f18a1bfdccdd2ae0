//! A city made from a seed: who rides when, and everything that goes wrong.
//!
//! Three service days with a month's end after the second, so that passes run out. How often each kind of fault comes is
//! drawn for each seed anew: some cities have a good day, in some a single thing goes wrong all the time.

use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use transit::time::Month;

use crate::seeded_event::{
    Again, BooksTable, CardPlan, DeskVisit, Event, GatePlan, LogWrite, Mishap, Passage, Plan, Presentation, Profile,
    What,
};
use crate::seeded_timetable::{Direction, STAND_S, next_bus_s, passage_s, trips_of_bus};

/// Validators in the stations: number, operator, stop of line 1. Two of them stand side by side.
const STATIONS: [(u32, u16, u16); 6] =
    [(101, 1, 23), (102, 1, 23), (103, 2, 16), (104, 1, 1), (105, 3, 18), (106, 2, 5)];
/// Validators on buses: number, operator, and by how much the bus begins its day after the first departure, in seconds.
const BUSES: [(u32, u16, u32); 2] = [(201, 1, 0), (202, 4, 50 * 60)];
const DAYS: u32 = 3;
const DAY_S: u32 = 86_400;
const MINUTE_S: u32 = 60;
const HOUR_S: u32 = 3600;
/// Hanoi is seven hours ahead of UTC, all year.
const AHEAD_OF_UTC_S: u32 = 7 * HOUR_S;
/// 2000-01-01 in days since 1970-01-01.
const DAY_ZERO: u32 = 10_957;
/// The commit of a purse tap, where a torn tap hurts most.
const COMMIT: u32 = 7;
const EXCHANGES: u32 = 9;

/// The plan of `seed`.
pub fn plan(seed: u64) -> Plan {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut month: Month = "2026-11".parse().expect("a month");
    for _ in 0..random.random_range(0..24) {
        month = month.next();
    }
    let first_day = month.last_day().0 - 1;
    let begins_at = midnight(first_day);
    let weather = Weather::new(&mut random);
    let gates = gates(&mut random);
    let cards: Vec<_> = (0..random.random_range(18..26)).map(|number| card(&mut random, number, month)).collect();
    let faults_stop_at = begins_at + DAYS * DAY_S + HOUR_S;
    let mut maker = Maker { random, weather, first_day, cards: cards.len(), events: Vec::new() };
    maker.riders();
    maker.desk();
    maker.uploads();
    maker.validators();
    maker.clearing_house();
    maker.events.retain(|(at, _)| *at < faults_stop_at);
    let ends_at = maker.without_faults(faults_stop_at);
    let mut events = maker.events;
    events.sort_by_key(|(at, _)| *at);
    let events = (0..).zip(events).map(|(number, (at, what))| Event { at, number, what }).collect();
    Plan { seed, begins_at, faults_stop_at, ends_at, gates, cards, events }
}

/// Local midnight at the beginning of the day that is so many days after 2000-01-01, in Unix seconds.
fn midnight(day: u16) -> u32 {
    (u32::from(day) + DAY_ZERO) * DAY_S - AHEAD_OF_UTC_S
}

/// How often things go wrong, in thousandths.
struct Weather {
    torn: u32,
    dropped: u32,
    doubled: u32,
    delayed: u32,
    clock_jumps: u32,
    disk_faults: u32,
    restarts: u32,
    clearing_house: u32,
}

impl Weather {
    fn new(random: &mut ChaCha8Rng) -> Self {
        let mut rate = |often| *[0, often / 4, often, often].choose(random).expect("four rates");
        Self {
            torn: rate(180),
            dropped: rate(400),
            doubled: rate(300),
            delayed: rate(400),
            clock_jumps: rate(500),
            disk_faults: rate(600),
            restarts: rate(600),
            clearing_house: rate(800),
        }
    }
}

fn gates(random: &mut ChaCha8Rng) -> Vec<GatePlan> {
    let stations = STATIONS.map(|(device, operator, stop)| (device, operator, stop));
    let buses = BUSES.map(|(device, operator, _)| (device, operator, 1));
    let mut gate = |(device, operator, stop)| {
        let clock_ahead_s = if random.random_ratio(1, 3) { random.random_range(-180..=180) } else { 0 };
        GatePlan { device, operator, stop, clock_ahead_s }
    };
    stations.into_iter().chain(buses).map(&mut gate).collect()
}

fn card(random: &mut ChaCha8Rng, number: u32, month: Month) -> CardPlan {
    let pass_of = |month: Month| (month.first_day().0, month.last_day().0);
    let (profile, purse, pass) = match random.random_range(0..10) {
        0..=4 => (Profile::Ordinary, random.random_range(30_000..=200_000), None),
        5 => (Profile::Ordinary, random.random_range(0..=25_000), None),
        6 => (Profile::SixtyPlus, 0, None),
        7 => (Profile::Student, random.random_range(8_000..=60_000), Some(pass_of(month))),
        8 => (Profile::Student, random.random_range(8_000..=60_000), Some(pass_of(month.next()))),
        _ => (Profile::Ordinary, random.random_range(8_000..=60_000), Some(pass_of(month))),
    };
    let profile_until = if profile == Profile::Ordinary { 0 } else { month.last_day().0 + random.random_range(0..300) };
    CardPlan { uid: format!("04C0DE{number:08X}"), purse, profile, profile_until, pass }
}

struct Maker {
    random: ChaCha8Rng,
    weather: Weather,
    first_day: u16,
    cards: usize,
    events: Vec<(u32, What)>,
}

impl Maker {
    fn happens(&mut self, per_thousand: u32) -> bool {
        self.random.random_ratio(per_thousand, 1000)
    }

    fn days(&self) -> impl Iterator<Item = u32> + use<> {
        (self.first_day..).take(DAYS as usize).map(midnight)
    }

    fn any_gate(&mut self) -> usize {
        self.random.random_range(0..STATIONS.len() + BUSES.len())
    }

    fn any_time_of(&mut self, midnight: u32) -> u32 {
        midnight + self.random.random_range(5 * HOUR_S..23 * HOUR_S)
    }

    /// Habits: to work and back, now and then, and what people do besides.
    fn riders(&mut self) {
        for card in 0..self.cards {
            let (home, work) = (self.any_gate(), self.any_gate());
            let commutes = self.random.random_ratio(2, 3);
            let (leaves, returns) =
                (self.random.random_range(6 * HOUR_S..9 * HOUR_S), self.random.random_range(16 * HOUR_S..19 * HOUR_S));
            for midnight in self.days() {
                if commutes {
                    let late = self.random.random_range(0..20 * MINUTE_S);
                    self.ride(card, home, midnight, leaves + late);
                    self.ride(card, work, midnight, returns + late);
                }
                for _ in 0..self.random.random_range(0..if commutes { 2 } else { 4 }) {
                    let (gate, at) = (self.any_gate(), self.random.random_range(5 * HOUR_S + 1800..21 * HOUR_S));
                    self.ride(card, gate, midnight, at);
                }
            }
        }
    }

    /// A rider comes to a validator about the time of the next bus.
    fn ride(&mut self, card: usize, gate: usize, midnight: u32, wished_s: u32) {
        let bus = gate.checked_sub(STATIONS.len()).map(|bus| BUSES[bus].2);
        let tap_s = match bus {
            Some(after_s) => {
                // Somewhere along the line the bus with this validator comes by.
                let stop = self.random.random_range(1..=23);
                let trips = trips_of_bus(after_s);
                let passages = trips.iter().map(|(departure, direction)| passage_s(*departure, *direction, stop));
                passages.into_iter().find(|passage| *passage >= wished_s)
            }
            None => {
                let stop = STATIONS[gate].2;
                let direction = Direction::between(stop, if stop < 12 { 23 } else { 1 });
                let ahead = self.random.random_range(20..150);
                next_bus_s(wished_s, direction, stop).map(|passage| passage - ahead)
            }
        };
        let Some(tap_s) = tap_s else { return };
        let at = midnight + tap_s;
        self.tap(card, gate, at);
        match self.random.random_range(0..100) {
            // The card is passed back over the gate, to the same validator or the one beside it.
            0..6 => {
                let beside = if gate < 2 && self.random.random_ratio(1, 2) { 1 - gate } else { gate };
                let after = self.random.random_range(3..200);
                self.tap(card, beside, at + after);
            }
            // A transfer.
            6..14 => {
                let (next, after) = (self.any_gate(), self.random.random_range(90..15 * MINUTE_S));
                self.tap(card, next, at + after);
            }
            _ => {}
        }
    }

    fn tap(&mut self, card: usize, gate: usize, at: u32) {
        let mishap = self.mishap();
        let mut again = Vec::new();
        while again.len() < 3 && self.random.random_ratio(17, 20) {
            let stays = self.random.random_ratio(4, 5);
            let (after_s, gate) = if stays {
                (self.random.random_range(2..8), gate)
            } else {
                (self.random.random_range(60..20 * MINUTE_S), self.any_gate())
            };
            again.push(Again { after_s, gate, mishap: self.mishap() });
        }
        let idle_after = self.random.random_ratio(3, 4);
        self.events.push((at, What::Tap(Presentation { card, gate, mishap, idle_after, again })));
    }

    fn mishap(&mut self) -> Option<Mishap> {
        if !self.happens(self.weather.torn) {
            return None;
        }
        let at_commit = self.random.random_ratio(1, 2);
        let exchange = if at_commit { COMMIT } else { self.random.random_range(1..=EXCHANGES) };
        Some(match self.random.random_range(0..20) {
            0..4 => Mishap::LostBefore { exchange },
            4..9 => Mishap::LostAfter { exchange },
            9..11 => Mishap::LostInAnswer { exchange, arrived: self.random.random_range(0..12) },
            11 => Mishap::Silent { exchange },
            12..15 => Mishap::Distorted { exchange, seed: self.random.random() },
            15..18 => {
                let exchange = self.random.random_ratio(2, 3).then_some(exchange);
                Mishap::ProcessDies { exchange, card_acts: self.random.random() }
            }
            _ => Mishap::PowerLost,
        })
    }

    /// Riders whose purse is low come to the desk, which has a network most of the time.
    fn desk(&mut self) {
        for midnight in self.days() {
            for card in 0..self.cards {
                if self.random.random_ratio(1, 3) {
                    let at = midnight + self.random.random_range(6 * HOUR_S..21 * HOUR_S);
                    let amount = 10_000 * self.random.random_range(1..=10);
                    let if_below = *[10_000, 30_000, 100_000].choose(&mut self.random).expect("three purses");
                    let mishap = self.mishap();
                    let again = (0..self.random.random_range(0..3)).map(|_| self.mishap()).collect();
                    self.events.push((at, What::Desk(DeskVisit { card, amount, if_below, mishap, again })));
                }
            }
            let mut at = midnight + 6 * HOUR_S;
            while at < midnight + 22 * HOUR_S {
                let (arrives, returns) = (!self.happens(self.weather.dropped), !self.happens(self.weather.dropped));
                self.events.push((at, What::DeskSync { arrives, returns }));
                at += self.random.random_range(HOUR_S..4 * HOUR_S);
            }
            if self.happens(self.weather.restarts) {
                let at = self.any_time_of(midnight);
                self.events.push((at, What::DeskRestart));
            }
        }
    }

    fn uploads(&mut self) {
        for gate in 0..STATIONS.len() {
            for midnight in self.days() {
                // A validator may be without network for a day: its taps come when the day is closed.
                if self.happens(self.weather.dropped / 4) {
                    continue;
                }
                let mut at = midnight + 5 * HOUR_S;
                while at < midnight + 24 * HOUR_S {
                    at += self.random.random_range(15 * MINUTE_S..90 * MINUTE_S);
                    self.upload(gate, at);
                }
            }
        }
        for (gate, (_, _, after_s)) in (STATIONS.len()..).zip(BUSES) {
            for midnight in self.days() {
                for (departure, direction) in trips_of_bus(after_s) {
                    let terminus = if direction == Direction::ToTown { 23 } else { 1 };
                    let arrival = midnight + passage_s(departure, direction, terminus);
                    let at = arrival + self.random.random_range(0..STAND_S);
                    self.upload(gate, at);
                }
            }
        }
    }

    fn upload(&mut self, gate: usize, at: u32) {
        let (request, answer) = (self.passage(), self.passage());
        self.events.push((at, What::Upload { gate, request, answer, chance: self.random.random() }));
    }

    fn passage(&mut self) -> Passage {
        let mut copies = Vec::new();
        if !self.happens(self.weather.dropped) {
            copies.push(self.delay_s());
            if self.happens(self.weather.doubled) {
                copies.push(self.delay_s());
            }
        }
        Passage(copies)
    }

    fn delay_s(&mut self) -> u32 {
        if self.happens(self.weather.delayed) {
            // Longer than anybody waits, and than the next upload takes: an old one comes after it.
            self.random.random_range(5..4 * HOUR_S)
        } else {
            self.random.random_range(0..2)
        }
    }

    fn validators(&mut self) {
        for gate in 0..STATIONS.len() + BUSES.len() {
            for midnight in self.days() {
                if self.happens(self.weather.clock_jumps) {
                    let most_s = *[90, i64::from(HOUR_S), 40 * i64::from(DAY_S), 3650 * i64::from(DAY_S)]
                        .choose(&mut self.random)
                        .expect("four");
                    let by_s = self.random.random_range(-most_s..=most_s);
                    let at = self.any_time_of(midnight);
                    self.events.push((at, What::ClockJump { gate, by_s }));
                    if self.random.random_ratio(2, 3) {
                        let later = at + self.random.random_range(0..6 * HOUR_S);
                        self.events.push((later, What::ClockSet { gate }));
                    }
                }
                if self.happens(self.weather.disk_faults) {
                    let writes = [LogWrite::Intent, LogWrite::Tap, LogWrite::Acknowledgement, LogWrite::Durable];
                    let write = *writes.choose(&mut self.random).expect("four writes");
                    let (at, lasts) = (self.any_time_of(midnight), self.random.random());
                    let after_taps = self.random.random_range(0..6);
                    self.events.push((at, What::DiskFault { gate, write, after_taps, lasts }));
                    let later = at + self.random.random_range(MINUTE_S..4 * HOUR_S);
                    self.events.push((later, What::DiskRepair { gate }));
                }
                if self.happens(self.weather.restarts) {
                    let (at, cursor_lost) = (self.any_time_of(midnight), self.random.random());
                    self.events.push((at, What::Restart { gate, cursor_lost }));
                }
            }
        }
    }

    fn clearing_house(&mut self) {
        let tables =
            [BooksTable::Tap, BooksTable::Entry, BooksTable::Posting, BooksTable::Evidence, BooksTable::Receipt];
        for (day, midnight) in (self.first_day..).zip(self.days()) {
            for _ in 0..4 {
                if self.happens(self.weather.clearing_house) {
                    let table = *tables.choose(&mut self.random).expect("five tables");
                    let after_rows = self.random.random_range(0..8);
                    let at = self.any_time_of(midnight);
                    self.events.push((at, What::ClearingHouseDies { table, after_rows }));
                }
            }
            if self.happens(self.weather.clearing_house) {
                let at = self.any_time_of(midnight);
                self.events.push((at, What::ClearingHouseRestart));
            }
            if self.random.random_ratio(1, 3) {
                let (card, at) = (self.random.random_range(0..self.cards), self.any_time_of(midnight));
                self.events.push((at, What::Deny { card }));
            }
            for gate in 0..STATIONS.len() + BUSES.len() {
                if self.random.random_ratio(1, 3) {
                    let at = self.any_time_of(midnight);
                    self.events.push((at, What::ConfigPush { gate }));
                }
            }
            // The service day ends at 04:00; that of the last one ends with everything.
            let at = midnight + DAY_S + 4 * HOUR_S + self.random.random_range(0..HOUR_S);
            self.events.push((at, What::Settle { day }));
        }
    }

    /// Everything is mended, every card rides once more, everything is uploaded. Gives when that is over.
    fn without_faults(&mut self, from: u32) -> u32 {
        self.events.push((from, What::ClearingHouseRestart));
        for gate in 0..STATIONS.len() + BUSES.len() {
            self.events.push((from, What::DiskRepair { gate }));
            self.events.push((from, What::ClockSet { gate }));
            self.events.push((from, What::Restart { gate, cursor_lost: false }));
        }
        self.events.push((from + MINUTE_S, What::DeskSync { arrives: true, returns: true }));
        // Two visits: what was unknown is found out at the first, and written at the second where it is not on the card.
        for (minutes, card) in [2, 4].into_iter().flat_map(|minutes| (0..self.cards).map(move |card| (minutes, card))) {
            let visit = DeskVisit { card, amount: 0, if_below: i64::MIN, mishap: None, again: Vec::new() };
            self.events.push((from + minutes * MINUTE_S, What::Desk(visit)));
        }
        let mut at = from + 30 * MINUTE_S;
        for card in 0..self.cards {
            let gate = self.any_gate();
            let presentation = Presentation { card, gate, mishap: None, idle_after: true, again: Vec::new() };
            self.events.push((at, What::Tap(presentation)));
            at += 2 * MINUTE_S;
        }
        for gate in 0..STATIONS.len() + BUSES.len() {
            self.events.push((at, What::Restart { gate, cursor_lost: false }));
            self.events.push((at + MINUTE_S, What::UploadAll { gate }));
        }
        self.events.push((at + MINUTE_S, What::DeskSync { arrives: true, returns: true }));
        at + HOUR_S
    }
}
