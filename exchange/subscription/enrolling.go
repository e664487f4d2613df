package subscription

import (
	"bytes"
	"context"
	"database/sql"
	"errors"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/bus"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// enrolling is one try to enrol subjects.
//
// The lanes deliver what is published about a subject from the group of its
// enrolment on; what was published before is owed, as far as it is present. The
// index is asked for that before the transaction, which has only to look at what
// was published since, and to keep what is present still.
type enrolling struct {
	m      *Manager
	s      *standing
	t      *catalog.Topic
	by     *identity.Caller
	person string
	list   []pair
	// looked is how far the ledger was looked at, and records what was found of
	// the subjects there: key tokens.
	looked  uint64
	records [][]byte
	done    Enrolled
}

const (
	// subjectPage is how many records of a subject are read at once.
	subjectPage = 256
	// maxBehind bounds how many entries the transaction looks at.
	maxBehind = 5000
)

// errFarBehind says that too much was published since the index was asked.
var errFarBehind = errors.New("too much was published meanwhile")

// look asks the index which records the subjects have.
func (e *enrolling) look(ctx context.Context) error {
	head, err := journal.ReadHead(ctx, e.m.DB.Reader())
	if err != nil {
		return err
	}
	if err := e.m.Index.Wait(ctx, head.Size); err != nil {
		return err
	}
	e.looked = head.Size
	for _, p := range e.list {
		for after := []byte(nil); ; {
			found, err := e.m.Index.RecordsOfSubject(ctx, e.t.Name, p.token, after, subjectPage)
			if err != nil {
				return err
			}
			e.records = append(e.records, found...)
			if len(found) < subjectPage {
				break
			}
			after = found[len(found)-1]
		}
	}
	return nil
}

// build writes the enrolments, what is owed by them, and makes their entry.
func (e *enrolling) build(ctx context.Context, tx store.Tx, slot journal.Slot, d *access.Decision) ([]journal.Entry, error) {
	s, _, err := e.m.own(ctx, tx, e.by, e.s.id)
	if err != nil {
		return nil, err
	}
	if d.Scope != access.ScopeEnrolled {
		return nil, fault.New(fault.Conflict, "enrolment.scope", "the subscription is told of all subjects; there is nobody to enrol")
	}
	if err := e.m.checkCases(ctx, tx, e.by, e.list, d.Grant); err != nil {
		return nil, err
	}
	head, err := journal.ReadHead(ctx, tx)
	if err != nil {
		return nil, err
	}
	fresh, rows, err := e.fresh(ctx, tx, slot, head.Size)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errUnchanged
	}
	owed, err := e.owed(ctx, tx, head.Size, fresh, s.spec.Lanes)
	if err != nil {
		return nil, err
	}
	for i := range owed {
		owed[i].enrolled = int64(slot.Index)
	}
	if err := errors.Join(e.m.insertRows(ctx, tx, rows), e.m.owe(ctx, tx, journal.Number(s.id), owed), touch(ctx, tx, s.id)); err != nil {
		return nil, err
	}
	e.done.Enrolled, e.done.Owed = len(rows), len(owed)
	entry, err := enrolledEntry(s.id, e.t.Name, e.t.Provider, byRequest, e.person, rows)
	if err != nil {
		return nil, err
	}
	n := entry.Leaf.GetEnrolled()
	n.Grant, n.GrantVersion = d.Grant.ID, d.Grant.Version
	return []journal.Entry{entry}, nil
}

