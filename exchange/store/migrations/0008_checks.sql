-- Which thresholds of a check were asked about a subject in a case. Rows are few:
-- a check takes some thresholds at most about one subject in one case.
CREATE TABLE check_thresholds (
  asked BLOB    NOT NULL, -- token of participant, case, subject, topic and check
  value INTEGER NOT NULL, -- the threshold
  idx   INTEGER NOT NULL, -- entry of the first answer
  PRIMARY KEY (asked, value)
) WITHOUT ROWID;

-- Serves finding the erased lives of a record by its key: the row of an erase
-- operation is the only one that keeps the key's token and has no opening.
CREATE INDEX sealed_erasers ON sealed (topic, key_token) WHERE key_token IS NOT NULL AND body IS NULL;
