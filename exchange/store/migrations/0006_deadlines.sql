-- The operator's settings: no row while the defaults hold, one row after. body
-- and changed are as in the catalogue.
CREATE TABLE settings (
  id      TEXT    PRIMARY KEY, -- "settings"
  version INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  body    BLOB    NOT NULL -- huitong.access.v1.Settings
);

CREATE INDEX settings_changed ON settings (changed);

-- Years of the calendar that the operator set; others are shipped.
CREATE TABLE calendar_years (
  year    INTEGER PRIMARY KEY,
  version INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  body    BLOB    NOT NULL -- huitong.access.v1.CalendarYear
);

CREATE INDEX calendar_years_changed ON calendar_years (changed);

-- Clocks that run, and that ran. The due day is not kept: it follows from these
-- columns and the calendar in force.
CREATE TABLE deadlines (
  id         TEXT    PRIMARY KEY, -- from kind, object and start
  kind       TEXT    NOT NULL,
  object     TEXT    NOT NULL,
  owner      TEXT    NOT NULL, -- participant that must act
  parties    TEXT    NOT NULL, -- participants that wait, each between spaces
  topic      TEXT    NOT NULL,
  started_at INTEGER NOT NULL, -- µs UTC
  days       INTEGER NOT NULL, -- working days
  extension  INTEGER NOT NULL, -- working days more; 0 if it was not extended
  stopped_at INTEGER NOT NULL, -- µs UTC; 0 while it runs
  late       INTEGER NOT NULL, -- 1 + working days by which it was late when it stopped; 0 if it was not
  passed     INTEGER NOT NULL, -- index + 1 of the last record that told of it; 0 if none
  passed_day INTEGER NOT NULL, -- the due day of which it was told that it passed, days since 1970-01-01
  untold     INTEGER NOT NULL  -- what is to be told of yet: 1 the extension, 2 the late stop, 3 both
);

-- Serves the list, in the order of the starts.
CREATE INDEX deadlines_started ON deadlines (started_at, id);

-- Serves what stops or extends a clock.
CREATE INDEX deadlines_object ON deadlines (object, kind);

-- Serves the search for those that passed, and for what is to be told of.
CREATE INDEX deadlines_open ON deadlines (started_at, id) WHERE stopped_at = 0;

CREATE INDEX deadlines_untold ON deadlines (started_at, id) WHERE untold > 0;
