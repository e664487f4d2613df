-- Fan-outs: how each stands. What was asked about whom is sealed; what was said and
-- reported are records of the exchange's own topics.
CREATE TABLE fan_outs (
  id          TEXT    PRIMARY KEY, -- derived from system and the caller's key
  system      TEXT    NOT NULL,
  participant TEXT    NOT NULL,
  asked_at    INTEGER NOT NULL, -- µs UTC
  request     BLOB    NOT NULL, -- huitong.exchange.v1.AskAllRequest, sealed; empty once it is erased
  version     INTEGER NOT NULL, -- of the report; 0 before the first
  state       BLOB    NOT NULL, -- hash of what that version says of the sources
  entry       INTEGER NOT NULL  -- entry + 1 of that version, or of its erasure; 0 before it is published
);

CREATE TABLE fan_out_sources (
  fan_out     TEXT    NOT NULL,
  place       INTEGER NOT NULL, -- among the sources
  topic       TEXT    NOT NULL,
  provider    TEXT    NOT NULL,
  live        INTEGER NOT NULL, -- 1 if a supplier answers
  state       INTEGER NOT NULL, -- huitong.records.v1.FanOutState
  rule        TEXT    NOT NULL, -- of a refusal
  deadline    INTEGER NOT NULL, -- µs UTC; 0 until it is asked
  request     INTEGER NOT NULL, -- entry + 1 of the request to the supplier
  outcome     INTEGER NOT NULL, -- huitong.records.v1.SupplierOutcome; 0 until it says something
  records     TEXT    NOT NULL, -- entries of what was found, with spaces between
  said        TEXT    NOT NULL, -- the supplier's rule
  said_by     TEXT    NOT NULL, -- the supplier's system
  late        INTEGER NOT NULL, -- 1 if it was said after the deadline
  answered_at INTEGER NOT NULL, -- µs UTC
  answer      INTEGER NOT NULL, -- entry + 1 of the supplier's answer
  entry       INTEGER NOT NULL, -- entry + 1 of the reading that was answered
  PRIMARY KEY (fan_out, place)
);
