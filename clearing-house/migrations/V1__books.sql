-- The books of the clearing house. Everything here is only ever added to: the triggers at the end refuse the rest.
-- Moments are seconds since 1970-01-01T00:00:00Z, days are ISO dates of service days, money is integer minor units.

-- One answered upload that added something. Its signed text is the proof of when each tap came and what was said.
CREATE TABLE receipt (
    id              INTEGER PRIMARY KEY,
    at              INTEGER NOT NULL CHECK (at BETWEEN 0 AND 4294967295),
    acknowledgement TEXT    NOT NULL,
    signature       BLOB    NOT NULL CHECK (length(signature) = 64)
) STRICT;

-- A tap in the books. `bytes` is the tap; the other columns are read out of it, so that it can be found again.
CREATE TABLE tap (
    -- The name as people write it. One name, one tap: other bytes under it never get here.
    id          TEXT    PRIMARY KEY CHECK (id = device || '-' || epoch || '-' || sequence),
    device      INTEGER NOT NULL CHECK (device BETWEEN 1 AND 16777215),
    epoch       INTEGER NOT NULL CHECK (epoch BETWEEN 1 AND 255),
    sequence    INTEGER NOT NULL CHECK (sequence BETWEEN 1 AND 4294967295),
    -- A sealed tap has one length.
    bytes       BLOB    NOT NULL CHECK (length(bytes) = 352),
    card        BLOB    NOT NULL CHECK (length(card) = 16),
    outcome     TEXT    NOT NULL,
    -- Whether the card's Transaction MAC was there and right.
    proven      INTEGER NOT NULL CHECK (proven IN (0, 1)),
    -- The card's transaction counter, where the tap has a Transaction MAC.
    counter     INTEGER,
    -- The record number on the card that an unknown tap was to write.
    wanted_slot INTEGER,
    -- The tap that a later look at the card names.
    names       TEXT,
    -- Deferred: the receipt is written last, when every verdict is known.
    receipt     INTEGER NOT NULL REFERENCES receipt (id) DEFERRABLE INITIALLY DEFERRED,
    -- The order of a device's log, for coverage; the same fact as `id`, so unique as well.
    UNIQUE (device, epoch, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX tap_counter ON tap (card, counter) WHERE counter IS NOT NULL;
CREATE INDEX tap_wanted_slot ON tap (card, wanted_slot) WHERE wanted_slot IS NOT NULL;
CREATE INDEX tap_names ON tap (names) WHERE names IS NOT NULL;

-- What was uploaded and is not in the books, with the bytes as they came.
CREATE TABLE kept_aside (
    -- SHA-256 of the bytes: the same bytes again add no second row.
    digest  BLOB    PRIMARY KEY CHECK (length(digest) = 32),
    -- The name that the bytes claim; NULL where they give none.
    tap     TEXT,
    verdict TEXT    NOT NULL,
    detail  TEXT    NOT NULL,
    bytes   BLOB    NOT NULL,
    receipt INTEGER NOT NULL REFERENCES receipt (id) DEFERRABLE INITIALLY DEFERRED
) STRICT, WITHOUT ROWID;

-- Who wrote which record of which card, as far as a Transaction MAC proves it.
CREATE TABLE evidence (
    card   BLOB    NOT NULL CHECK (length(card) = 16),
    slot   INTEGER NOT NULL CHECK (slot BETWEEN 1 AND 16777215),
    -- The tap that wrote the record; NULL: a desk did.
    writer TEXT,
    -- The record, where the proof contains it.
    record BLOB    CHECK (record IS NULL OR length(record) = 60),
    prover TEXT    NOT NULL REFERENCES tap (id),
    -- One proof speaks once of each record; two provers may disagree, which is a finding.
    PRIMARY KEY (card, slot, prover)
) STRICT, WITHOUT ROWID;
CREATE INDEX evidence_prover ON evidence (prover);

-- What people must look at: an alarm now, a finding in their own time.
CREATE TABLE finding (
    id       INTEGER PRIMARY KEY,
    severity TEXT    NOT NULL CHECK (severity IN ('alarm', 'finding')),
    kind     TEXT    NOT NULL,
    tap      TEXT    NOT NULL,
    detail   TEXT    NOT NULL,
    at       INTEGER NOT NULL CHECK (at BETWEEN 0 AND 4294967295),
    -- SHA-256 over the row and the row before it.
    chain    BLOB    NOT NULL CHECK (length(chain) = 32)
) STRICT;

-- One event of the ledger. A ride at fare 0 has an entry and no posting.
CREATE TABLE entry (
    id             INTEGER PRIMARY KEY,
    kind           TEXT    NOT NULL
        CHECK (kind IN ('ride', 'unknown', 'unknown_confirmed', 'unknown_voided', 'settlement')),
    -- Only a settlement is of no one tap.
    tap            TEXT    REFERENCES tap (id) CHECK ((tap IS NULL) = (kind = 'settlement')),
    operator       INTEGER NOT NULL CHECK (operator BETWEEN 0 AND 65535),
    -- Where and on what a ride's fare rests; a settlement has neither.
    line           INTEGER CHECK ((line IS NULL) = (kind = 'settlement')),
    basis          TEXT    CHECK ((basis IS NULL) = (kind = 'settlement')),
    -- The day of travel, and the day in whose statement it counts.
    service_day    TEXT    NOT NULL,
    settlement_day TEXT    NOT NULL,
    posted_at      INTEGER NOT NULL CHECK (posted_at BETWEEN 0 AND 4294967295),
    currency       TEXT    NOT NULL,
    -- SHA-256 over the entry with its postings and the entry before it.
    chain          BLOB    NOT NULL CHECK (length(chain) = 32)
) STRICT;
-- A tap is booked once, and an unknown one ends once.
CREATE UNIQUE INDEX entry_books_once ON entry (tap) WHERE kind IN ('ride', 'unknown');
CREATE UNIQUE INDEX entry_ends_once ON entry (tap) WHERE kind IN ('unknown_confirmed', 'unknown_voided');
-- An operator is settled once for a day.
CREATE UNIQUE INDEX entry_settles_once ON entry (operator, settlement_day) WHERE kind = 'settlement';
CREATE INDEX entry_settlement_day ON entry (settlement_day, operator);

-- What an entry adds to an account (negative: takes from it). The postings of an entry sum to 0.
CREATE TABLE posting (
    entry   INTEGER NOT NULL REFERENCES entry (id),
    account TEXT    NOT NULL,
    amount  INTEGER NOT NULL CHECK (amount <> 0),
    -- An entry names an account once.
    PRIMARY KEY (entry, account)
) STRICT, WITHOUT ROWID;
CREATE INDEX posting_account ON posting (account);

-- What an operator was told of a closed day: the bytes, and their SHA-256.
CREATE TABLE statement (
    service_day TEXT    NOT NULL,
    operator    INTEGER NOT NULL CHECK (operator BETWEEN 0 AND 65535),
    bytes       BLOB    NOT NULL,
    digest      BLOB    NOT NULL CHECK (length(digest) = 32),
    PRIMARY KEY (service_day, operator)
) STRICT, WITHOUT ROWID;

-- A closed day. `last_entry` is the newest entry that its statements know of; `seal` is SHA-256 over the row.
CREATE TABLE closed_day (
    service_day TEXT    PRIMARY KEY,
    closed_at   INTEGER NOT NULL CHECK (closed_at BETWEEN 0 AND 4294967295),
    last_entry  INTEGER NOT NULL,
    digest      BLOB    NOT NULL CHECK (length(digest) = 32),
    seal        BLOB    NOT NULL CHECK (length(seal) = 32)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER entry_closed_day BEFORE INSERT ON entry
WHEN EXISTS (SELECT 1 FROM closed_day WHERE service_day = NEW.settlement_day)
BEGIN SELECT RAISE(ABORT, 'a closed day takes no entry'); END;

CREATE TRIGGER receipt_update BEFORE UPDATE ON receipt BEGIN SELECT RAISE(ABORT, 'receipts are only added'); END;
CREATE TRIGGER receipt_delete BEFORE DELETE ON receipt BEGIN SELECT RAISE(ABORT, 'receipts are only added'); END;
CREATE TRIGGER tap_update BEFORE UPDATE ON tap BEGIN SELECT RAISE(ABORT, 'taps are only added'); END;
CREATE TRIGGER tap_delete BEFORE DELETE ON tap BEGIN SELECT RAISE(ABORT, 'taps are only added'); END;
CREATE TRIGGER kept_aside_update BEFORE UPDATE ON kept_aside BEGIN SELECT RAISE(ABORT, 'only added to'); END;
CREATE TRIGGER kept_aside_delete BEFORE DELETE ON kept_aside BEGIN SELECT RAISE(ABORT, 'only added to'); END;
CREATE TRIGGER evidence_update BEFORE UPDATE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence is only added'); END;
CREATE TRIGGER evidence_delete BEFORE DELETE ON evidence BEGIN SELECT RAISE(ABORT, 'evidence is only added'); END;
CREATE TRIGGER finding_update BEFORE UPDATE ON finding BEGIN SELECT RAISE(ABORT, 'findings are only added'); END;
CREATE TRIGGER finding_delete BEFORE DELETE ON finding BEGIN SELECT RAISE(ABORT, 'findings are only added'); END;
CREATE TRIGGER entry_update BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'entries are only added'); END;
CREATE TRIGGER entry_delete BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entries are only added'); END;
CREATE TRIGGER posting_update BEFORE UPDATE ON posting BEGIN SELECT RAISE(ABORT, 'postings are only added'); END;
CREATE TRIGGER posting_delete BEFORE DELETE ON posting BEGIN SELECT RAISE(ABORT, 'postings are only added'); END;
CREATE TRIGGER statement_update BEFORE UPDATE ON statement BEGIN SELECT RAISE(ABORT, 'statements are only added'); END;
CREATE TRIGGER statement_delete BEFORE DELETE ON statement BEGIN SELECT RAISE(ABORT, 'statements are only added'); END;
CREATE TRIGGER closed_day_update BEFORE UPDATE ON closed_day BEGIN SELECT RAISE(ABORT, 'a closed day stays'); END;
CREATE TRIGGER closed_day_delete BEFORE DELETE ON closed_day BEGIN SELECT RAISE(ABORT, 'a closed day stays'); END;
