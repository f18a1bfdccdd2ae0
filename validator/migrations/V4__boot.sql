-- In which boot of the machine the intent was written. What a dead process wrote is kept as long as the machine runs; past
-- that, the outcome may have been lost though the rider saw it.
ALTER TABLE intent ADD COLUMN boot BLOB CHECK (boot IS NULL OR length(boot) = 16);

-- Unknown taps that stand for an intent of another boot, or of one that is not known: their riders may have been admitted.
CREATE TABLE perhaps_admitted (
    sequence INTEGER PRIMARY KEY REFERENCES tap (sequence) ON DELETE CASCADE
) STRICT;
-- Of the unknown taps before this table (outcome 2, the second byte) nobody can tell any more.
INSERT INTO perhaps_admitted SELECT sequence FROM tap WHERE substr(sealed, 2, 1) = x'02';