// fresh gives the enrolments that are not there yet, and the subjects that were
// not enrolled at all. A subject that is keeps the entry from which the lanes
// deliver what is about it.
func (e *enrolling) fresh(ctx context.Context, tx store.Tx, slot journal.Slot, size uint64) (subjects map[string]bool, rows []enrolment, err error) {
	number := journal.Number(e.s.id)
	known := map[string]bool{}
	since := map[string]uint64{}
	numbers, tokens := make(store.Ints, len(e.list)), make(store.Blobs, len(e.list))
	for i, p := range e.list {
		numbers[i], tokens[i] = number, p.token
	}
	err = lookupPairs.Run(ctx, e.m.DB.Journal, tx, numbers, tokens, func(rows *sql.Rows) error {
		var subject, ofCase []byte
		var from uint64
		err := rows.Scan(&subject, &ofCase, &from)
		known[string(subject)+string(ofCase)] = true
		if earlier, twice := since[string(subject)]; !twice || from < earlier {
			since[string(subject)] = from
		}
		return err
	})
	subjects = map[string]bool{}
	for _, p := range e.list {
		if known[string(p.token)+string(p.ofCase)] {
			continue
		}
		from, enrolled := since[string(p.token)]
		if !enrolled {
			from, subjects[string(p.token)] = size, true
		}
		rows = append(rows, enrolment{pair: p, id: e.s.id, since: from, index: slot.Index, at: slot.At})
	}
	return subjects, rows, err
}

// owed gives the present records of subjects as they were when the group began.
func (e *enrolling) owed(ctx context.Context, tx store.Tx, size uint64, subjects map[string]bool, lanes uint32) ([]arrear, error) {
	if len(subjects) == 0 {
		return nil, nil
	}
	records, err := e.published(ctx, tx, size, subjects)
	if err != nil {
		return nil, err
	}
	present, err := journal.PresentOf(ctx, e.m.DB.Journal, tx, journal.Number(e.t.Name), records)
	if err != nil {
		return nil, err
	}
	var indexes store.Ints
	var keys store.Blobs
	for _, p := range present {
		if p.Status != exchangev1.Status_STATUS_REMOVED {
			indexes, keys = append(indexes, int64(p.PayloadIndex)), append(keys, p.KeyToken)
		}
	}
	var owed []arrear
	err = lookupPayload.Run(ctx, e.m.DB.Journal, tx, indexes, keys, func(rows *sql.Rows) error {
		var a arrear
		var tokens []byte
		err := rows.Scan(&a.index, &a.sequence, &a.record, &tokens)
		if about(tokens, subjects) {
			a.lane = bus.Lane(a.record, lanes)
			owed = append(owed, a)
		}
		return err
	})
	return owed, err
}

var (
	lookupPayload = &store.Lookup{Select: "SELECT idx, pos, key_token, tokens FROM sealed", Keys: [2]string{"idx", "key_token"}}
	lookupPairs   = &store.Lookup{Select: "SELECT subject, case_token, since FROM enrolments", Keys: [2]string{"subscription", "subject"}}
)

// published adds to what the index found what was published since.
func (e *enrolling) published(ctx context.Context, tx store.Tx, size uint64, subjects map[string]bool) ([][]byte, error) {
	if size > e.looked+maxBehind {
		return nil, errFarBehind
	}
	known := map[string]bool{}
	var records [][]byte
	add := func(key []byte) {
		if !known[string(key)] {
			known[string(key)] = true
			records = append(records, bytes.Clone(key))
		}
	}
	for _, key := range e.records {
		add(key)
	}
	rows, err := tx.QueryContext(ctx, "SELECT key_token, tokens FROM sealed WHERE idx >= $1 AND topic = $2 AND key_token IS NOT NULL",
		int64(e.looked), journal.Number(e.t.Name))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var key, tokens []byte
		if err := rows.Scan(&key, &tokens); err != nil {
			return nil, err
		}
		if about(tokens, subjects) {
			add(key)
		}
	}
	return records, rows.Err()
}

// about says whether joined tokens hold one of the subjects.
func about(tokens []byte, subjects map[string]bool) bool {
	for ; len(tokens) >= identity.TokenSize; tokens = tokens[identity.TokenSize:] {
		if subjects[string(tokens[:identity.TokenSize])] {
			return true
		}
	}
	return false
}
