-- Disputes, full loads and who relied on what.

-- The full load of each topic that was begun last.
CREATE TABLE full_loads (
  topic   TEXT    PRIMARY KEY,
  system  TEXT    NOT NULL, -- who began it
  begun   INTEGER NOT NULL, -- entry of its begin
  ended   INTEGER NOT NULL, -- entry + 1 of its end; 0 while it is under way
  removed INTEGER NOT NULL, -- how many records its removals have removed
  done    INTEGER NOT NULL  -- 1 once there is nothing left to remove
);

-- Up to which entry those who relied on a record were told of what became of it.
CREATE TABLE hearing (
  id   INTEGER PRIMARY KEY,
  next INTEGER NOT NULL
);

-- Disputes of records. What was written as reasons, and by whom, is sealed beside
-- the entries.
CREATE TABLE disputes (
  idx         INTEGER PRIMARY KEY, -- entry of the dispute
  topic       TEXT    NOT NULL,
  provider    TEXT    NOT NULL,
  consumer    TEXT    NOT NULL, -- the system that raised it
  participant TEXT    NOT NULL, -- of the consumer
  version     INTEGER NOT NULL, -- entry of the disputed publication
  fields      BLOB    NOT NULL, -- numbers of the disputed fields, as varints
  key_token   BLOB,             -- of the record; gone once it is erased
  state       INTEGER NOT NULL, -- huitong.exchange.v1.DisputeState
  answer      INTEGER NOT NULL, -- entry + 1 of its end; 0 while it is open
  corrected   INTEGER NOT NULL, -- entry + 1 of the publication that corrects it
  late        INTEGER NOT NULL, -- 1 if the answer came past its deadline
  changed     INTEGER NOT NULL  -- entry that changed the row last
);

-- Serves what other processes changed.
CREATE INDEX disputes_changed ON disputes (changed);

-- Serves the marks of records, and the bound of a department's open disputes.
CREATE INDEX disputes_open ON disputes (participant) WHERE state = 1;

-- Serves the end of a record's disputes.
CREATE INDEX disputes_record ON disputes (key_token);

-- Serves the end of a record's dead letters.
CREATE INDEX dead_letters_idx ON dead_letters (idx);

-- How far each list of erasures, which is kept beside the database, has followed
-- the ledger.
CREATE TABLE erasure_lists (
  list TEXT    PRIMARY KEY, -- random, in the list's first line
  next INTEGER NOT NULL
);

-- Erasures that this database does not show in its own ledger, for it was restored
-- from a backup that is older, and that were made good.
CREATE TABLE erasures_restored (
  topic     TEXT    NOT NULL,
  key_token BLOB    NOT NULL,
  entry     INTEGER NOT NULL, -- of the erasure, as the list has it
  PRIMARY KEY (topic, key_token, entry)
);
