package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/settings"
	"github.com/huitong-bus/huitong/exchange/store"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// Registry is the catalogue in memory. It is safe for concurrent use; what it
// gives out does not change.
type Registry struct {
	*Current
	tx    store.Tx
	clock func() time.Time

	mu           sync.RWMutex
	participants map[string]*cataloguev1.Participant
	systems      map[string]*cataloguev1.System
	certificates map[[32]byte]*certificate
	ofSystem     map[string][][32]byte
	contracts    map[string]*versions
	topics       map[string]*Topic
	persons      map[[32]byte]*identity.Person
	groups       map[string]*cataloguev1.Group
	groupsOf     map[string][]string // consumers by member

	settings atomic.Pointer[settings.Settings]
}

// certificate is what the registry keeps of a certificate.
type certificate struct {
	caller    *identity.Caller
	notBefore time.Time
	notAfter  time.Time
	revoked   bool
}

func newRegistry(tx store.Tx, clock func() time.Time) *Registry {
	return &Registry{
		Current: NewCurrent(), tx: tx, clock: clock,
		participants: map[string]*cataloguev1.Participant{},
		systems:      map[string]*cataloguev1.System{},
		certificates: map[[32]byte]*certificate{},
		ofSystem:     map[string][][32]byte{},
		contracts:    map[string]*versions{},
		topics:       map[string]*Topic{},
		persons:      map[[32]byte]*identity.Person{},
		groups:       map[string]*cataloguev1.Group{},
	}
}

// Refresh brings the registry up to a count of policy changes, or to the newest
// if it is 0.
func (r *Registry) Refresh(ctx context.Context, atLeast uint64) error {
	return r.Advance(ctx, r.tx, atLeast, r.load)
}

// delta is what changed since a refresh.
type delta struct {
	participants []*cataloguev1.Participant
	systems      []*cataloguev1.System
	certificates []*cataloguev1.Certificate
	contracts    []*cataloguev1.Contract
	topics       []*cataloguev1.Topic
	persons      []*identity.Person
	groups       []*cataloguev1.Group
}

// load reads what changed and takes it over at once.
func (r *Registry) load(ctx context.Context, since uint64) (err error) {
	var d delta
	if d.participants, err = bodies[cataloguev1.Participant](ctx, r.tx, "SELECT body FROM participants WHERE changed > $1", int64(since)); err != nil {
		return err
	}
	if d.systems, err = bodies[cataloguev1.System](ctx, r.tx, "SELECT body FROM systems WHERE changed > $1", int64(since)); err != nil {
		return err
	}
	if d.certificates, err = bodies[cataloguev1.Certificate](ctx, r.tx, "SELECT body FROM certificates WHERE changed > $1", int64(since)); err != nil {
		return err
	}
	if d.contracts, err = bodies[cataloguev1.Contract](ctx, r.tx, "SELECT body FROM contracts WHERE changed > $1 ORDER BY name, version", int64(since)); err != nil {
		return err
	}
	if d.topics, err = bodies[cataloguev1.Topic](ctx, r.tx, "SELECT body FROM topics WHERE changed > $1", int64(since)); err != nil {
		return err
	}
	if d.persons, err = r.loadPersons(ctx, since); err != nil {
		return err
	}
	if d.groups, err = bodies[cataloguev1.Group](ctx, r.tx, "SELECT body FROM participant_groups WHERE changed > $1", int64(since)); err != nil {
		return err
	}
	if err := r.loadSettings(ctx, since); err != nil {
		return err
	}
	return r.apply(&d)
}

// loadSettings reads settings and calendar if they changed.
func (r *Registry) loadSettings(ctx context.Context, since uint64) error {
	if r.settings.Load() != nil {
		changed, err := settings.Changed(ctx, r.tx, since)
		if err != nil || !changed {
			return err
		}
	}
	s, err := settings.Read(ctx, r.tx)
	if err == nil {
		r.settings.Store(s)
	}
	return err
}

