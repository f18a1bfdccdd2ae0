//! The audit: everything in the books is derived again from the bytes of taps and actions, and the first thing that differs is named.
//!
//! | what | against what |
//! |---|---|
//! | receipts | their own signature |
//! | taps | their seal, their neighbours' hashes, the card's Transaction MAC, the receipt that accepted them |
//! | steps of desks | the same, and the desk's signature where it is registered still |
//! | evidence | the taps and steps that prove it |
//! | entries of a tap | the tap: one booking for what it charged, and for an unknown one the end that the evidence gives |
//! | the entry of a step of a desk | the step: cash by its word, value by the card's, a transfer by its grant |
//! | what cards gave up that prove nothing | the limit that was in force and what the ledger had before, in its order |
//! | answers to desks, deny lists | their signature; their chain |
//! | kept aside, findings, all entries | their digests, chains and receipts; the sums of the postings |
//! | `suspense:unknown` | the money of the pending unknown taps |
//! | `suspense:missing` | the debits that records of cards show, whose taps have not come |
//! | `suspense:loads`, `desk:N:unbacked` | what each action has left, in the order of the ledger |
//! | closed days and statements | the statements that the ledger gives again |

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use transit::id::{OperatorId, TapId};
use transit::sync::{Acknowledgement, Verdict};
use transit::tap::{Outcome, SealedTap, Tap};
use transit::time::{Moment, ServiceDay};

use crate::chain;
use crate::clearing_house::ClearingHouse;
use crate::closing;
use crate::config::Config;
use crate::evidence::{self, Resolution, Writing};
use crate::ingest::may_begin;
use crate::ledger::{self, Account, Basis, Entry, EntryKind, Stamp};
use crate::statement::{Statement, day_digest, digest};
use crate::status::{Coverage, coverage};
use crate::store::{Books, ClosedDay, Counted, Receipt, StoreError, StoredEntry, StoredTap, TapColumns};
use crate::vault::Proof;

mod desks;
mod missing;

/// The outcome of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Nothing is wrong.
    pub sound: bool,
    /// The first thing that is wrong.
    pub wrong: Option<String>,
    /// The taps that were found right before that.
    pub taps: u64,
    /// Those of them, and of the steps of desks, that their cards prove.
    pub transaction_macs_right: u64,
    /// The steps of desks that were found right before that.
    pub actions: u64,
    /// The entries that were found right.
    pub entries: u64,
    /// The statements that were found right.
    pub statements: u64,
    /// Logs with taps that have not come. That is not wrong: they may still come.
    pub gaps: Vec<Coverage>,
}

impl ClearingHouse {
    /// Checks everything in the books. What cannot be read is wrong as well, and named.
    pub fn verify(&mut self) -> Verification {
        let mut verification = Verification {
            sound: false,
            wrong: None,
            taps: 0,
            transaction_macs_right: 0,
            actions: 0,
            entries: 0,
            statements: 0,
            gaps: Vec::new(),
        };
        let Self { store, config } = self;
        let outcome = store.view().map_err(Wrong::from).and_then(|books| {
            let mut audit = Audit { books: &books, config, closed: Vec::new(), accepted: 0, done: &mut verification };
            audit.run()
        });
        verification.wrong = outcome.err().map(|Wrong(what)| what);
        verification.sound = verification.wrong.is_none();
        verification
    }
}

/// What is wrong, for people.
struct Wrong(String);

impl From<StoreError> for Wrong {
    fn from(error: StoreError) -> Self {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        Self(text)
    }
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err(Wrong(otherwise())) }
}

struct Audit<'a> {
    books: &'a Books<'a>,
    config: &'a Config,
    closed: Vec<ClosedDay>,
    /// How many taps and actions the receipts say are in the books.
    accepted: u64,
    done: &'a mut Verification,
}

