-- What decisions rest on beside the policy: the version of each fact that has
-- changed. A row that is missing has version 0.
CREATE TABLE guards (
  kind    INTEGER NOT NULL, -- journal.GuardKind
  key     BLOB    NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (kind, key)
);