func (r *Registry) apply(d *delta) error {
	known := make([]*certificate, len(d.certificates))
	for i, c := range d.certificates {
		var err error
		if known[i], err = newCertificate(c); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range d.participants {
		r.participants[p.Code] = p
	}
	for _, s := range d.systems {
		r.systems[s.Id] = s
	}
	for _, c := range known {
		fingerprint := c.caller.Fingerprint
		if r.certificates[fingerprint] == nil {
			r.ofSystem[c.caller.System] = append(r.ofSystem[c.caller.System], fingerprint)
		}
		r.certificates[fingerprint] = c
		r.give(fingerprint)
	}
	for _, s := range d.systems {
		for _, fingerprint := range r.ofSystem[s.Id] {
			r.give(fingerprint)
		}
	}
	for _, k := range d.contracts {
		v := r.contracts[k.Name]
		if v == nil {
			v = &versions{name: k.Name, tx: r.tx}
			r.contracts[k.Name] = v
		}
		v.add(k)
	}
	for _, t := range d.topics {
		r.topics[t.Name] = newTopic(t, r.contracts[t.Contract])
	}
	r.takeGroups(d.groups)
	for _, p := range d.persons {
		r.persons[p.Fingerprint] = p
	}
	return nil
}

// give gives a certificate's caller the roles of its system. Callers that were
// handed out stay as they are.
func (r *Registry) give(fingerprint [32]byte) {
	c := r.certificates[fingerprint]
	caller := *c.caller
	caller.Roles = RolesOf(r.systems[caller.System].GetRoles())
	c.caller = &caller
}

func newCertificate(c *cataloguev1.Certificate) (*certificate, error) {
	parsed, err := identity.ParseCertificate(c.Der)
	if err != nil {
		return nil, fmt.Errorf("certificate %x in the catalogue: %w", c.Fingerprint, err)
	}
	name, err := identity.ParseName(c.System)
	if err != nil {
		return nil, fmt.Errorf("certificate %x in the catalogue: %w", c.Fingerprint, err)
	}
	return &certificate{
		caller: &identity.Caller{
			System: c.System, Participant: name.Participant,
			Fingerprint: [32]byte(c.Fingerprint), PublicKey: parsed.PublicKey,
		},
		notBefore: parsed.NotBefore, notAfter: parsed.NotAfter, revoked: c.Revoked,
	}, nil
}

// bodies reads messages from a query of one column.
func bodies[T any, P interface {
	*T
	proto.Message
}](ctx context.Context, tx store.Tx, query string, args ...any) ([]P, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []P
	for rows.Next() {
		var raw sql.RawBytes
		if err := rows.Scan(&raw); err != nil {
			return nil, err
		}
		m := P(new(T))
		if err := proto.Unmarshal(raw, m); err != nil {
			return nil, fmt.Errorf("a row of the catalogue cannot be read: %w", err)
		}
		found = append(found, m)
	}
	return found, rows.Err()
}

// Topic finds a topic; a withdrawn one too.
func (r *Registry) Topic(name string) (*Topic, error) {
	r.mu.RLock()
	t := r.topics[name]
	r.mu.RUnlock()
	if t == nil {
		return nil, fault.New(fault.NotFound, "topic.unknown", "the catalogue has no such topic")
	}
	return t, nil
}

// TopicsUnder gives the published topics under a contract, by name. It looks at
// every topic.
func (r *Registry) TopicsUnder(contract string) []*Topic {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []*Topic
	for _, t := range r.topics {
		if t.ContractName == contract && t.Active() {
			found = append(found, t)
		}
	}
	slices.SortFunc(found, func(a, b *Topic) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// Participant finds a participant.
func (r *Registry) Participant(code string) (*cataloguev1.Participant, error) {
	r.mu.RLock()
	p := r.participants[code]
	r.mu.RUnlock()
	if p == nil {
		return nil, fault.New(fault.NotFound, "participant.unknown", "the catalogue has no such participant")
	}
	return p, nil
}

// System finds a system.
func (r *Registry) System(id string) (*cataloguev1.System, error) {
	r.mu.RLock()
	s := r.systems[id]
	r.mu.RUnlock()
	if s == nil {
		return nil, fault.New(fault.NotFound, "system.unknown", "the catalogue has no such system")
	}
	return s, nil
}
