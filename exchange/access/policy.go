package access

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// Config is what a policy needs.
type Config struct {
	DB        *store.DB
	Journal   *journal.Journal
	Catalogue *catalog.Catalogue
	// Clock tells the time; time.Now if nil.
	Clock func() time.Time
	Log   *slog.Logger
}

// Policy holds the grants in memory and decides. It is safe for concurrent use.
type Policy struct {
	Config
	grants *copyOfGrants
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// copyOfGrants is the grants in memory.
type copyOfGrants struct {
	*catalog.Current
	tx store.Tx

	mu   sync.RWMutex
	byID map[string]*Grant
	// of holds a topic's grants by consumer.
	of map[party][]*Grant
}

type party struct{ topic, consumer string }

// Open loads the grants and follows their changes until Close.
func Open(ctx context.Context, c Config) (*Policy, error) {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	p := &Policy{Config: c, grants: &copyOfGrants{
		Current: catalog.NewCurrent(), tx: c.DB.Reader(), byID: map[string]*Grant{}, of: map[party][]*Grant{},
	}}
	if err := p.grants.Refresh(ctx, 0); err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.Background())
	p.stop = stop
	p.done.Go(func() { catalog.Follow(running, c.Journal, p.grants, c.Log) })
	return p, nil
}

// Close ends following.
func (p *Policy) Close() {
	p.stop()
	p.done.Wait()
}

// Policy is the count of policy changes that decisions are made at.
func (p *Policy) Policy() uint64 { return min(p.grants.Policy(), p.Catalogue.Policy()) }

// Refresh brings grants and catalogue up to a count, or to the newest if it is
// 0: after journal.ErrPolicyMoved, refresh and decide anew.
func (p *Policy) Refresh(ctx context.Context, atLeast uint64) error {
	if err := p.Catalogue.Refresh(ctx, atLeast); err != nil {
		return err
	}
	return p.grants.Refresh(ctx, atLeast)
}

// Refresh reads the grants that changed.
func (g *copyOfGrants) Refresh(ctx context.Context, atLeast uint64) error {
	return g.Advance(ctx, g.tx, atLeast, g.load)
}

func (g *copyOfGrants) load(ctx context.Context, since uint64) error {
	rows, err := g.tx.QueryContext(ctx, "SELECT body FROM grants WHERE agreed = 1 AND changed > $1 ORDER BY id, version", int64(since))
	if err != nil {
		return err
	}
	defer rows.Close()
	var changed []*Grant
	for rows.Next() {
		var raw []byte
		if err := rows.Scan(&raw); err != nil {
			return err
		}
		m := &accessv1.Grant{}
		if err := proto.Unmarshal(raw, m); err != nil {
			return fmt.Errorf("a grant cannot be read: %w", err)
		}
		changed = append(changed, newGrant(m))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, one := range changed {
		g.put(one)
	}
	return nil
}

// put takes over a grant, unless a newer version of it is known; topic and
// consumer of a grant never change.
func (g *copyOfGrants) put(one *Grant) {
	if known := g.byID[one.ID]; known != nil && known.Version > one.Version {
		return
	}
	g.byID[one.ID] = one
	at := party{one.Topic, one.Consumer}
	list := slices.Clone(g.of[at]) // readers may hold the old one
	if i := slices.IndexFunc(list, func(o *Grant) bool { return o.ID == one.ID }); i >= 0 {
		list[i] = one
	} else {
		list = append(list, one)
	}
	g.of[at] = list
}

// candidates gives the grants on a topic to a system, to its participant, and to
// the groups that this is a member of.
func (p *Policy) candidates(topic string, caller *identity.Caller) (lists [3][]*Grant) {
	groups := p.Catalogue.ConsumersOf(caller.Participant)
	g := p.grants
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, consumer := range groups {
		lists[2] = append(lists[2], g.of[party{topic, consumer}]...)
	}
	lists[0], lists[1] = g.of[party{topic, caller.System}], g.of[party{topic, caller.Participant}]
	return lists
}

// Grant finds a grant.
func (p *Policy) Grant(id string) (*Grant, error) {
	p.grants.mu.RLock()
	g := p.grants.byID[id]
	p.grants.mu.RUnlock()
	if g == nil {
		return nil, fault.New(fault.NotFound, "grant.unknown", "there is no such grant")
	}
	return g, nil
}