impl Audit<'_> {
    fn run(&mut self) -> Result<(), Wrong> {
        self.receipts()?;
        self.closed_rows()?;
        let of_taps = self.taps()?;
        let of_actions = self.actions()?;
        let (accepted, found) = (self.accepted, self.done.taps + self.done.actions);
        ensure(accepted == found, || {
            format!("{found} taps and actions are in the books where the receipts accepted {accepted}")
        })?;
        self.evidence(of_taps + of_actions)?;
        self.answers()?;
        self.kept_aside()?;
        if let Some(id) = self.books.broken_finding()? {
            return Err(Wrong(format!("finding {id} was changed, or one before it removed")));
        }
        self.entries()?;
        self.suspense()?;
        self.missing()?;
        self.statements()?;
        self.done.gaps = coverage(self.books)?.into_iter().filter(|log| !log.gaps.is_empty()).collect();
        Ok(())
    }

    fn receipts(&mut self) -> Result<(), Wrong> {
        let (mut expected, mut accepted) = (1, 0);
        walk(|wrong| {
            self.books.for_each_receipt(|id, receipt| {
                wrong.note(|| {
                    ensure(id == expected, || format!("receipt {expected} is missing"))?;
                    expected += 1;
                    let signed = self.config.signer.signed(&receipt.acknowledgement, &receipt.signature);
                    ensure(signed, || format!("receipt {id} is not what was signed"))?;
                    let opened = opened(id, &receipt)?;
                    let of_receipt = opened.taps.iter().filter(|said| said.verdict == Verdict::Accepted);
                    accepted += u64::try_from(of_receipt.count()).unwrap_or(u64::MAX);
                    ensure(opened.at == receipt.at, || format!("receipt {id} has another time than its signed text"))
                })
            })
        })?;
        self.accepted = accepted;
        Ok(())
    }

    fn closed_rows(&mut self) -> Result<(), Wrong> {
        for (closed, as_written) in self.books.closed_days()? {
            ensure(as_written, || format!("closed day {} was changed", closed.service_day))?;
            self.closed.push(closed);
        }
        Ok(())
    }

    /// Checks the taps; gives how many rows of evidence they prove.
    fn taps(&mut self) -> Result<u64, Wrong> {
        let mut previous: Option<(TapId, [u8; 32])> = None;
        let mut receipt = None;
        let (mut taps, mut proven, mut proofs) = (0, 0, 0);
        walk(|wrong| {
            self.books.for_each_tap(|stored| {
                wrong.note(|| {
                    let (tap, sealed) = self.tap_itself(&stored)?;
                    let name = Named { what: "tap", id: tap.id, hash: sealed.hash() };
                    self.in_chain(&name, sealed.previous_hash(), &mut previous)?;
                    let at = self.in_receipt(&name, stored.receipt, &mut receipt)?;
                    proofs += self.proves(&name, stored.proven, &Writing::of_tap(&tap))?;
                    self.tap_entries(&tap, (at, stored.receipt))?;
                    taps += 1;
                    proven += u64::from(stored.proven);
                    Ok(())
                })
            })
        })?;
        self.done.taps += taps;
        self.done.transaction_macs_right += proven;
        Ok(proofs)
    }

    fn evidence(&self, proofs: u64) -> Result<(), Wrong> {
        let stored: u64 = self.books.counts(Counted::Evidence)?.iter().map(|(_, count)| count).sum();
        ensure(stored == proofs, || format!("{stored} rows of evidence where taps and actions prove {proofs}"))
    }

    fn tap_itself(&self, stored: &StoredTap) -> Result<(Tap, SealedTap), Wrong> {
        let name = &stored.id;
        let sealed = SealedTap::from_bytes(&stored.bytes).map_err(|error| Wrong(format!("tap {name}: {error}")))?;
        let tap = sealed.open().map_err(|error| Wrong(format!("tap {name}: {error}")))?;
        ensure(tap.id.to_string() == *name, || format!("tap {name}: its bytes name tap {}", tap.id))?;
        let same = stored.columns == TapColumns::of(&tap);
        ensure(same, || format!("tap {name}: a column of its row is not what its bytes say"))?;
        let proven = tap.outcome == Outcome::Done && self.config.vault.check(&tap) == Proof::Right;
        ensure(proven == stored.proven, || format!("tap {name}: its Transaction MAC is not as it was found"))?;
        Ok((tap, sealed))
    }

    /// Whether it continues the one before it in its log; it is the one before the next.
    fn in_chain(
        &self,
        name: &Named,
        previous_hash: [u8; 32],
        previous: &mut Option<(TapId, [u8; 32])>,
    ) -> Result<(), Wrong> {
        let id = name.id;
        let expected = match previous.replace((id, name.hash)) {
            _ if id.sequence == 1 => {
                let may = may_begin(id.epoch, previous_hash);
                return ensure(may, || format!("{name}: the first epoch of its device names a tap before it"));
            }
            Some((before, hash)) if (TapId { sequence: id.sequence - 1, ..id }) == before => hash,
            Some(_) | None => return Ok(()),
        };
        ensure(previous_hash == expected, || format!("{name}: does not continue its chain"))
    }

    /// Whether its receipt accepts it; gives when that was.
    fn in_receipt(&self, name: &Named, id: i64, cached: &mut Option<CachedReceipt>) -> Result<Moment, Wrong> {
        let receipt = match cached.take() {
            Some(known) if known.id == id => known,
            Some(_) | None => {
                let receipt = self.books.receipt(id)?;
                let receipt = receipt.ok_or_else(|| Wrong(format!("{name}: its receipt {id} is missing")))?;
                CachedReceipt { id, at: receipt.at, acknowledgement: opened(id, &receipt)? }
            }
        };
        let receipt = cached.insert(receipt);
        let hash = hex::encode(name.hash);
        let said = receipt.acknowledgement.taps.iter();
        let accepted = said.filter(|said| said.hash == hash).any(|said| said.verdict == Verdict::Accepted);
        ensure(accepted, || format!("{name}: receipt {id} does not accept it"))?;
        Ok(receipt.at)
    }

    fn proves(&self, name: &Named, proven: bool, writing: &Writing) -> Result<u64, Wrong> {
        let expected = if proven { evidence::proofs(writing) } else { Vec::new() };
        let same = self.books.evidence_by(name.id)? == expected;
        ensure(same, || format!("{name}: the evidence is not what it proves"))?;
        Ok(u64::try_from(expected.len()).unwrap_or(u64::MAX))
    }

    /// The entries of a tap are those that the tap and the evidence give.
    fn tap_entries(&self, tap: &Tap, (at, receipt): (Moment, i64)) -> Result<(), Wrong> {
        let mut entries = self.books.entries_of(tap.id)?;
        // A card may have shown its debit before it came, which ended with it.
        let waited: Vec<_> = entries.iter().map(|stored| stored.entry.kind).take(2).collect();
        if waited == [EntryKind::Missing, EntryKind::MissingEnded] {
            entries.drain(..2);
        }
        let kinds: Vec<_> = entries.iter().map(|stored| stored.entry.kind).collect();
        let booked = match tap.outcome {
            Outcome::Done => kinds == [EntryKind::Ride],
            Outcome::Unknown => kinds == self.expected_kinds(tap, receipt, &kinds)?,
            Outcome::Void
            | Outcome::Declined(_)
            | Outcome::Confirmed { .. }
            | Outcome::Voided { .. }
            | Outcome::Evidence => kinds.is_empty(),
        };
        ensure(booked, || {
            let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
            format!("tap {}: the ledger has [{}] for it, which is not what the tap gives", tap.id, names.join(", "))
        })?;
        for (index, stored) in entries.iter().enumerate() {
            let expected = self.expected_entry(tap, stored);
            ensure(stored.entry == expected, || {
                format!("tap {}: entry {} is not what the tap gives", tap.id, stored.id)
            })?;
            ensure(index > 0 || at == stored.entry.posted_at, || {
                format!("tap {}: entry {} is not of the time of its receipt", tap.id, stored.id)
            })?;
        }
        Ok(())
    }

    fn expected_kinds(&self, tap: &Tap, receipt: i64, found: &[EntryKind]) -> Result<Vec<EntryKind>, Wrong> {
        let writing = Writing::of_tap(tap);
        let proofs = match evidence::wanted_slot(&writing) {
            Some(slot) => self.books.evidence_of_slot(tap.card, slot)?,
            None => Vec::new(),
        };
        let claims = self.books.taps_naming(tap.id)?;
        let voided = claims.iter().any(|claim| evidence::voids(claim, tap));
        let proven = evidence::resolve(&writing, &proofs, voided);
        let resolution = match (proven, self.books.told_of(tap)?) {
            (Resolution::Pending, _) if found == [EntryKind::Unknown] && receipt <= self.books.told_after()? => {
                Resolution::Pending
            }
            (Resolution::Pending, told) => told,
            (proven, Resolution::Pending) => proven,
            (proven, told) if told == proven => proven,
            // What validators told ended it before the proof came: that is a finding, not a mistake.
            (_, _) => Resolution::Disputed,
        };
        Ok(match resolution {
            Resolution::Pending => vec![EntryKind::Unknown],
            // A claim may have voided the tap before the card's evidence came: that is a finding, not a mistake.
            Resolution::Confirmed if voided => found.to_vec(),
            Resolution::Confirmed => vec![EntryKind::Unknown, EntryKind::UnknownConfirmed],
            Resolution::Voided => vec![EntryKind::Unknown, EntryKind::UnknownVoided],
            // The first proof may have ended it before the second contradicted: that is a finding, not a mistake.
            Resolution::Disputed => found.to_vec(),
        })
    }

    fn expected_entry(&self, tap: &Tap, stored: &StoredEntry) -> Entry {
        let found = &stored.entry;
        let stamp = self.stamp(tap.at, stored);
        let mut expected = match found.kind {
            // What a ride's fare rests on was decided by the tariff of its time; the chain of entries guards it.
            EntryKind::Ride => ledger::ride(tap, found.basis.unwrap_or(Basis::AsCharged), stamp),
            EntryKind::Unknown => ledger::unknown(tap, stamp),
            EntryKind::UnknownConfirmed => ledger::unknown_confirmed(tap, stamp),
            EntryKind::UnknownVoided => ledger::unknown_voided(tap, stamp),
            EntryKind::Missing
            | EntryKind::MissingEnded
            | EntryKind::Settlement
            | EntryKind::Paid
            | EntryKind::Loaded
            | EntryKind::Sold
            | EntryKind::PaidOut
            | EntryKind::PaidBack
            | EntryKind::TakenOver
            | EntryKind::Transferred => found.clone(),
        };
        expected.postings.sort_by_key(|posting| posting.account.to_string());
        expected
    }

    /// The stamp that an entry about something made at `made` must have.
    fn stamp(&self, made: Moment, stored: &StoredEntry) -> Stamp<'_> {
        let calendar = &self.config.tariffs.calendar();
        let posted_at = stored.entry.posted_at;
        let (travel, entered) = (calendar.service_day(made), calendar.service_day(posted_at));
        let days = ledger::days(travel, entered, |day| self.was_closed(day, stored.id));
        Stamp { days, posted_at, currency: &self.config.tariffs.currency().code }
    }

    /// Whether `day` was closed when entry `id` was made.
    fn was_closed(&self, day: ServiceDay, id: i64) -> bool {
        self.closed.iter().any(|closed| closed.service_day == day && closed.last_entry < id)
    }

    fn kept_aside(&self) -> Result<(), Wrong> {
        walk(|wrong| {
            self.books.for_each_kept_aside(|row| {
                let (stored, tap): ([u8; 32], Option<String>) = (row.get(0)?, row.get(1)?);
                let (verdict, detail): (String, String) = (row.get(2)?, row.get(3)?);
                let (bytes, receipt): (Vec<u8>, i64) = (row.get(4)?, row.get(5)?);
                wrong.note(|| {
                    let name = || format!("kept aside {}", tap.as_deref().unwrap_or("without a name"));
                    ensure(chain::sha256(&bytes) == stored, || format!("{}: the bytes were changed", name()))?;
                    let row = self.books.receipt(receipt)?;
                    let row = row.ok_or_else(|| Wrong(format!("{}: receipt {receipt} is missing", name())))?;
                    let said = opened(receipt, &row)?.taps.into_iter().any(|said| {
                        said.verdict.name() == verdict && said.detail.as_ref() == Some(&detail) && said.tap == tap
                    });
                    ensure(said, || format!("{}: receipt {receipt} says something else of it", name()))
                })
            })
        })
    }

    fn entries(&mut self) -> Result<(), Wrong> {
        let mut previous = chain::START;
        let mut expected = 1;
        walk(|wrong| {
            self.books.for_each_entry(|stored| {
                let link = stored.link_after(&previous)?;
                previous = link;
                wrong.note(|| {
                    let id = stored.id;
                    ensure(id == expected, || format!("entry {expected} is missing"))?;
                    expected += 1;
                    ensure(link == stored.chain, || format!("entry {id} was changed, or one before it removed"))?;
                    let sum = stored.entry.sum();
                    ensure(sum == Some(0), || format!("entry {id}: its postings do not sum to 0"))
                })
            })
        })?;
        self.done.entries = self.books.counts(Counted::Entries)?.iter().map(|(_, count)| count).sum();
        if let Some(entry) = self.books.stray_posting()? {
            return Err(Wrong(format!("a posting of entry {entry}, which is missing")));
        }
        match self.books.stray_entry()? {
            Some(entry) => Err(Wrong(format!("entry {entry} is about a tap or an action that is not in the books"))),
            None => Ok(()),
        }
    }

    fn suspense(&self) -> Result<(), Wrong> {
        let balances: BTreeMap<_, _> = self.books.balances()?.into_iter().collect();
        let suspense = balances.get(&Account::SuspenseUnknown.to_string()).copied().unwrap_or(0);
        let pending = self.books.pending_now()?.iter().try_fold(0_i64, |sum, tap| sum.checked_add(tap.amount.minor()));
        ensure(pending == Some(suspense), || {
            format!("suspense:unknown has {suspense} and the pending unknown taps {pending:?}")
        })
    }

    fn statements(&mut self) -> Result<(), Wrong> {
        if let Some(day) = self.books.stray_statement()? {
            return Err(Wrong(format!("a statement of {day}, which is not closed")));
        }
        for closed in &self.closed {
            let day = closed.service_day;
            let mut digests = Vec::new();
            for stored in self.books.statements(day)? {
                let (operator, bytes) = (stored.operator, stored.bytes);
                let name = format!("statement of {day} for operator {}", operator.0);
                ensure(digest(&bytes) == stored.digest, || format!("{name}: the bytes do not have the stored digest"))?;
                let statement: Statement =
                    serde_json::from_slice(&bytes).map_err(|error| Wrong(format!("{name}: {error}")))?;
                let header = statement.header.clone();
                let of_row = header.operator == operator && header.service_day == day;
                ensure(of_row, || format!("{name}: it is of another operator or day"))?;
                let again = closing::derive(self.books, header, closed.last_entry)
                    .map_err(|error| Wrong(format!("{name}: {error}")))?;
                let same = again.to_bytes().is_ok_and(|again| again == bytes);
                ensure(same, || format!("{name}: the ledger gives another statement"))?;
                self.settlement(operator, closed, &statement)?;
                digests.push(stored.digest);
                self.done.statements += 1;
            }
            let same = day_digest(&digests) == closed.digest;
            ensure(same, || format!("closed day {day}: its statements do not have its digest"))?;
        }
        Ok(())
    }

    fn settlement(&self, operator: OperatorId, closed: &ClosedDay, statement: &Statement) -> Result<(), Wrong> {
        let day = closed.service_day;
        let expected = ledger::settlement(
            operator,
            day,
            statement.amount_minor,
            closed.closed_at,
            &statement.header.currency.code,
        );
        let found = self.books.settlement_of(operator, day)?;
        let fits = match &found {
            None => statement.amount_minor.minor() == 0,
            Some(stored) => stored.entry == expected,
        };
        ensure(fits, || format!("settlement of {day} with operator {}: not what its statement says", operator.0))
    }
}

