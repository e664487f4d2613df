// Package bench measures an exchange on the machine it is to run on, so that an
// operator knows what an installation will bear.
//
// It makes an exchange of its own in a directory on the disk in question, in
// this process, with everything on as in service: mutual TLS on loopback, field
// commitments, signatures, validation, sealing, ledger, fsync on every commit.
// Department systems publish, receive and query through the SDK.
//
// Beside its figures it prints references measured in the same run on the same
// disk: raw JetStream, a bare gRPC echo, and what one fsync takes. Absolute
// figures say something about the machine; the ratios to the references say
// something about the exchange, so they come first.
package bench
