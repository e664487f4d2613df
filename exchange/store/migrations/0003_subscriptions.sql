-- Which process relays a partition to JetStream.
CREATE TABLE relay_leases (
  part   INTEGER PRIMARY KEY,
  holder TEXT    NOT NULL,
  until  INTEGER NOT NULL
);

-- The processes that serve members of subscriptions. One lease a process holds
-- all that its members hold, so that members cost no renewals.
CREATE TABLE instances (
  id    TEXT    PRIMARY KEY, -- new at each start
  name  TEXT    NOT NULL,
  until INTEGER NOT NULL     -- end of the lease, µs UTC
);

-- Counts what other processes must hear of: members that come and go, pauses,
-- resets, replays. One row.
CREATE TABLE subscription_changes (
  id INTEGER PRIMARY KEY,
  n  INTEGER NOT NULL
);

INSERT INTO subscription_changes (id, n) VALUES (1, 0);

-- Subscriptions. Their positions are in lanes.
CREATE TABLE subscriptions (
  id         TEXT    PRIMARY KEY, -- <participant>/<system>/<name>
  system     TEXT    NOT NULL,
  topic      TEXT    NOT NULL,
  spec       BLOB    NOT NULL, -- huitong.exchange.v1.Subscription without its standing
  version    INTEGER NOT NULL,
  state      INTEGER NOT NULL,
  reason     TEXT    NOT NULL,
  began      INTEGER NOT NULL, -- the sequence after which it starts
  snapshot   INTEGER NOT NULL, -- up to this sequence only present versions are delivered
  created_at INTEGER NOT NULL,
  received   INTEGER NOT NULL, -- time of the last entry about acknowledgements
  changed    INTEGER NOT NULL  -- subscription_changes at its last change
);

CREATE INDEX subscriptions_system ON subscriptions (system);

-- Serves other processes' look at what changed.
CREATE INDEX subscriptions_changed ON subscriptions (changed);

-- The lanes of a subscription: where each stands, and who holds it.
CREATE TABLE lanes (
  subscription TEXT    NOT NULL,
  lane         INTEGER NOT NULL,
  seen         INTEGER NOT NULL, -- everything up to here was looked at
  unsettled    BLOB    NOT NULL, -- what of that is not settled, with attempts and delays
  member       TEXT    NOT NULL, -- who holds the lane; empty if nobody
  epoch        INTEGER NOT NULL, -- grows with each holder
  PRIMARY KEY (subscription, lane)
);

-- Who receives from a subscription now.
CREATE TABLE members (
  subscription TEXT    NOT NULL,
  member       TEXT    NOT NULL,
  instance     TEXT    NOT NULL, -- the process that serves it
  session      TEXT    NOT NULL, -- random: a member that connects anew is another session
  alone        INTEGER NOT NULL, -- 1 if it keeps its own position and bears no other member
  PRIMARY KEY (subscription, member)
);

-- Serves the end of a process.
CREATE INDEX members_instance ON members (instance);

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

-- Acknowledgements that no ledger entry covers yet.
CREATE TABLE acknowledgements (
  subscription TEXT    NOT NULL,
  n            INTEGER NOT NULL,
  body         BLOB    NOT NULL, -- huitong.ledger.v1.Acknowledgement
  PRIMARY KEY (subscription, n)
);
