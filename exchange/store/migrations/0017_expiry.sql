-- Serves the search for records whose last day is over. The bound is that of
-- records without a last day, which are most; a query names it as it is here.
CREATE INDEX records_until ON records (valid_until, topic, key_token) WHERE valid_until < 1099511627776;

-- The record up to which those who relied on it were told that its validity is
-- over, in the order of that index.
CREATE TABLE expiry_sweep (
  id        INTEGER PRIMARY KEY,
  until     INTEGER NOT NULL, -- its last day, days since 1970-01-01
  topic     INTEGER NOT NULL,
  key_token BLOB    NOT NULL
);
