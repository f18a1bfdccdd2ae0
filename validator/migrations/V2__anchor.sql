-- What the first tap in the table goes on from: the sequence before it, and the hash that it names. A log that was begun
-- anew after damage starts with the last known hash of the log before it.
ALTER TABLE log ADD COLUMN anchor_sequence INTEGER NOT NULL DEFAULT 0 CHECK (anchor_sequence >= 0);
ALTER TABLE log ADD COLUMN anchor_hash BLOB NOT NULL
    DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000' CHECK (length(anchor_hash) = 32);
