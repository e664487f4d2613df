// Package demo plays a hardship subsidy case on an exchange: departments publish
// their registers, the service hall asks what an application needs, a system
// without a grant is refused, and an auditor checks the ledger offline.
//
// Everything goes over mutual TLS through the SDK, with keys made on each
// department's side. Every step asserts what it shows, so the story is a test
// too: it ends with an error at the first thing that is not as it should be.
package demo
