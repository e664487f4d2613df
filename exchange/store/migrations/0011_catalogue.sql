-- The codes of catalogue entries: category and number in it. The entry's body
-- says the same.
CREATE TABLE topic_codes (
  category TEXT    NOT NULL,
  number   INTEGER NOT NULL,
  topic    TEXT    NOT NULL,
  PRIMARY KEY (category, number)
);
