// Package verify checks what the ledger says, offline and without trusting the
// exchange. It is pure: bytes in, verdict out. The exchange, the SDK and the
// auditor's command all use it, and it is the definition of every hash.
//
// All integers are big-endian; ‖ joins bytes; text is UTF-8; str(s) is the
// length of s in two bytes, then s.
//
// # Leaf and tree
//
// A leaf is the bytes of a marshalled huitong.ledger.v1.LedgerEntry as stored,
// at most 65,535 of them. The tree is that of RFC 6962, section 2.1:
//
//	leaf hash = SHA-256(0x00 ‖ leaf)
//	node hash = SHA-256(0x01 ‖ left ‖ right)
//
// A checkpoint is a C2SP tlog-checkpoint: the text "origin, size, base64 root",
// a line each, as a signed note with an Ed25519 key.
//
// # Salted commitments
//
// Everything of an entry that is personal is committed to under a salt. All
// salts of an entry derive from one 32-byte secret, sealed beside the entry and
// erased with it:
//
//	salt(kind, n)          = SHA-256("huitong/salt/v1" ‖ kind ‖ n as 4 bytes ‖ secret)[:16]
//	commit(kind, n, value) = SHA-256(kind ‖ n as 4 bytes ‖ salt(kind, n) ‖ value)
//
// The kinds are one byte each: 'f' a payload field (n its number), 'k' the
// record key, 's' a subject (n its place; value str(type) ‖ str(number) ‖
// str(role)), 'r' the reason, 'x' the successor's key, 'p' the acting person,
// 'c' the case number, 'q' the subject or key asked for, 'm' a document (value id
// (16) ‖ size (8) ‖ SHA-256 (32) ‖ str(media type) ‖ str(title)).
//
// # Payload commitment
//
// The unit of commitment is the top-level field: its wire bytes as received,
// tag included, all occurrences joined in order, and no bytes for a field that
// is absent. Every field that the contract version declares is committed to, so
// that nothing shows whether a withheld field was empty.
//
//	payload commitment = SHA-256("huitong/payload/v1" ‖ str(contract) ‖ version as 4 bytes
//	                     ‖ count as 4 bytes ‖ for each field, ascending: number as 4 bytes ‖ commit('f', number, bytes))
//
// A record cut to its granted fields travels with the salts of those and the
// hashes of the rest (CutProof); CheckCut recomputes the commitment from both.
//
// # Publisher's signature
//
//	statement = "huitong/record/v1" ‖ idempotency key (16) ‖ str(topic) ‖ operation (1)
//	            ‖ payload commitment (32) ‖ key commitment (32) ‖ reason commitment (32) ‖ successor commitment (32)
//	            ‖ effective time in µs (8) ‖ source version (8) ‖ if_index_plus_one (8)
//
// with 32 zero bytes for a commitment that does not apply; the key commitment
// applies where there is no payload. A statement with documents begins with
// "huitong/record/v2" and ends with the documents commitment (32): kind 'm', to the
// RFC 6962 root over the documents' bytes as above. The signature is over
//
//	"huitong/call/v1" ‖ str(system) ‖ count as 4 bytes ‖ RFC 6962 root over the call's statements
//
// by the key of the client certificate: ECDSA (ASN.1; SHA-256 for P-256, SHA-384
// for P-384) or Ed25519.
//
// # Receiver's signature
//
// An acknowledgement signs the deliveries by the leaf hashes of their
// ReleaseDetail bytes:
//
//	"huitong/ack/v1" ‖ str(subscription) ‖ count as 4 bytes ‖ for each: sequence (8) ‖ leaf hash (32)
//
// # Persons and the steps of a grant
//
// A person is known by the SHA-256 of its public key (PKIX, DER). On enrolment
// the key signs
//
//	"huitong/person/v1" ‖ str(ledger origin) ‖ str(participant) ‖ public key
//
// which shows that whoever enrols holds it. What names the person is committed
// to under kind 'p': str(reference) ‖ str(name).
//
// A step of a grant is signed twice over the same bytes, by the key of the
// calling system's certificate and by the person's:
//
//	"huitong/step/v1" ‖ str(system) ‖ marshalled huitong.ledger.v1.StepStatement
//
// The statement names ledger, grant, version, step, time and the SHA-256 of the
// statement before it, so a signature holds for one step at one place only.
//
// Worked examples of all of these stand in the package's Example functions.
package verify
