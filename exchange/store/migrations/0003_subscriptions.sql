-- Which process relays a partition to JetStream.
CREATE TABLE relay_leases (
  part   INTEGER PRIMARY KEY,
  holder TEXT    NOT NULL,
  until  INTEGER NOT NULL
);

-- Subscriptions. Their positions are in lanes.
CREATE TABLE subscriptions (
  id         TEXT    PRIMARY KEY, -- <participant>/<system>/<name>
  system     TEXT    NOT NULL,
  topic      TEXT    NOT NULL,
  spec       BLOB    NOT NULL, -- huitong.exchange.v1.Subscription without its standing
  state      INTEGER NOT NULL,
  reason     TEXT    NOT NULL,
  snapshot   INTEGER NOT NULL, -- up to this sequence only present versions are delivered
  created_at INTEGER NOT NULL,
  received   INTEGER NOT NULL  -- time of the last entry about acknowledgements
);

CREATE INDEX subscriptions_system ON subscriptions (system);

-- The lanes of a subscription: where each stands, and who holds it.
CREATE TABLE lanes (
  subscription TEXT    NOT NULL,
  lane         INTEGER NOT NULL,
  seen         INTEGER NOT NULL, -- everything up to here was looked at
  unsettled    BLOB    NOT NULL, -- what of that is not settled, with attempts and delays
  member       TEXT    NOT NULL, -- who holds the lane; empty if nobody
  epoch        INTEGER NOT NULL, -- grows with each holder
  until        INTEGER NOT NULL, -- end of the lease
  PRIMARY KEY (subscription, lane)
);

-- Who receives from a subscription now.
CREATE TABLE members (
  subscription TEXT    NOT NULL,
  member       TEXT    NOT NULL,
  until        INTEGER NOT NULL,
  PRIMARY KEY (subscription, member)
);

CREATE TABLE dead_letters (
  subscription TEXT    NOT NULL,
  sequence     INTEGER NOT NULL,
  lane         INTEGER NOT NULL,
  idx          INTEGER NOT NULL,
  reason       TEXT    NOT NULL,
  attempts     INTEGER NOT NULL,
  at           INTEGER NOT NULL,
  replaying    INTEGER NOT NULL, -- 1 once it is to be delivered again
  PRIMARY KEY (subscription, sequence)
);

-- Signed acknowledgements that no ledger entry covers yet.
CREATE TABLE acknowledgements (
  subscription TEXT    NOT NULL,
  n            INTEGER NOT NULL,
  body         BLOB    NOT NULL, -- huitong.ledger.v1.Acknowledgement
  PRIMARY KEY (subscription, n)
);
