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
