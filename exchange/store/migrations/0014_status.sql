-- How often a participant asked how certificates stand, in the last hour in which
-- it asked.
CREATE TABLE status_use (
  participant TEXT    PRIMARY KEY,
  hour        INTEGER NOT NULL, -- hours since 1970-01-01 UTC
  asked       INTEGER NOT NULL
);
