// Package correction keeps disputes (校核): a department that read a record finds
// it wrong, and the record's provider corrects it or says why it stands.
//
// A dispute and its end are entries. While it is open the record is marked
// wherever it leaves the exchange; it stays readable and nobody's case waits. The
// provider's legal clock runs from the dispute's entry, and a late answer is
// taken and flagged. Disputes of several departments stand side by side, and the
// record is marked until the last of them has ended. The erasure of a record ends
// its disputes.
package correction

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/cases"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
)

const (
	// MaxOpen bounds the open disputes of a department.
	MaxOpen = 1000
	// maxReason and maxReference bound texts, in bytes.
	maxReason    = 1024
	maxReference = 128
	// maxFields bounds the fields that one dispute names.
	maxFields = 64
	// attempts is how often a call is decided while the policy keeps moving.
	attempts = 8
	// look is how often the marks are compared with what other processes changed.
	look = time.Second
)

// Dispute is the action of disputing a record, as it stands in the ledger's
// refusals, and Answer that of answering or withdrawing.
const (
	Dispute access.Action = "dispute"
	Answer  access.Action = "dispute.answer"
)

// Topics finds a topic by name.
type Topics interface {
	Topic(name string) (*catalog.Topic, error)
}

// Readers says who may read a topic.
type Readers interface {
	// Reads says whether a caller may read some of a topic's records now.
	Reads(caller *identity.Caller, topic *catalog.Topic) bool
	Policy() uint64
	Refresh(ctx context.Context, policy uint64) error
}

// Reliance says who relied on what; an inspect.Index.
type Reliance interface {
	Wait(ctx context.Context, size uint64) error
	Versions(ctx context.Context, publication uint64) ([]uint64, error)
	Relied(ctx context.Context, participant string, versions []uint64) (bool, error)
}

// Cases finds a participant's case by its number; nil if there is none.
type Cases interface {
	Find(ctx context.Context, participant, number string) (*cases.Case, error)
}

// Refuser commits the entry of a denial before the caller hears of it.
type Refuser interface {
	Refuse(ctx context.Context, r access.Request, d access.Decision) error
}

// Config is what corrections need.
type Config struct {
	DB       *store.DB
	Journal  *journal.Journal
	Topics   Topics
	Readers  Readers
	Reliance Reliance
	Cases    Cases
	Refusals Refuser
	Sealer   journal.Sealer
	Marks    *Marks
	Log      *slog.Logger
}

// Corrections keeps the disputes. It is safe for concurrent use.
type Corrections struct {
	Config
	stop context.CancelFunc
	done sync.WaitGroup
}

// Open reads which records are disputed, and follows what other processes change
// until Close.
func Open(ctx context.Context, c Config) (*Corrections, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	k := &Corrections{Config: c}
	if err := c.Marks.refresh(ctx, c.DB.Reader()); err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.Background())
	k.stop = stop
	k.done.Go(func() { k.follow(running) })
	return k, nil
}

// Close ends following.
func (k *Corrections) Close() {
	k.stop()
	k.done.Wait()
}

func (k *Corrections) follow(ctx context.Context) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := k.Marks.refresh(ctx, k.DB.Reader()); err != nil && ctx.Err() == nil {
			k.Log.Warn("which records are disputed cannot be read", "error", err)
		}
	}
}

// submit commits a change of a dispute and lets this process's marks know it.
func (k *Corrections) submit(ctx context.Context, call *journal.Call) (*journal.Commit, error) {
	commit, err := k.Journal.Submit(ctx, call)
	if err != nil || call.ValidateOnly {
		return commit, err
	}
	// The change is committed whatever becomes of this: following comes to it too.
	if err := k.Marks.refresh(ctx, k.DB.Reader()); err != nil {
		k.Log.Warn("a dispute is committed but not read back yet", "error", err)
	}
	return commit, nil
}

// again runs a call until it is decided under the policy that it commits under.
func (k *Corrections) again(ctx context.Context, run func(policy uint64) error) error {
	var err error
	for range attempts {
		if err = run(k.Readers.Policy()); !errors.Is(err, journal.ErrPolicyMoved) {
			return err
		}
		if err := k.Readers.Refresh(ctx, 0); err != nil {
			return err
		}
	}
	return fault.Wrap(fault.Unavailable, "policy.moving", err, "permissions keep changing; try again")
}

// refuse commits the entry of a denial, and gives it.
func (k *Corrections) refuse(ctx context.Context, r access.Request, t *catalog.Topic, rule, message string) error {
	d := access.Decision{Kind: fault.Denied, Rule: rule, Message: message}
	if t != nil {
		d.Topic, d.Provider = t.Name, t.Provider
	}
	if err := k.Refusals.Refuse(ctx, r, d); err != nil {
		return err
	}
	return d.Err()
}

// department refuses a caller that is no department's system.
func (k *Corrections) department(ctx context.Context, r access.Request) error {
	if r.Caller.Roles.Has(identity.Department) {
		return nil
	}
	return k.refuse(ctx, r, nil, "role.department", "records are disputed and corrected between department systems; the caller has no such role")
}

// text refuses a text that is missing, too long or not printable.
func text(field, value string, limit int, required bool) error {
	switch {
	case required && strings.TrimSpace(value) == "":
		return fault.Field(field, field+".required", "is required")
	case len(value) > limit:
		return fault.Field(field, field+".size", "has more than %d bytes", limit)
	case !contract.Lines(value):
		return fault.Field(field, field+".text", "is not printable text")
	}
	return nil
}

// object names a dispute for its legal clock.
func object(dispute uint64) string { return "dispute " + strconv.FormatUint(dispute, 10) }
