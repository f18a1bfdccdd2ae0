-- Debits that cards show and whose taps have not come: their money waits in `suspense:missing`. Two kinds of entry more;
-- the table of entries is made anew with all its rows.
CREATE TABLE entry_with_missing (
    id             INTEGER PRIMARY KEY,
    kind           TEXT    NOT NULL
        CHECK (kind IN ('ride', 'unknown', 'unknown_confirmed', 'unknown_voided', 'settlement',
                        'paid', 'loaded', 'sold', 'paid_out', 'paid_back', 'taken_over', 'transferred',
                        'missing', 'missing_ended')),
    -- The tap or the action; only a settlement is of no one of them. A missing tap is not in the books.
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
INSERT INTO entry_with_missing
    SELECT id, kind, tap, operator, line, basis, service_day, settlement_day, posted_at, currency, chain FROM entry;
DROP TABLE entry;
ALTER TABLE entry_with_missing RENAME TO entry;
-- A tap is booked once, an unknown one ends once, and a step of a desk's action is booked once.
CREATE UNIQUE INDEX entry_books_once ON entry (tap) WHERE kind IN ('ride', 'unknown');
CREATE UNIQUE INDEX entry_ends_once ON entry (tap) WHERE kind IN ('unknown_confirmed', 'unknown_voided');
CREATE UNIQUE INDEX entry_books_action_once ON entry (tap)
    WHERE kind IN ('paid', 'loaded', 'sold', 'paid_out', 'paid_back', 'taken_over', 'transferred');
-- A missing tap waits once, and ends once.
CREATE UNIQUE INDEX entry_missing_once ON entry (tap) WHERE kind = 'missing';
CREATE UNIQUE INDEX entry_missing_ends_once ON entry (tap) WHERE kind = 'missing_ended';
-- An operator is settled once for a day.
CREATE UNIQUE INDEX entry_settles_once ON entry (operator, settlement_day) WHERE kind = 'settlement';
CREATE INDEX entry_settlement_day ON entry (settlement_day, operator);
CREATE INDEX entry_unknown ON entry (tap) WHERE kind = 'unknown';
CREATE INDEX entry_tap ON entry (tap) WHERE tap IS NOT NULL;
CREATE INDEX entry_given_up ON entry (settlement_day) WHERE kind IN ('paid_out', 'taken_over');

CREATE TRIGGER entry_closed_day BEFORE INSERT ON entry
WHEN EXISTS (SELECT 1 FROM closed_day WHERE service_day = NEW.settlement_day)
BEGIN SELECT RAISE(ABORT, 'a closed day takes no entry'); END;
CREATE TRIGGER entry_update BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'entries are only added'); END;
CREATE TRIGGER entry_delete BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entries are only added'); END;

-- Which record of which card shows a debit whose tap had not come when a day was closed.
CREATE TABLE missing_debit (
    -- The tap that the card names.
    tap    TEXT    PRIMARY KEY,
    card   BLOB    NOT NULL CHECK (length(card) = 16),
    slot   INTEGER NOT NULL CHECK (slot BETWEEN 1 AND 16777215),
    -- Minor units.
    minor  INTEGER NOT NULL CHECK (minor > 0),
    -- When the card says that it was made, or the ride after it.
    at     INTEGER NOT NULL CHECK (at BETWEEN 0 AND 4294967295)
) STRICT, WITHOUT ROWID;
CREATE INDEX missing_debit_card ON missing_debit (card, slot);
CREATE TRIGGER missing_debit_update BEFORE UPDATE ON missing_debit BEGIN SELECT RAISE(ABORT, 'only added to'); END;
CREATE TRIGGER missing_debit_delete BEFORE DELETE ON missing_debit BEGIN SELECT RAISE(ABORT, 'only added to'); END;
