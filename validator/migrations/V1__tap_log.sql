-- The tap log of one validator. Only `validator core` writes it.

-- Whose log this is. A log that was lost starts the next epoch, so that a name is never given twice.
CREATE TABLE log (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    device  INTEGER NOT NULL CHECK (device BETWEEN 1 AND 16777215),
    epoch   INTEGER NOT NULL CHECK (epoch BETWEEN 1 AND 255),
    -- Taps up to here are on the disk for certain; written only by a commit that is itself flushed.
    durable_through INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The tap under way, already sealed as `unknown`: what start-up finds here becomes a tap as it stands.
CREATE TABLE intent (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    sealed  BLOB NOT NULL CHECK (length(sealed) = 352)
) STRICT;

-- Sealed taps: the sequence has no gap, each names the hash of the one before.
CREATE TABLE tap (
    sequence INTEGER PRIMARY KEY CHECK (sequence > 0),
    sealed   BLOB NOT NULL CHECK (length(sealed) = 352)
) STRICT;

CREATE TRIGGER tap_has_no_gap BEFORE INSERT ON tap
WHEN new.sequence <> (SELECT coalesce(max(sequence), 0) + 1 FROM tap)
BEGIN SELECT RAISE(ABORT, 'a tap may only follow the last one'); END;
CREATE TRIGGER tap_never_changes BEFORE UPDATE ON tap
BEGIN SELECT RAISE(ABORT, 'a sealed tap never changes'); END;
CREATE TRIGGER tap_never_goes BEFORE DELETE ON tap
BEGIN SELECT RAISE(ABORT, 'a sealed tap never goes'); END;

-- What the clearing house said of a tap, signed by it and checked before it came here.
CREATE TABLE acknowledgement (
    sequence INTEGER PRIMARY KEY REFERENCES tap (sequence),
    verdict  TEXT NOT NULL
) STRICT;
