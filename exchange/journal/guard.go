package journal

import (
	"context"
	"database/sql"
	"errors"

	"github.com/huitong-bus/huitong/exchange/store"
)

// GuardKind says what a guard stands for.
type GuardKind int64

// The kinds of guard.
const (
	// GuardCase is of a case, by its token.
	GuardCase GuardKind = 1
	// GuardConsent is of the consents of a subject to a recipient.
	GuardConsent GuardKind = 2
	// GuardEnrolment is of the subjects that a subscription enrolled.
	GuardEnrolment GuardKind = 3
)

// Guard is a fact that a decision rests on and that changes too often to count
// as a change of policy: that a case is open, that a consent stands. Its version
// grows with each change (Slot.Bump); a call that names another version than the
// one in force is refused with ErrPolicyMoved, to be decided anew. Read the
// version no later than what is guarded.
type Guard struct {
	Kind    GuardKind
	Key     []byte
	Version int64
}

type guardID struct {
	kind GuardKind
	key  string
}

var (
	lookupGuards = &store.Lookup{Select: "SELECT kind, key, version FROM guards", Keys: [2]string{"kind", "key"}}
	bumpGuards   = &store.Insert{
		Into: "INTO guards (kind, version, key)",
		Then: "ON CONFLICT (kind, key) DO UPDATE SET version = guards.version + excluded.version",
	}
)

// GuardVersion reads the version of a guard; 0 if nothing ever changed.
func GuardVersion(ctx context.Context, tx store.Tx, kind GuardKind, key []byte) (version int64, err error) {
	err = tx.QueryRowContext(ctx, "SELECT version FROM guards WHERE kind = $1 AND key = $2", int64(kind), key).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return version, err
}

// guards is what a group knows of the guards that its calls rest on.
type guards struct {
	known map[guardID]int64
	// bumped counts the changes that the group brings.
	bumped map[guardID]int64
}

// load reads the guards of all calls of the group, in bulk.
func (g *guards) load(ctx context.Context, p *store.Part, tx store.Tx, group []*waiting) error {
	g.known, g.bumped = map[guardID]int64{}, map[guardID]int64{}
	var kinds store.Ints
	var keys store.Blobs
	for _, w := range group {
		for _, one := range w.call.Guards {
			id := guardID{one.Kind, string(one.Key)}
			if _, listed := g.known[id]; !listed {
				g.known[id] = 0
				kinds, keys = append(kinds, int64(one.Kind)), append(keys, one.Key)
			}
		}
	}
	return lookupGuards.Run(ctx, p, tx, kinds, keys, func(rows *sql.Rows) error {
		var id guardID
		var key []byte
		var version int64
		err := rows.Scan(&id.kind, &key, &version)
		id.key = string(key)
		g.known[id] = version
		return err
	})
}

// hold says whether the guards of a call are as the call saw them.
func (g *guards) hold(c *Call) bool {
	for _, one := range c.Guards {
		if g.known[guardID{one.Kind, string(one.Key)}] != one.Version {
			return false
		}
	}
	return true
}

func (g *guards) bump(ids []guardID) {
	for _, id := range ids {
		g.bumped[id]++
		if _, listed := g.known[id]; listed {
			g.known[id]++
		}
	}
}

func (g *guards) write(ctx context.Context, p *store.Part, tx store.Tx) error {
	var kinds, by store.Ints
	var keys store.Blobs
	for id, n := range g.bumped {
		kinds, by, keys = append(kinds, int64(id.kind)), append(by, n), append(keys, []byte(id.key))
	}
	return bumpGuards.Run(ctx, p, tx, kinds, by, keys)
}
