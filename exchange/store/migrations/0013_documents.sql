-- Documents beside records. What a document is, and the key that opens its
-- chunks, stands in the sealed body: a document without one is erased.

CREATE TABLE documents (
  id          BLOB    PRIMARY KEY, -- 16 bytes, made by the system that brings it
  system      TEXT    NOT NULL,
  participant TEXT    NOT NULL,
  size        INTEGER NOT NULL,
  durable     INTEGER NOT NULL, -- how much of it is stored, from its beginning
  touched     INTEGER NOT NULL, -- when something was stored last, µs
  stored      INTEGER NOT NULL, -- entry + 1 that says that it is there; 0 while it is not
  published   INTEGER NOT NULL, -- entry + 1 of the publication that it belongs to; 0 if none
  body        BLOB              -- sealed huitong.ledger.v1.SealedDocument; gone once it is erased
);

-- Serves the bound of a participant's unfinished uploads, and their end.
CREATE INDEX documents_unfinished ON documents (participant) WHERE stored = 0;

-- Serves the documents of a publication.
CREATE INDEX documents_published ON documents (published) WHERE published > 0;

-- The bytes of documents, 1 MiB each but for the last.
CREATE TABLE document_chunks (
  document BLOB    NOT NULL,
  number   INTEGER NOT NULL, -- from 0
  body     BLOB    NOT NULL, -- sealed by the document's key
  PRIMARY KEY (document, number)
);

-- Documents that are gone, of which there may still be chunks.
CREATE TABLE document_remains (
  document BLOB PRIMARY KEY
);
