-- Consents, representations and identity providers. What is personal is a token,
-- or stands in the sealed body.

CREATE TABLE consents (
  digest         BLOB    PRIMARY KEY, -- SHA-256 of the artefact
  holder         BLOB    NOT NULL, -- token of subject and recipient
  recipient      TEXT    NOT NULL,
  valid_from     INTEGER NOT NULL, -- days since 1970-01-01
  valid_until    INTEGER NOT NULL,
  given          INTEGER NOT NULL, -- entry
  revoked        INTEGER NOT NULL, -- entry + 1; 0 while it is not
  representation BLOB    NOT NULL, -- digest of the one it was given under; empty if none
  body           BLOB    NOT NULL  -- sealed huitong.access.v1.RecordedConsent
);

-- Serves a decision, and the list of a subject's.
CREATE INDEX consents_holder ON consents (holder, given);

-- Serves the end of a representation.
CREATE INDEX consents_representation ON consents (representation);

CREATE TABLE representations (
  digest      BLOB    PRIMARY KEY, -- SHA-256 of what was recorded
  principal   BLOB    NOT NULL, -- subject token
  participant TEXT    NOT NULL, -- that recorded it
  recorded    INTEGER NOT NULL, -- entry
  ended       INTEGER NOT NULL, -- entry + 1; 0 while it is not
  body        BLOB    NOT NULL  -- sealed huitong.access.v1.RecordedRepresentation
);

-- Serves the list of a participant's.
CREATE INDEX representations_participant ON representations (participant, recorded);

-- Serves the list of a principal's.
CREATE INDEX representations_principal ON representations (principal, recorded);

CREATE TABLE identity_providers (
  issuer  TEXT    PRIMARY KEY,
  version INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  body    BLOB    NOT NULL -- huitong.access.v1.IdentityProvider
);

CREATE INDEX identity_providers_changed ON identity_providers (changed);
