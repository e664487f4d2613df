-- How far the index has followed the ledger.
CREATE TABLE index_position (
  id   INTEGER PRIMARY KEY,
  next INTEGER NOT NULL
);
