// Package reuse is the once-only step: of the materials that a service item asks
// for it says which the exchange already holds, and releases those that the
// applicant agrees to, so that nobody is asked again for what some department has.
//
// The way of a case: prepare (prepare.go) assesses each material (assess.go)
// against the records that the item names as its evidence (evidence.go), and
// enters what it found; nothing of the records leaves. Preview (preview.go) does the
// same and shows the records to the applicant. Collect (collect.go) assesses anew and releases one annotated copy a record, each a query of its own
// in the ledger, and the collection as one entry behind them. What is not held is
// submitted once (submit.go) and is then a record like any other, bound to the
// item that it was submitted for. Papers that a counter had to accept while the
// exchange could not be reached are reported afterwards (papers.go).
//
// What is answered live counts for the case that it was answered for (live.go).
//
// Everything is decided by access.Policy as a query of each topic for the case;
// where consent is needed and missing, nothing is looked at, so that nobody learns
// whether it is held. Of several records that would do the latest is taken, unless
// they may be of several persons (person.go).
package reuse

import (
	"context"
	"time"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/query"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"

	"github.com/huitong-bus/huitong/exchange/identity"
)

// CopyDays is how many days an annotated copy may be used, unless the record ends
// sooner.
const CopyDays = 30

// Publisher takes in records of a system, while what guards stand for is as it was.
type Publisher interface {
	PublishUnder(ctx context.Context, caller *identity.Caller, r *exchangev1.PublishRequest, guards []journal.Guard) (*exchangev1.PublishResponse, error)
}

// Config is what reuse needs.
type Config struct {
	// Queries reads and decides; it brings database, journal, cases and consents.
	Queries *query.Queries
	Index   *inspect.Index
	Topics  interface {
		Topic(name string) (*catalog.Topic, error)
		TopicsUnder(contract string) []*catalog.Topic
		Participant(code string) (*cataloguev1.Participant, error)
	}
	Policy     *access.Policy
	Conditions *Conditions
	Publisher  Publisher
	Suppliers  Suppliers
	Clock      func() time.Time
}

// Reuse prepares, collects and submits. It is safe for concurrent use.
type Reuse struct {
	Config
	items items
}

// New makes the once-only step of an exchange.
func New(c Config) *Reuse {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return &Reuse{Config: c}
}