/// A tap or an action, for people.
struct Named {
    what: &'static str,
    id: TapId,
    hash: [u8; 32],
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.id)
    }
}

/// The receipt that the last tap or action named, which is mostly that of the next.
struct CachedReceipt {
    id: i64,
    at: Moment,
    acknowledgement: Acknowledgement,
}

fn opened(id: i64, receipt: &Receipt) -> Result<Acknowledgement, Wrong> {
    serde_json::from_str(&receipt.acknowledgement).map_err(|error| Wrong(format!("receipt {id}: {error}")))
}

/// Keeps the first wrong thing of a walk over rows.
#[derive(Default)]
struct First(Option<Wrong>);

impl First {
    fn note(&mut self, check: impl FnOnce() -> Result<(), Wrong>) -> Result<(), StoreError> {
        if self.0.is_none() {
            self.0 = check().err();
        }
        Ok(())
    }
}

fn walk(rows: impl FnOnce(&mut First) -> Result<(), StoreError>) -> Result<(), Wrong> {
    let mut first = First::default();
    let outcome = rows(&mut first);
    match first.0 {
        Some(wrong) => Err(wrong),
        None => Ok(outcome?),
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wrong {
            Some(wrong) => writeln!(f, "WRONG: {wrong}")?,
            None => writeln!(
                f,
                "Sound: {} taps and {} actions ({} proven by their cards), {} entries, {} statements",
                self.taps, self.actions, self.transaction_macs_right, self.entries, self.statements
            )?,
        }
        for log in &self.gaps {
            let missing: Vec<_> = log.gaps.iter().map(ToString::to_string).collect();
            writeln!(f, "Not come yet: device {} epoch {}: {}", log.device, log.epoch, missing.join(", "))?;
        }
        Ok(())
    }
}
