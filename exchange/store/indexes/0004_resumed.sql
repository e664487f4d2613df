-- The index is made anew, for it lacks the entries of what is in force again.
DELETE FROM index_position;
