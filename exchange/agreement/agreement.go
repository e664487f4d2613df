// Package agreement takes the steps by which two departments come to a grant,
// change it and end it.
//
// The consumer's handler requests, its head approves; then the provider's clock
// runs. The provider's handler accepts, refuses, or returns the request once,
// with everything that is missing; its head approves what was answered. What is
// agreed does not change: a change, an extension or a renewal is a new version by
// the same steps, and the old one is in force until the new one is agreed.
//
// Each step is an entry. Its statement, the exact bytes, is signed by the key of
// the calling system's certificate and, where the table asks for one, by an
// official with a key of its own; the two steps of a side are by two officials.
// A statement names the ledger, the terms' digest, the digest of the statement
// before and the time: so no step can be forged, replayed, backdated or taken
// for other terms, and an auditor follows the whole way from the ledger alone.
package agreement

import (
	"time"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// Config is what agreements need.
type Config struct {
	DB     *store.DB
	Policy *access.Policy
	// Origin is the ledger's, which statements name.
	Origin string
	// Verifier checks what persons sign; their enrolled keys if nil.
	Verifier  identity.PersonVerifier
	Deadlines *deadline.List
	// Clock tells the time; time.Now if nil.
	Clock func() time.Time
}

// Agreements takes steps and shows where agreements stand.
type Agreements struct{ Config }

// New makes the agreements of an exchange.
func New(c Config) *Agreements {
	if c.Verifier == nil {
		c.Verifier = identity.EnrolledKey{}
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return &Agreements{c}
}

// State is a version's.
type State = accessv1.GrantState

const (
	none       = accessv1.GrantState_GRANT_STATE_UNSPECIFIED
	prepared   = accessv1.GrantState_GRANT_STATE_PREPARED
	requested  = accessv1.GrantState_GRANT_STATE_REQUESTED
	accepting  = accessv1.GrantState_GRANT_STATE_ACCEPTING
	refusing   = accessv1.GrantState_GRANT_STATE_REFUSING
	returned   = accessv1.GrantState_GRANT_STATE_RETURNED
	refused    = accessv1.GrantState_GRANT_STATE_REFUSED
	withdrawn  = accessv1.GrantState_GRANT_STATE_WITHDRAWN
	active     = accessv1.GrantState_GRANT_STATE_ACTIVE
	suspended  = accessv1.GrantState_GRANT_STATE_SUSPENDED
	terminated = accessv1.GrantState_GRANT_STATE_TERMINATED
	expired    = accessv1.GrantState_GRANT_STATE_EXPIRED
	disposed   = accessv1.GrantState_GRANT_STATE_DISPOSED
	superseded = accessv1.GrantState_GRANT_STATE_SUPERSEDED
)
