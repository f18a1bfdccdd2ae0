-- When and where each validator's taps were made. 15 and 21 are where a sealed tap has its moment, and its line and stop,
-- counted from 1; their bytes are big-endian, so that they are in order as they are.
CREATE INDEX tap_moment ON tap (device, substr(bytes, 15, 4), substr(bytes, 21, 4), outcome);
