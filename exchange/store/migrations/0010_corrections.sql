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
