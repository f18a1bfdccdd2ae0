-- The older records that validators read after a green, by card and number. 80 is where a sealed tap has the number of the
-- record that it read, counted from 1; its three bytes are big-endian.
CREATE INDEX tap_older_records ON tap (card, substr(bytes, 80, 3)) WHERE outcome = 'evidence';
-- The last upload of before: what validators read of others' torn taps decided nothing then, and until the card is seen
-- again a tap of that time may wait though it was told what became of it.
CREATE TABLE told_after (
    receipt INTEGER NOT NULL
) STRICT;
INSERT INTO told_after SELECT max(id) FROM receipt HAVING max(id) > 0;
CREATE TRIGGER told_after_update BEFORE UPDATE ON told_after BEGIN SELECT RAISE(ABORT, 'made once'); END;
CREATE TRIGGER told_after_delete BEFORE DELETE ON told_after BEGIN SELECT RAISE(ABORT, 'made once'); END;
