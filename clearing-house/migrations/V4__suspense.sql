-- The unknown taps among all entries, which are mostly rides.
CREATE INDEX entry_unknown ON entry (tap) WHERE kind = 'unknown';
