-- Serves the end of documents that no publication names.
CREATE INDEX documents_unnamed ON documents (touched) WHERE published = 0 AND stored > 0 AND body IS NOT NULL;
