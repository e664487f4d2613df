package subscription

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/release"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const selectDead = "SELECT sequence, idx, reason, attempts, at, replaying FROM dead_letters WHERE subscription = $1 "

// maxReplays bounds how many dead letters a member has under way once more.
const maxReplays = 256

func scanDead(id string, scan func(...any) error) (*exchangev1.DeadLetter, error) {
	var sequence, index, attempts, at, replaying int64
	d := &exchangev1.DeadLetter{Subscription: id}
	if err := scan(&sequence, &index, &d.Reason, &attempts, &at, &replaying); err != nil {
		return nil, err
	}
	d.Sequence, d.Index, d.Attempts = uint64(sequence), uint64(index), uint32(attempts)
	d.At, d.Replaying = timestamppb.New(time.UnixMicro(at).UTC()), replaying != 0
	return d, nil
}

func deadLetters(ctx context.Context, tx store.Tx, id, where string, args ...any) ([]*exchangev1.DeadLetter, error) {
	rows, err := tx.QueryContext(ctx, selectDead+where, append([]any{id}, args...)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []*exchangev1.DeadLetter
	for rows.Next() {
		d, err := scanDead(id, rows.Scan)
		if err != nil {
			return nil, err
		}
		found = append(found, d)
	}
	return found, rows.Err()
}

// DeadLetters lists the dead letters of a subscription after a sequence. They
// hold no payload.
func (m *Manager) DeadLetters(ctx context.Context, by *identity.Caller, id string, after uint64, limit int) ([]*exchangev1.DeadLetter, error) {
	n, err := catalog.Page{Limit: limit}.Size()
	if err != nil {
		return nil, err
	}
	s, err := m.visible(ctx, by, id)
	if err != nil {
		return nil, err
	}
	return deadLetters(ctx, m.DB.Reader(), s.id, "AND sequence > $2 ORDER BY sequence LIMIT $3", int64(min(after, 1<<62)), n)
}

// maxReplayed bounds the sequences of one call.
const maxReplayed = 10_000

// Replay asks for dead letters to be delivered once more, marked late: those of
// the sequences, or all.
func (m *Manager) Replay(ctx context.Context, by *identity.Caller, id string, sequences []uint64, validateOnly bool) (uint64, *journal.Commit, error) {
	if len(sequences) > maxReplayed {
		return 0, nil, fault.Field("sequences", "sequences.number", "has at most %d; leave it empty for all", maxReplayed)
	}
	var replayed int64
	_, commit, err := m.change(ctx, by, id, validateOnly,
		func(ctx context.Context, tx store.Tx, _ journal.Slot, s *standing, t *catalog.Topic) ([]journal.Entry, error) {
			replayed = 0
			mark := func(query string, args ...any) error {
				result, err := tx.ExecContext(ctx, "UPDATE dead_letters SET replaying = 1 WHERE replaying = 0 AND subscription = $1"+query, append([]any{s.id}, args...)...)
				if err != nil {
					return err
				}
				n, err := result.RowsAffected()
				replayed += n
				return err
			}
			if len(sequences) == 0 {
				if err := mark(""); err != nil {
					return nil, err
				}
			}
			for _, sequence := range sequences {
				if err := mark(" AND sequence = $2", int64(min(sequence, 1<<62))); err != nil {
					return nil, err
				}
			}
			if replayed == 0 {
				return nil, errUnchanged
			}
			e := s.changed(t.Provider, "replay", "")
			e.Leaf.GetChanged().Object = "dead-letter"
			return []journal.Entry{e}, nil
		})
	return uint64(replayed), commit, err
}

// replay takes up dead letters that were asked for once more, of the lanes held
// here.
func (s *session) replay() error {
	if len(s.lanes) == 0 || s.replays >= maxReplays {
		return nil
	}
	for _, l := range s.lanes {
		asked, err := deadLetters(s.ctx, s.m.DB.Reader(), s.id, "AND replaying = 1 AND lane = $2 ORDER BY sequence LIMIT $3", int64(l.number), maxReplays)
		if err != nil {
			return err
		}
		var set []unsettled
		for _, d := range asked {
			if s.items[d.Sequence] == nil && !s.facts.about(d.Sequence) && s.replays+len(set) < maxReplays {
				set = append(set, unsettled{sequence: d.Sequence, late: true})
			}
		}
		found, err := s.lookUp(set)
		if err != nil {
			return err
		}
		s.remember(l, set, found)
	}
	return nil
}

// Peeked is a dead letter's record as it was shown.
type Peeked struct {
	DeadLetter *exchangev1.DeadLetter
	Record     *exchangev1.ReleasedRecord
	Commit     *journal.Commit
}

// Peek shows a dead letter's record to the subscriber's staff: a release like
// any other, committed before it is shown.
func (m *Manager) Peek(ctx context.Context, by *identity.Caller, id string, sequence uint64, acting *exchangev1.Acting, json bool) (*Peeked, error) {
	id = fullID(by, id)
	s, t, err := m.own(ctx, m.DB.Reader(), by, id)
	if err != nil {
		return nil, m.concealed(ctx, by, id, err)
	}
	dead, err := scanDead(s.id, m.DB.Reader().QueryRowContext(ctx, selectDead+"AND sequence = $2", s.id, int64(min(sequence, 1<<62))).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "dead_letter.unknown", "the subscription has no such dead letter")
	}
	if err != nil {
		return nil, err
	}
	p := &Peeked{DeadLetter: dead}
	r := access.Request{
		Caller: by, Action: access.Peek, Topic: s.topic, Subscription: s.id,
		Person: acting.GetPerson(), Purpose: acting.GetPurpose(), Case: acting.GetCaseNumber(),
	}
	p.Commit, err = m.decided(ctx, r, false, func(ctx context.Context, tx store.Tx, _ journal.Slot, d *access.Decision) ([]journal.Entry, error) {
		b, err := m.peek(ctx, tx, s, t, sequence, d, json)
		if err != nil {
			return nil, err
		}
		p.Record = b.Records[0]
		return peekEntry(s, b, r, d)
	})
	return p, err
}

