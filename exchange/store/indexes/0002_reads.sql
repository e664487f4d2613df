-- Which entries let a version of a record be relied on: queries and checks that
-- looked at it. Erasure deletes the rows of the record's versions, once everybody
-- who relied on it was told.
CREATE TABLE index_reads (
  version INTEGER NOT NULL, -- entry of the publication
  idx     INTEGER NOT NULL, -- entry of the query or check
  PRIMARY KEY (version, idx)
) WITHOUT ROWID;

-- The entries of which those who relied on a record are told.
CREATE TABLE index_causes (
  idx INTEGER PRIMARY KEY
);

-- The index is made anew, for it lacks these rows.
DELETE FROM index_position;
