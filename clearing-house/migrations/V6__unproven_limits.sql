-- What each desk was believed, of cards that prove nothing, as the configuration had it: a row where that changed. The
-- audit books again by it what such cards gave up.
CREATE TABLE unproven_limit (
    -- Counts from 1.
    id      INTEGER PRIMARY KEY,
    desk    INTEGER NOT NULL CHECK (desk BETWEEN 1 AND 16777215),
    -- The first upload that it was in force for. Deferred: the receipt is written last, when every verdict is known.
    receipt INTEGER NOT NULL REFERENCES receipt (id) DEFERRABLE INITIALLY DEFERRED,
    -- Minor units a day; NULL: without a limit, Transaction MACs were not enforced.
    minor   INTEGER CHECK (minor >= 0),
    -- SHA-256 over the row and the row before it.
    chain   BLOB    NOT NULL CHECK (length(chain) = 32)
) STRICT;
CREATE INDEX unproven_limit_desk ON unproven_limit (desk, receipt);
CREATE TRIGGER unproven_limit_update BEFORE UPDATE ON unproven_limit
BEGIN SELECT RAISE(ABORT, 'limits are only added'); END;
CREATE TRIGGER unproven_limit_delete BEFORE DELETE ON unproven_limit
BEGIN SELECT RAISE(ABORT, 'limits are only added'); END;

-- What was found about one tap or step.
CREATE INDEX finding_tap ON finding (tap, kind);
