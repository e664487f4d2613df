-- The head of the journal: one row, locked by every group commit.
CREATE TABLE head (
  id         INTEGER PRIMARY KEY,
  origin     TEXT    NOT NULL, -- the log's origin, with its epoch
  size       INTEGER NOT NULL, -- entries in the ledger
  at         INTEGER NOT NULL, -- time of the last entry, µs UTC
  policy     INTEGER NOT NULL, -- changes of policy
  group_id   BLOB    NOT NULL, -- of the last group: tells whether a lost COMMIT took effect
  edge       BLOB    NOT NULL, -- right edge of the tree: hashes of its perfect subtrees, largest first
  sequences  BLOB    NOT NULL, -- last stream sequence of each partition, 8 bytes each
  checkpoint BLOB    NOT NULL  -- signed note over size and root
);

-- The ledger. Never updated.
CREATE TABLE ledger (
  idx  INTEGER PRIMARY KEY,
  leaf BLOB NOT NULL
);

-- What the ledger commits to, sealed. Erasure sets key_token, tokens and body of
-- every version to NULL; the row of the erase operation keeps its key_token, with
-- a seal that binds it in place of tokens.
CREATE TABLE sealed (
  idx       INTEGER PRIMARY KEY,
  topic     INTEGER NOT NULL, -- number of the topic; 0 where the entry is no publication
  pos       INTEGER NOT NULL, -- sequence in the partition's stream; 0 where the entry is no publication
  prev      INTEGER NOT NULL, -- idx + 1 of the record's version before; 0 for the first
  key_token BLOB,
  tokens    BLOB,             -- subject tokens, 17 bytes each
  body      BLOB              -- the sealed opening
);

-- Serves reading a topic in stream order.
CREATE INDEX sealed_topic ON sealed (topic, pos) WHERE pos > 0;

-- The present version of each record.
CREATE TABLE records (
  topic          INTEGER NOT NULL,
  key_token      BLOB    NOT NULL,
  idx            INTEGER NOT NULL, -- entry of the present version
  payload_idx    INTEGER NOT NULL, -- entry that holds its payload
  version        INTEGER NOT NULL,
  status         INTEGER NOT NULL,
  source_version INTEGER NOT NULL,
  valid_from     INTEGER NOT NULL, -- days since 1970-01-01
  valid_until    INTEGER NOT NULL,
  PRIMARY KEY (topic, key_token)
) WITHOUT ROWID;

-- Idempotency keys, kept for good.
CREATE TABLE idempotency (
  system INTEGER NOT NULL, -- number of the system
  key    BLOB    NOT NULL,
  idx    INTEGER NOT NULL,
  PRIMARY KEY (system, key)
) WITHOUT ROWID;

-- Full hash tiles of the tree (C2SP tlog-tiles, height 8) and their roots.
CREATE TABLE tiles (
  level  INTEGER NOT NULL,
  idx    INTEGER NOT NULL,
  root   BLOB    NOT NULL,
  hashes BLOB    NOT NULL,
  PRIMARY KEY (level, idx)
);

-- Where a publishing system stands in its own sources.
CREATE TABLE positions (
  system   TEXT    NOT NULL,
  source   TEXT    NOT NULL,
  position BLOB    NOT NULL,
  at       INTEGER NOT NULL,
  PRIMARY KEY (system, source)
);

-- The versions of erased records by their place in a partition's stream: there
-- JetStream may miss a message.
CREATE TABLE stream_erasures (
  part INTEGER NOT NULL,
  pos  INTEGER NOT NULL,
  idx  INTEGER NOT NULL, -- entry of the erased version
  done INTEGER NOT NULL, -- 1 once its message is overwritten
  PRIMARY KEY (part, pos)
) WITHOUT ROWID;

-- Serves what JetStream still has to overwrite.
CREATE INDEX stream_erasures_due ON stream_erasures (part, pos) WHERE done = 0;
