-- The journal of one desk. Only `counter` writes it.

-- Whose journal this is. A journal that was lost is followed by the next epoch, so that a name is never given twice.
CREATE TABLE journal (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    device  INTEGER NOT NULL CHECK (device BETWEEN 1 AND 16777215),
    epoch   INTEGER NOT NULL CHECK (epoch BETWEEN 1 AND 255)
) STRICT;

-- The step under way, already sealed as `unknown`: what start-up finds here becomes a step as it stands.
CREATE TABLE intent (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    sealed  BLOB NOT NULL CHECK (length(sealed) = 512)
) STRICT;

-- Sealed steps of actions: the sequence has no gap, each names the hash of the one before. The other columns repeat
-- what is sealed, so that it can be looked up.
CREATE TABLE step (
    sequence INTEGER PRIMARY KEY CHECK (sequence > 0),
    sealed   BLOB NOT NULL CHECK (length(sealed) = 512),
    -- The first step of the same action.
    first    INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    step     TEXT NOT NULL,
    card     BLOB NOT NULL CHECK (length(card) = 16),
    -- What it takes of the allowance, in minor units.
    takes    INTEGER NOT NULL CHECK (takes >= 0)
) STRICT;
-- Which actions are open, and what is taken, is asked before every load: these indexes answer it alone.
CREATE INDEX step_of_action ON step (first, sequence, step, kind);
CREATE INDEX step_takes ON step (takes) WHERE takes > 0;
CREATE INDEX step_of_card ON step (card);

CREATE TRIGGER step_has_no_gap BEFORE INSERT ON step
WHEN new.sequence <> (SELECT coalesce(max(sequence), 0) + 1 FROM step)
BEGIN SELECT RAISE(ABORT, 'a step may only follow the last one'); END;
CREATE TRIGGER step_never_changes BEFORE UPDATE ON step
BEGIN SELECT RAISE(ABORT, 'a sealed step never changes'); END;
CREATE TRIGGER step_never_goes BEFORE DELETE ON step
BEGIN SELECT RAISE(ABORT, 'a sealed step never goes'); END;

-- What the clearing house said of a step, signed by it and checked before it came here.
CREATE TABLE acknowledgement (
    sequence INTEGER PRIMARY KEY REFERENCES step (sequence),
    verdict  TEXT NOT NULL
) STRICT;

-- Allowances and grants as they came, with the signature and the request that they answer: they are checked anew
-- whenever they are used.
CREATE TABLE answer (
    kind      TEXT NOT NULL CHECK (kind IN ('allowance', 'grant')),
    number    INTEGER NOT NULL,
    request   TEXT NOT NULL,
    text      TEXT NOT NULL,
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    PRIMARY KEY (kind, number)
) STRICT;
CREATE TRIGGER answer_never_changes BEFORE UPDATE ON answer
BEGIN SELECT RAISE(ABORT, 'an answer never changes'); END;
CREATE TRIGGER answer_never_goes BEFORE DELETE ON answer
BEGIN SELECT RAISE(ABORT, 'an answer never goes'); END;
