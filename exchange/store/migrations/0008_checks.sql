-- Which thresholds of a check were asked about a subject in a case. Rows are few:
-- a check takes some thresholds at most about one subject in one case.
CREATE TABLE check_thresholds (
  asked BLOB    NOT NULL, -- token of participant, case, subject, topic and check
  value INTEGER NOT NULL, -- the threshold
  idx   INTEGER NOT NULL, -- entry of the first answer
  PRIMARY KEY (asked, value)
) WITHOUT ROWID;
