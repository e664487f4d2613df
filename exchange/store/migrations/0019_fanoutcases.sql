-- Of which case and about whom a fan-out's sources were asked, so that a preparation
-- finds what was answered for its case. Those of before are not found.
ALTER TABLE fan_outs ADD COLUMN case_token BLOB;
ALTER TABLE fan_out_sources ADD COLUMN subject_token BLOB;

CREATE INDEX fan_outs_case ON fan_outs (case_token);