// peek cuts the record to what the decision lets be seen.
func (m *Manager) peek(ctx context.Context, tx store.Tx, s *standing, t *catalog.Topic, sequence uint64, d *access.Decision, json bool) (*release.Batch, error) {
	number := journal.Number(t.Name)
	row, err := journal.BySequence(ctx, tx, number, sequence)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, fault.New(fault.NotFound, "dead_letter.record", "the record is no longer held")
	}
	to, err := m.peekable(ctx, tx, s, row, d)
	if err != nil {
		return nil, err
	}
	var present journal.Present
	if len(row.KeyToken) > 0 {
		all, err := journal.PresentOf(ctx, m.DB.Journal, tx, number, [][]byte{row.KeyToken})
		if err != nil {
			return nil, err
		}
		present = all[string(row.KeyToken)]
	}
	b := &release.Batch{}
	v := &release.Version{Index: row.Index, Sequence: row.Sequence, KeyToken: row.KeyToken, Leaf: row.Leaf, Sealed: row.Body}
	return b, m.cutter.Add(b, t, v, presenceOf(present), release.View{Fields: d.Fields, JSON: json, AboutOthers: to == formerly})
}

// peekable refuses a dead letter about nobody that the subscription is told of by
// now. It runs in the transaction of the entry, and needs no guard.
func (m *Manager) peekable(ctx context.Context, tx store.Tx, s *standing, row *journal.Row, d *access.Decision) (interest, error) {
	a, err := m.audience(ctx, tx, s, d)
	if err != nil || a == nil {
		return concerned, err
	}
	to, err := a.interests(ctx, tx, []asked{{row, true}})
	if err != nil {
		return unconcerned, err
	}
	if to[0] == unconcerned {
		return unconcerned, fault.New(fault.Denied, "enrolment.ended", "the record is about no subject that the subscription has enrolled")
	}
	return to[0], nil
}

func peekEntry(s *standing, b *release.Batch, r access.Request, d *access.Decision) ([]journal.Entry, error) {
	secret := make([]byte, verify.SecretSize)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	body := &ledgerv1.BatchReleased{
		Subscription: s.id, Topic: d.Topic, Provider: d.Provider, Consumer: s.system, Purpose: r.Purpose, Policy: d.Policy,
		Records: 1, DetailsRoot: b.Root(), Peek: true, PersonCommitment: verify.CommitText(verify.Person, 0, secret, r.Person),
		CaseCommitment: verify.CommitText(verify.Case, 0, secret, r.Case),
	}
	if g := d.Grant; g != nil {
		body.Grant, body.GrantVersion, body.LegalBasis = g.ID, g.Version, g.StandingLegalBasis
	}
	return []journal.Entry{{
		Leaf:    &ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Released{Released: body}},
		Opening: &ledgerv1.ReadOpening{Secret: secret, Person: r.Person, CaseNumber: r.Case, Details: slices.Clone(b.Details)},
	}}, nil
}
