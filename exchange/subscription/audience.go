package subscription

import (
	"context"
	"database/sql"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// audience knows for one release which subjects the subscriber is told of, where
// it is not told of all.
//
// A version with a payload is about whom it names; one without, about whom the
// payload before it names. A version that no longer names such a subject comes as
// a notice to those who were told of the one before. Erasures come to everybody:
// they name nobody, and who holds nothing of the record has nothing to forget.
//
// Versions are looked at after they are committed, so every enrolment before them
// is seen. That a subject is still enrolled when something about it leaves is
// held by the guard.
type audience struct {
	m            *Manager
	subscription int64
	// own is the token of the reader's own participant; nil where the enrolments
	// say who.
	own []byte
	// guards hold the enrolments until the release is committed.
	guards []journal.Guard
}

// audience gives nil where the scope is everybody.
func (m *Manager) audience(ctx context.Context, tx store.Tx, s *standing, d *access.Decision) (*audience, error) {
	switch d.Scope {
	case access.ScopeAll:
		return nil, nil
	case access.ScopeOwn:
		return &audience{m: m, own: m.Keyring.Token(identity.TokenSubject, creditCode, verify.ParticipantOf(s.system))}, nil
	}
	// Whatever scope is not known is not more than this one.
	version, err := journal.GuardVersion(ctx, tx, journal.GuardEnrolment, []byte(s.id))
	return &audience{
		m: m, subscription: journal.Number(s.id),
		guards: []journal.Guard{{Kind: journal.GuardEnrolment, Key: []byte(s.id), Version: version}},
	}, err
}

// creditCode is the type of a participant's number as a subject.
const creditCode = "001"

// interest is what a version is to a subscriber.
type interest uint8

const (
	unconcerned interest = iota
	concerned
	// formerly: the version before was about somebody that it is told of.
	formerly
)

// asked is a version that is asked about.
type asked struct {
	row *journal.Row
	// ever: an enrolment after the version counts too.
	ever bool
}

// interests says what versions are to the subscriber.
func (a *audience) interests(ctx context.Context, tx store.Tx, versions []asked) ([]interest, error) {
	found := make([]interest, len(versions))
	look := map[int]uint64{} // the entry of the chain to look at, by place
	for i, v := range versions {
		switch {
		case v.row == nil || len(v.row.KeyToken) == 0:
		case v.row.Body == nil:
			found[i] = concerned // the operation that erased the record
		default:
			look[i] = v.row.Index
		}
	}
	for len(look) > 0 {
		links, err := a.links(ctx, tx, versions, look)
		if err != nil {
			return nil, err
		}
		since, err := a.told(ctx, tx, links)
		if err != nil {
			return nil, err
		}
		for i, at := range look {
			l, held := links[at]
			v := &versions[i]
			newest := at == v.row.Index
			switch {
			case held && l.Payload && names(l.Tokens, since, v):
				if found[i] = concerned; !newest && isPut(v.row) {
					found[i] = formerly
				}
				delete(look, i)
			case !held || l.Prev == 0 || l.Payload && !newest:
				delete(look, i)
			default:
				look[i] = l.Prev - 1
			}
		}
	}
	return found, nil
}

// links reads the versions to look at.
func (a *audience) links(ctx context.Context, tx store.Tx, versions []asked, look map[int]uint64) (map[uint64]journal.Link, error) {
	var indexes []uint64
	var keys [][]byte
	for i, at := range look {
		indexes, keys = append(indexes, at), append(keys, versions[i].row.KeyToken)
	}
	return journal.LinksAt(ctx, a.m.DB.Journal, tx, indexes, keys)
}

// told gives the subjects of payloads that the subscriber is told of, and since
// which entry.
func (a *audience) told(ctx context.Context, tx store.Tx, links map[uint64]journal.Link) (map[string]uint64, error) {
	if a.own != nil {
		return map[string]uint64{string(a.own): 0}, nil
	}
	var tokens [][]byte
	known := map[string]bool{}
	for _, l := range links {
		for token := range each(l.Tokens) {
			if !known[string(token)] {
				known[string(token)] = true
				tokens = append(tokens, token)
			}
		}
	}
	return a.m.enrolledSince(ctx, tx, a.subscription, tokens)
}

// names says whether a payload names one that the subscriber is told of.
func names(tokens []byte, since map[string]uint64, v *asked) bool {
	for token := range each(tokens) {
		if from, told := since[string(token)]; told && (v.ever || from <= v.row.Index) {
			return true
		}
	}
	return false
}

// each gives the tokens that are joined.
func each(tokens []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for ; len(tokens) >= identity.TokenSize; tokens = tokens[identity.TokenSize:] {
			if !yield(tokens[:identity.TokenSize]) {
				return
			}
		}
	}
}

// isPut says whether a version replaces the payload. Its leaf was read from the
// journal or the stream, and decodes.
func isPut(row *journal.Row) bool {
	var e ledgerv1.LedgerEntry
	return proto.Unmarshal(row.Leaf, &e) == nil && e.GetPublished().GetOperation() == ledgerv1.Operation_OPERATION_PUT
}

var lookupEnrolled = &store.Lookup{Select: "SELECT subject, since FROM enrolments", Keys: [2]string{"subscription", "subject"}}

// enrolledSince gives those of the subjects that are enrolled, and since which
// entry.
func (m *Manager) enrolledSince(ctx context.Context, tx store.Tx, subscription int64, tokens [][]byte) (map[string]uint64, error) {
	numbers := make(store.Ints, len(tokens))
	for i := range numbers {
		numbers[i] = subscription
	}
	found := map[string]uint64{}
	err := lookupEnrolled.Run(ctx, m.DB.Journal, tx, numbers, store.Blobs(tokens), func(rows *sql.Rows) error {
		var token []byte
		var since uint64
		err := rows.Scan(&token, &since)
		if earlier, twice := found[string(token)]; !twice || since < earlier {
			found[string(token)] = since
		}
		return err
	})
	return found, err
}
