-- Subjects that subscriptions enrolled, each with a case.
CREATE TABLE enrolments (
  subscription INTEGER NOT NULL, -- number of the subscription's id
  subject      BLOB    NOT NULL, -- token of type and number
  case_token   BLOB    NOT NULL, -- token of participant and case number
  since        INTEGER NOT NULL, -- entries from here on reach the subscriber by its lanes
  idx          INTEGER NOT NULL, -- the SubjectsEnrolled entry
  at           INTEGER NOT NULL, -- its time
  id           TEXT    NOT NULL, -- of the subscription
  body         BLOB    NOT NULL, -- sealed: the subject and the case number
  PRIMARY KEY (subscription, subject, case_token)
);

-- Serves the end of a case.
CREATE INDEX enrolments_case ON enrolments (case_token);

-- What a subscription is owed beside its lanes: the present records of subjects
-- that it enrolled, until they are settled.
CREATE TABLE arrears (
  subscription INTEGER NOT NULL,
  sequence     INTEGER NOT NULL,
  lane         INTEGER NOT NULL,
  idx          INTEGER NOT NULL, -- the publication
  enrolled     INTEGER NOT NULL, -- the SubjectsEnrolled entry that it is owed for
  record       BLOB    NOT NULL, -- key token: later versions wait for this one
  PRIMARY KEY (subscription, sequence)
);

-- Serves taking up what a lane is owed, in order.
CREATE INDEX arrears_lane ON arrears (subscription, lane, sequence);

-- Serves the look whether a version has to wait.
CREATE INDEX arrears_record ON arrears (subscription, record);
