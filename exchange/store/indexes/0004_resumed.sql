-- The index is made anew, for it lacks the entries of what is in force again
-- and of what was corrected.
DELETE FROM index_position;
