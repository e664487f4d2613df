-- The catalogue and the grants. body is the object's message in the API,
-- marshalled deterministically: the digest in its ledger entry is over these
-- bytes. changed is the count of policy changes at which the row last changed:
-- whoever holds a copy reads what has a larger count than it has seen.
CREATE TABLE participants (
  code    TEXT    PRIMARY KEY,
  version INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  body    BLOB    NOT NULL -- huitong.catalogue.v1.Participant
);

CREATE INDEX participants_changed ON participants (changed);

CREATE TABLE systems (
  id          TEXT    PRIMARY KEY, -- <participant>/<system>
  participant TEXT    NOT NULL,
  version     INTEGER NOT NULL,
  changed     INTEGER NOT NULL,
  body        BLOB    NOT NULL -- huitong.catalogue.v1.System
);

CREATE INDEX systems_changed ON systems (changed);

CREATE TABLE certificates (
  fingerprint BLOB    PRIMARY KEY, -- SHA-256 of the DER bytes
  system      TEXT    NOT NULL,
  changed     INTEGER NOT NULL,
  body        BLOB    NOT NULL -- huitong.catalogue.v1.Certificate
);

CREATE INDEX certificates_changed ON certificates (changed);

-- Serves the list of a system's certificates.
CREATE INDEX certificates_system ON certificates (system);

CREATE TABLE contracts (
  name           TEXT    NOT NULL,
  version        INTEGER NOT NULL,
  changed        INTEGER NOT NULL,
  body           BLOB    NOT NULL, -- huitong.catalogue.v1.Contract without the descriptor set
  descriptor_set BLOB    NOT NULL,
  PRIMARY KEY (name, version)
);

CREATE INDEX contracts_changed ON contracts (changed);

CREATE TABLE topics (
  name     TEXT    PRIMARY KEY,
  provider TEXT    NOT NULL,
  version  INTEGER NOT NULL,
  changed  INTEGER NOT NULL,
  body     BLOB    NOT NULL -- huitong.catalogue.v1.Topic
);

CREATE INDEX topics_changed ON topics (changed);

-- Serves the list of a provider's topics, and who provides any.
CREATE INDEX topics_provider ON topics (provider, name);

CREATE TABLE grants (
  id      TEXT    PRIMARY KEY,
  version INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  body    BLOB    NOT NULL -- huitong.access.v1.Grant
);

CREATE INDEX grants_changed ON grants (changed);

-- How many queries were answered by a grant with a daily limit on its last day
-- of use.
CREATE TABLE grant_use (
  grant_id TEXT    PRIMARY KEY,
  day      INTEGER NOT NULL, -- days since 1970-01-01, Asia/Shanghai
  used     INTEGER NOT NULL
);
