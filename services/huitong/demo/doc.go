// Package demo plays a hardship subsidy case on an exchange of its own:
// departments publish their registers, the service hall receives certificates
// and asks what an application needs, a system without a grant is refused, a
// revocation reaches who relied on the certificate, and an auditor checks the
// whole ledger offline, then finds one changed byte in a copy of the database.
//
// Everything goes over mutual TLS through the SDK, with keys made on each
// department's side. Every step asserts what it shows, so the story is a test
// too: it ends with an error at the first thing that is not as it should be.
package demo
