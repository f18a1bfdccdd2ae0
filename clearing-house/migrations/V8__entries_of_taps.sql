-- All entries of one tap or step, whatever their kind: the indexes that keep them unique are of some kinds each, and none
-- finds all.
CREATE INDEX entry_tap ON entry (tap) WHERE tap IS NOT NULL;
-- What cards gave up at desks, by the day that it counts in.
CREATE INDEX entry_given_up ON entry (settlement_day) WHERE kind IN ('paid_out', 'taken_over');
