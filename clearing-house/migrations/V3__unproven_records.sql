-- The records that taps and steps without a right Transaction MAC say they wrote, by card: a lost card is granted no
-- more than they leave. 33 and 46 are where a sealed tap and a sealed action have the card, counted from 1.
CREATE INDEX tap_unproven_card ON tap (card) WHERE outcome = 'done' AND proven = 0;
CREATE INDEX kept_aside_tap_card ON kept_aside (substr(bytes, 33, 16)) WHERE verdict = 'mac_wrong';
CREATE INDEX kept_aside_action_card ON kept_aside (substr(bytes, 46, 16)) WHERE verdict = 'mac_wrong';
