-- Old taps may go once the clearing house has acknowledged them; the anchor then names the last that went.
DROP TRIGGER tap_never_goes;
DROP TRIGGER tap_has_no_gap;
CREATE TRIGGER tap_has_no_gap BEFORE INSERT ON tap
WHEN new.sequence <> (SELECT coalesce((SELECT max(sequence) FROM tap), (SELECT anchor_sequence FROM log)) + 1)
BEGIN SELECT RAISE(ABORT, 'a tap may only follow the last one'); END;

-- An acknowledgement goes with its tap, after the look of the trigger below.
CREATE TABLE acknowledgement_with_tap (
    sequence INTEGER PRIMARY KEY REFERENCES tap (sequence) ON DELETE CASCADE,
    verdict  TEXT NOT NULL
) STRICT;
INSERT INTO acknowledgement_with_tap SELECT sequence, verdict FROM acknowledgement;
DROP TABLE acknowledgement;
ALTER TABLE acknowledgement_with_tap RENAME TO acknowledgement;

CREATE TRIGGER tap_goes_only_when_acknowledged BEFORE DELETE ON tap
WHEN NOT EXISTS (SELECT 1 FROM acknowledgement WHERE sequence = old.sequence AND verdict IN ('accepted', 'known'))
    OR old.sequence > (SELECT anchor_sequence FROM log)
BEGIN SELECT RAISE(ABORT, 'a sealed tap never goes before it is acknowledged'); END;
