-- Desks: the steps of their actions, what was answered to them, and the deny lists that were handed out.
-- Evidence and entries are about taps and actions now: both tables are made anew with all their rows.

-- A step of a desk's action. `bytes` is the step; the other columns are read out of it, so that it can be found again.
CREATE TABLE action (
    -- The name as people write it. Desks and validators share one space of names.
    id           TEXT    PRIMARY KEY CHECK (id = device || '-' || epoch || '-' || sequence),
    device       INTEGER NOT NULL CHECK (device BETWEEN 1 AND 16777215),
    epoch        INTEGER NOT NULL CHECK (epoch BETWEEN 1 AND 255),
    sequence     INTEGER NOT NULL CHECK (sequence BETWEEN 1 AND 4294967295),
    -- A sealed action has one length.
    bytes        BLOB    NOT NULL CHECK (length(bytes) = 512),
    at           INTEGER NOT NULL CHECK (at BETWEEN 0 AND 4294967295),
    card         BLOB    NOT NULL CHECK (length(card) = 16),
    kind         TEXT    NOT NULL,
    step         TEXT    NOT NULL,
    -- Whether the card's Transaction MAC was there and right.
    proven       INTEGER NOT NULL CHECK (proven IN (0, 1)),
    -- The card's transaction counter, where the step has a Transaction MAC.
    counter      INTEGER,
    -- The record number on the card that an unknown step was to write.
    wanted_slot  INTEGER,
    -- The first step of the same action.
    names        TEXT,
    -- The unknown step that a later look at the card resolves.
    resolves     TEXT,
    -- The grant that a transfer names.
    grant_number INTEGER,
    -- Who an issue registers the card to, in decimal digits.
    holder       TEXT,
    -- Deferred: the receipt is written last, when every verdict is known.
    receipt      INTEGER NOT NULL REFERENCES receipt (id) DEFERRABLE INITIALLY DEFERRED,
    UNIQUE (device, epoch, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX action_at ON action (at);
CREATE INDEX action_card ON action (card);
CREATE INDEX action_counter ON action (card, counter) WHERE counter IS NOT NULL;
CREATE INDEX action_wanted_slot ON action (card, wanted_slot) WHERE wanted_slot IS NOT NULL;
CREATE INDEX action_names ON action (names) WHERE names IS NOT NULL;
CREATE INDEX action_resolves ON action (resolves) WHERE resolves IS NOT NULL;
CREATE INDEX action_grant ON action (grant_number) WHERE grant_number IS NOT NULL;
CREATE INDEX action_holder ON action (holder) WHERE holder IS NOT NULL;

-- What a desk was promised: more allowance, or a transfer. The signed text says all; the columns find it again.
CREATE TABLE desk_answer (
    -- Counts from 1: the number of the allowance or of the grant.
    id        INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL CHECK (at BETWEEN 0 AND 4294967295),
    desk      INTEGER NOT NULL CHECK (desk BETWEEN 1 AND 16777215),
    -- An allowance is of one epoch of its desk's log; a transfer of one lost card, once.
    epoch     INTEGER,
    lost_card BLOB    UNIQUE CHECK (lost_card IS NULL OR length(lost_card) = 16),
    answer    TEXT    NOT NULL,
    signature BLOB    NOT NULL CHECK (length(signature) = 64),
    CHECK ((epoch IS NULL) <> (lost_card IS NULL))
) STRICT;
CREATE INDEX desk_answer_allowance ON desk_answer (desk, epoch) WHERE epoch IS NOT NULL;

-- Every deny list that was handed out; a version is never two lists.
CREATE TABLE deny_list (
    version INTEGER PRIMARY KEY CHECK (version BETWEEN 1 AND 4294967295),
    at      INTEGER NOT NULL CHECK (at BETWEEN 0 AND 4294967295),
    -- The tokens in order, 16 bytes each.
    cards   BLOB    NOT NULL CHECK (length(cards) % 16 = 0),
    -- SHA-256 over the row and the row before it.
    chain   BLOB    NOT NULL CHECK (length(chain) = 32)
) STRICT;

-- A prover is a tap or an action.
CREATE TABLE evidence_of_both (
    card   BLOB    NOT NULL CHECK (length(card) = 16),
    slot   INTEGER NOT NULL CHECK (slot BETWEEN 1 AND 16777215),
    -- The tap or the action that wrote the record; NULL: a desk of before desks had names.
    writer TEXT,
    -- The record, where the proof contains it.
    record BLOB    CHECK (record IS NULL OR length(record) = 60),
    prover TEXT    NOT NULL,
    -- One proof speaks once of each record; two provers may disagree, which is a finding.
    PRIMARY KEY (card, slot, prover)
) STRICT, WITHOUT ROWID;
INSERT INTO evidence_of_both SELECT card, slot, writer, record, prover FROM evidence;
DROP TABLE evidence;
ALTER TABLE evidence_of_both RENAME TO evidence;
CREATE INDEX evidence_prover ON evidence (prover);

-- One event of the ledger, about a tap, about a step of a desk's action, or a settlement.
CREATE TABLE entry_of_both (
    id             INTEGER PRIMARY KEY,
    kind           TEXT    NOT NULL
        CHECK (kind IN ('ride', 'unknown', 'unknown_confirmed', 'unknown_voided', 'settlement',
                        'paid', 'loaded', 'sold', 'paid_out', 'paid_back', 'taken_over', 'transferred')),
    -- The tap or the action; only a settlement is of no one of them.
    tap            TEXT    CHECK ((tap IS NULL) = (kind = 'settlement')),
    operator       INTEGER NOT NULL CHECK (operator BETWEEN 0 AND 65535),
    -- Where and on what a ride's fare rests; nothing else has them.
    line           INTEGER
        CHECK ((line IS NULL) = (kind NOT IN ('ride', 'unknown', 'unknown_confirmed', 'unknown_voided'))),
    basis          TEXT    CHECK ((basis IS NULL) = (line IS NULL)),
    -- The day of travel or of the desk's action, and the day in whose statement it counts.
    service_day    TEXT    NOT NULL,
    settlement_day TEXT    NOT NULL,
    posted_at      INTEGER NOT NULL CHECK (posted_at BETWEEN 0 AND 4294967295),
    currency       TEXT    NOT NULL,
    -- SHA-256 over the entry with its postings and the entry before it.
    chain          BLOB    NOT NULL CHECK (length(chain) = 32)
) STRICT;
INSERT INTO entry_of_both
    SELECT id, kind, tap, operator, line, basis, service_day, settlement_day, posted_at, currency, chain FROM entry;
DROP TABLE entry;
ALTER TABLE entry_of_both RENAME TO entry;
-- A tap is booked once, an unknown one ends once, and a step of a desk's action is booked once.
CREATE UNIQUE INDEX entry_books_once ON entry (tap) WHERE kind IN ('ride', 'unknown');
CREATE UNIQUE INDEX entry_ends_once ON entry (tap) WHERE kind IN ('unknown_confirmed', 'unknown_voided');
CREATE UNIQUE INDEX entry_books_action_once ON entry (tap)
    WHERE kind IN ('paid', 'loaded', 'sold', 'paid_out', 'paid_back', 'taken_over', 'transferred');
-- An operator is settled once for a day.
CREATE UNIQUE INDEX entry_settles_once ON entry (operator, settlement_day) WHERE kind = 'settlement';
CREATE INDEX entry_settlement_day ON entry (settlement_day, operator);

CREATE TRIGGER entry_closed_day BEFORE INSERT ON entry
WHEN EXISTS (SELECT 1 FROM closed_day WHERE service_day = NEW.settlement_day)
BEGIN SELECT RAISE(ABORT, 'a closed day takes no entry'); END;

CREATE TRIGGER action_update BEFORE UPDATE ON action BEGIN SELECT RAISE(ABORT, 'actions are only added'); END;
CREATE TRIGGER action_delete BEFORE DELETE ON action BEGIN SELECT RAISE(ABORT, 'actions are only added'); END;
CREATE TRIGGER desk_answer_update BEFORE UPDATE ON desk_answer BEGIN SELECT RAISE(ABORT, 'answers are only added'); END;
CREATE TRIGGER desk_answer_delete BEFORE DELETE ON desk_answer BEGIN SELECT RAISE(ABORT, 'answers are only added'); END;
CREATE TRIGGER deny_list_update BEFORE UPDATE ON deny_list BEGIN SELECT RAISE(ABORT, 'lists are only added'); END;
CREATE TRIGGER deny_list_delete BEFORE DELETE ON deny_list BEGIN SELECT RAISE(ABORT, 'lists are only added'); END;
CREATE TRIGGER evidence_update BEFORE UPDATE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence is only added'); END;
CREATE TRIGGER evidence_delete BEFORE DELETE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence is only added'); END;
CREATE TRIGGER entry_update BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'entries are only added'); END;
CREATE TRIGGER entry_delete BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entries are only added'); END;
