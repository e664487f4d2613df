// Package contract makes contracts of protobuf messages, reads records by them,
// and judges whether versions of a contract read each other.
//
// A contract is a message whose options (huitong/contract/v1/options.proto) say
// which field is the record key, whom a record is about, when it holds and how
// sensitive each field is, and whose protovalidate rules say what is valid. A
// department registers its own descriptor set; nothing is generated and nothing
// is rebuilt.
//
// # What a contract may be
//
// Compile says field by field why a message is no contract. Beyond wrong
// options it refuses what would leave a record's cost or meaning open: messages
// that contain themselves, more than 16 levels, google.protobuf.Any, groups,
// extensions, required fields and defaults (a withheld field would look like
// another value), closed enums and proto2 (their unknown values and JSON are
// not defined), and rules whose estimated cost on a record of MaxPayload bytes
// is over MaxCost. Lists and texts count with the max_items and max_len that
// the contract states; the scan enforces those before any rule runs, so the
// estimate holds for hostile records too.
//
// # How a record is read
//
// Read is one pass of each of four: a scan of the wire bytes, the decoding,
// protovalidate's rules, and what Go code checks and reads (identifiers, dates,
// key, subjects, validity). The scan refuses what two decoders could read
// differently, so that the receiver of a record cannot be shown another one
// than the exchange checked: a field that the version does not have, a singular
// field or oneof that comes twice, a wrong wire type, text that is not UTF-8, a
// bool other than 0 and 1.
//
// A violation has a field path, a rule and a message; no message holds a value
// of the record. The rules besides those of protovalidate:
//
//	malformed                cut short, or another wire type
//	unknown_field            not part of this version; "#7" is its number
//	duplicate_field          not repeated, but there twice
//	utf8                     text that is not UTF-8
//	bool                     neither 0 nor 1: some decoders keep the low byte
//	key.required, key.length (256 bytes), key.form (space around it, control characters)
//	subject.type             a holder code type that is not in the list
//	subject.number           no number, or one longer than 128 bytes
//	subject.role, subject.count (512 a record)
//	validity.order           the validity ends before it begins
//	date                     not a day of the calendar
//	identifier.resident_id   GB 11643-1999, by normalised spelling
//	identifier.resident_id.old_form   15 digits; always a warning
//	identifier.credit_code   GB 32100-2015
//	identifier.certificate_id         GB/T 36904-2018; always a warning
//	identifier.region        GB/T 2260, the form only
//	rule.failed              a rule of the contract has no result for this record
//	payload.size             larger than MaxPayload
//	json.syntax, json.type   no JSON object; a value that is not the field's JSON
//
// A contract may name rules whose violation is a warning, among its own rules,
// the identifiers, date, and protovalidate's standard rules other than those
// that bound lists and texts.
//
// Bytes are refused or accepted, never rewritten. Only FromJSON makes bytes, and
// equal records give equal bytes.
//
// # Which decoder
//
// BenchmarkRead on two cores of an AMD EPYC, a certificate of 974 bytes with 17
// fields and 4 inner messages:
//
//	                    dynamicpb                hyperpb
//	decode               8.0 µs   89 allocations  0.4 µs   0 allocations
//	decode and rules    10.6 µs   92              3.3 µs   2
//	the whole of Read   13.5 µs  100              6.7 µs  10
//
// Read uses hyperpb. It is young and works without the memory safety of Go: a
// tag that is cut short leads it past the end of a message, and the lengths that
// it takes from there to anywhere. So it gets only bytes that the scan has
// accepted (1.1 µs of the above), and no contract can make a warning of what the
// scan refuses. Of those bytes too it reads some more than there are, and masks
// them; it gets them in a copy with room behind. Its memory is used again only
// after all that is kept was copied, and a fuzz test compares every answer with
// that of dynamicpb. Contracts with messages of google.protobuf use dynamicpb,
// because CEL takes only its messages for timestamps; and so does Names, whose
// bytes were scanned when they were stored.
//
// # Which versions read each other
//
// Check compares a version with earlier ones. On the shape of messages its
// verdict is that of buf breaking's WIRE_JSON category; testdata/changes.txt
// holds both verdicts on some seventy changes, and a test compares them with buf
// itself. Beyond the shape it finds what buf does not know: another key, other
// subjects or validity, and rules that refuse more (new readers refuse old
// records) or less (old readers meet what they could exclude).
package contract
