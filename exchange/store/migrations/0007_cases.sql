-- Cases. Number, subjects, persons and reasons are in the sealed opening of the
-- entries that opened and closed them.
CREATE TABLE cases (
  token       BLOB    PRIMARY KEY, -- of participant and number
  participant TEXT    NOT NULL,
  item        TEXT    NOT NULL,
  state       INTEGER NOT NULL, -- huitong.access.v1.CaseState
  opened      INTEGER NOT NULL, -- index of the entry that opened it
  closed      INTEGER NOT NULL, -- index of the entry that closed it, plus 1; 0 while open
  opened_at   INTEGER NOT NULL, -- µs UTC
  after_fact  INTEGER NOT NULL, -- 1 if opened after the fact
  subjects    BLOB    NOT NULL  -- subject tokens, joined
);

-- Serves a participant's list, the newest first.
CREATE INDEX cases_participant ON cases (participant, opened);

-- Serves the list of all, and of those opened after the fact.
CREATE INDEX cases_opened ON cases (opened);
