-- What entries on the materials of service items count, a row an entry.
CREATE TABLE index_counts (
  idx        INTEGER PRIMARY KEY, -- entry
  day        INTEGER NOT NULL, -- days since 1970-01-01, Asia/Shanghai
  item       BLOB    NOT NULL,
  department BLOB    NOT NULL, -- participant
  cases      INTEGER NOT NULL,
  asked      INTEGER NOT NULL,
  held       INTEGER NOT NULL,
  reused     INTEGER NOT NULL,
  declined   INTEGER NOT NULL,
  submitted  INTEGER NOT NULL,
  papers     INTEGER NOT NULL,
  avoidable  INTEGER NOT NULL
);

-- Serves the statistics of some days.
CREATE INDEX index_counts_day ON index_counts (day, department, item);

-- The index is made anew, for it lacks these rows.
DELETE FROM index_position;
