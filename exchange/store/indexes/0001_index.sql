-- How far the index has followed which ledger. leaf is the leaf hash of the last
-- entry followed: an index of another past is known by it.
CREATE TABLE index_position (
  id     INTEGER PRIMARY KEY,
  origin TEXT    NOT NULL,
  next   INTEGER NOT NULL,
  leaf   BLOB    NOT NULL
);

-- Which entries of a block have a term: one bit an entry. Terms are the numbers
-- of participants, systems, topics and kinds; they are few in each block, so a
-- record costs next to nothing here.
CREATE TABLE index_bits (
  term  INTEGER NOT NULL,
  block INTEGER NOT NULL,
  bits  BLOB    NOT NULL,
  PRIMARY KEY (term, block)
) WITHOUT ROWID;

-- Which entries are about a subject or a case, by the number of its token.
-- record is the number of the record's key token, in the order of key tokens; 0
-- where the entry is no publication.
CREATE TABLE index_tokens (
  token  INTEGER NOT NULL,
  topic  INTEGER NOT NULL,
  record INTEGER NOT NULL,
  idx    INTEGER NOT NULL,
  PRIMARY KEY (token, topic, record, idx)
) WITHOUT ROWID;

-- The rows of index_tokens that a publication has: what an operation without
-- payload takes over, and what erasure deletes.
CREATE TABLE index_entries (
  idx    INTEGER PRIMARY KEY,
  topic  INTEGER NOT NULL,
  record INTEGER NOT NULL,
  tokens BLOB    NOT NULL -- 8 bytes each
);
