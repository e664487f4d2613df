-- The once-only step: which cases were prepared, and what became of their
-- materials. The rest is in the ledger.

CREATE TABLE preparations (
  case_token    BLOB    NOT NULL,
  subject_token BLOB    NOT NULL,
  idx           INTEGER NOT NULL, -- entry of the first
  PRIMARY KEY (case_token, subject_token)
);

-- The applicant's choice for each material of a case, which is made once.
CREATE TABLE choices (
  case_token    BLOB    NOT NULL,
  subject_token BLOB    NOT NULL,
  material      TEXT    NOT NULL,
  -- Entry of the collection that it was made with.
  idx           INTEGER NOT NULL,
  -- How many copies were released, and the entry of the first; 0 and 0 for a
  -- material that was declined.
  copies        INTEGER NOT NULL,
  first         INTEGER NOT NULL,
  PRIMARY KEY (case_token, subject_token, material)
);

-- Publications that applicants' materials came by.
CREATE TABLE submissions (
  publication INTEGER PRIMARY KEY, -- entry
  idx         INTEGER NOT NULL     -- entry that says for what
);

-- Papers that were accepted while the exchange could not be reached, each once.
CREATE TABLE papers (
  case_token    BLOB    NOT NULL,
  subject_token BLOB    NOT NULL,
  material      TEXT    NOT NULL,
  idx           INTEGER NOT NULL, -- entry that reported it
  PRIMARY KEY (case_token, subject_token, material)
);
