// Package contract makes contracts of protobuf messages and reads records by
// them.
//
// A contract is a message whose options (huitong/contract/v1/options.proto) say
// which field is the record key, whom a record is about, when it holds and how
// sensitive each field is, and whose protovalidate rules say what is valid. A
// department registers its own descriptor set; nothing is generated and nothing
// is rebuilt. Compile says, field by field, why a message is no contract; Check
// says why a version is not compatible with the earlier ones.
package contract
