-- The steps of one action, and the looks at one unknown step, of one log: those of others that name it are not read.
DROP INDEX action_names;
CREATE INDEX action_names ON action (names, device, epoch, sequence) WHERE names IS NOT NULL;
DROP INDEX action_resolves;
CREATE INDEX action_resolves ON action (resolves, device, step) WHERE resolves IS NOT NULL;
