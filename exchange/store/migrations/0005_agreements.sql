-- Persons, groups, and the steps by which grants are agreed.

-- The officials who act for participants, each known by its key. What names a
-- person is sealed; body holds the rest, and its digest stands in the ledger.
CREATE TABLE persons (
  fingerprint BLOB    PRIMARY KEY, -- SHA-256 of the public key
  participant TEXT    NOT NULL,
  reference   BLOB    NOT NULL, -- token of participant and staff reference
  changed     INTEGER NOT NULL,
  body        BLOB    NOT NULL, -- huitong.catalogue.v1.Person without reference and name
  details     BLOB    NOT NULL  -- huitong.catalogue.v1.PersonDetails, sealed
);

CREATE INDEX persons_changed ON persons (changed);

-- Serves the list of a participant's persons.
CREATE INDEX persons_participant ON persons (participant, fingerprint);

-- Serves the look for another person with the same reference.
CREATE INDEX persons_reference ON persons (reference);

-- Groups of participants that are granted something together.
CREATE TABLE participant_groups (
  id      TEXT    PRIMARY KEY,
  version INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  body    BLOB    NOT NULL -- huitong.catalogue.v1.Group
);

CREATE INDEX participant_groups_changed ON participant_groups (changed);

-- Grants, each version of one in a row of its own: what was agreed once stays as
-- it was. Of the versions that were agreed the newest is in force.
CREATE TABLE grant_versions (
  id        TEXT    NOT NULL,
  version   INTEGER NOT NULL,
  provider  TEXT    NOT NULL,
  applicant TEXT    NOT NULL, -- the participant that signs for the consumer
  pending   INTEGER NOT NULL, -- 1 from the request until it is answered
  agreed    INTEGER NOT NULL, -- 1 once both sides agreed
  changed   INTEGER NOT NULL,
  body      BLOB    NOT NULL, -- huitong.access.v1.Grant
  PRIMARY KEY (id, version)
);

DROP TABLE grants;

ALTER TABLE grant_versions RENAME TO grants;

CREATE INDEX grants_agreed ON grants (agreed, changed);

-- Serve the lists of both sides, and how many requests of one are open.
CREATE INDEX grants_provider ON grants (provider, id);

CREATE INDEX grants_applicant ON grants (applicant, pending, id);
