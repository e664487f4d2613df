package inspect

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/huitong-bus/huitong/exchange/bus"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// enrolments is what the ledger says of whom subscriptions enrolled.
type enrolments struct{ of map[string]*enrolling }

// enrolling is what it says of one subscription.
type enrolling struct {
	now map[enrolledPair]*enrolled
	// subjects are those whom each entry enrolled: their tokens, joined.
	subjects map[uint64][]byte
}

// enrolledPair is the tokens of a subject and of the case that it is enrolled with.
type enrolledPair struct{ subject, ofCase string }

type enrolled struct {
	index uint64
	at    int64
	seen  bool
}

var errEnrolment = errors.New("it enrols who is enrolled, or removes who is not")

// change takes an entry that enrols or removes, with its opening.
func (n *enrolments) change(keys Keys, e *ledgerv1.LedgerEntry, o *ledgerv1.ReadOpening) error {
	b := e.GetEnrolled()
	if b == nil {
		return nil
	}
	s := n.of[b.Subscription]
	if s == nil {
		s = &enrolling{now: map[enrolledPair]*enrolled{}, subjects: map[uint64][]byte{}}
		n.of[b.Subscription] = s
	}
	for i, subject := range o.Subjects {
		pair := enrolledPair{
			subject: string(keys.Token(identity.TokenSubject, subject.Type, subject.Number)),
			ofCase:  string(keys.Token(identity.TokenCase, verify.ParticipantOf(b.Subscription), o.Cases[i])),
		}
		switch known := s.now[pair]; {
		case b.Removed != (known != nil):
			return errEnrolment
		case b.Removed:
			delete(s.now, pair)
		default:
			s.now[pair] = &enrolled{index: e.Index, at: e.AtUs}
			s.subjects[e.Index] = append(s.subjects[e.Index], pair.subject...)
		}
	}
	return nil
}

// ended takes a change of an object: with a subscription all its enrolments end.
func (n *enrolments) ended(c *ledgerv1.ObjectChanged) {
	if c.Object == "subscription" && len(c.Digest) == 0 {
		delete(n.of, c.Id)
	}
}

func enrolledName(id string, pair enrolledPair) string {
	return fmt.Sprintf("%s subject %x case %x", id, pair.subject, pair.ofCase)
}

// checkEnrolments compares who is enrolled with the entries that say so, and with
// what the rows seal. From where on the lanes deliver is bounded only: which
// entries were committed together, the ledger does not say.
func (c *checker) checkEnrolments(ctx context.Context) error {
	err := c.each(ctx, "enrolments", "SELECT subscription, subject, case_token, since, idx, at, id, body FROM enrolments ORDER BY subscription, subject, case_token", func(row *sql.Rows) error {
		var number, at int64
		var subject, ofCase, body []byte
		var since, index uint64
		var id string
		if err := row.Scan(&number, &subject, &ofCase, &since, &index, &at, &id, &body); err != nil {
			return err
		}
		pair := enrolledPair{string(subject), string(ofCase)}
		name := enrolledName(id, pair)
		var known *enrolled
		if s := c.enrolments.of[id]; s != nil {
			known = s.now[pair]
		}
		if known == nil || known.index != index || known.at != at || number != journal.Number(id) || since > index {
			return wrong("enrolments", name, "the row is not what the ledger says of such an enrolment")
		}
		known.seen = true
		opening, err := journal.OpenEntry(c.keys, c.origin, body)
		if err != nil {
			return wrong("enrolments", name, "body does not open")
		}
		if !bytes.Equal(subject, c.keys.Token(identity.TokenSubject, opening.GetSubject().GetType(), opening.GetSubject().GetNumber())) ||
			!bytes.Equal(ofCase, c.keys.Token(identity.TokenCase, verify.ParticipantOf(id), opening.CaseNumber)) {
			return wrong("enrolments", name, "the tokens are not those of what is sealed")
		}
		return nil
	})
	if err != nil {
		return err
	}
	for id, s := range c.enrolments.of {
		for pair, known := range s.now {
			if !known.seen {
				return wrong("enrolments", enrolledName(id, pair), "the row is missing that entry %d tells of", known.index)
			}
		}
	}
	return nil
}

// arrear is a row of arrears.
type arrear struct {
	subscription, sequence, lane, idx int64
	enrolled                          uint64
	record                            []byte
}

// checkArrears compares what subscriptions are owed with the publications that
// are owed, and with the enrolments for which. That something was settled, and
// its row taken, no entry says.
func (c *checker) checkArrears(ctx context.Context) error {
	var all []arrear
	if err := c.each(ctx, "arrears", "SELECT subscription, sequence, lane, idx, enrolled, record FROM arrears ORDER BY subscription, sequence", func(row *sql.Rows) error {
		var a arrear
		err := row.Scan(&a.subscription, &a.sequence, &a.lane, &a.idx, &a.enrolled, &a.record)
		all = append(all, a)
		return err
	}); err != nil {
		return err
	}
	for i := range all {
		if err := c.checkArrear(ctx, &all[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) checkArrear(ctx context.Context, a *arrear) error {
	name := fmt.Sprintf("subscription %d sequence %d", a.subscription, a.sequence)
	id := c.owedTo(a)
	s := c.subscribed[id]
	if s == nil || uint64(a.idx) >= a.enrolled {
		return wrong("arrears", name, "entry %d enrols nobody for such a subscription, or before what is owed", a.enrolled)
	}
	v, err := c.version(ctx, a.idx)
	if err != nil {
		return err
	}
	if v == nil || v.published == nil || v.published.Topic != s.Topic || int64(v.published.Sequence) != a.sequence {
		return wrong("arrears", name, "idx is not the publication of that sequence")
	}
	token, err := c.recordOf(ctx, v)
	switch {
	case err != nil:
		return err
	case !bytes.Equal(a.record, token) || a.lane != int64(bus.Lane(token, s.Lanes)):
		return wrong("arrears", name, "record and lane are not those of the publication")
	case v.tokens != nil && !shared(v.tokens, c.enrolments.of[id].subjects[a.enrolled]):
		return wrong("arrears", name, "entry %d enrols nobody whom the record is about", a.enrolled)
	}
	return nil
}

// owedTo names the subscription that an arrear is of; empty if the entry that it
// is owed for enrolled nobody for it.
func (c *checker) owedTo(a *arrear) string {
	for id, s := range c.enrolments.of {
		if _, enrols := s.subjects[a.enrolled]; enrols && journal.Number(id) == a.subscription {
			return id
		}
	}
	return ""
}

// recordOf gives the token of a publication's record: of an erased one, that of
// what erased it.
func (c *checker) recordOf(ctx context.Context, v *version) ([]byte, error) {
	by, erased := c.replay.erasedBy[uint64(v.index)]
	if v.keyToken != nil || !erased {
		return v.keyToken, nil
	}
	eraser, err := c.version(ctx, int64(by.requestedBy))
	if err != nil || eraser == nil {
		return nil, err
	}
	return eraser.keyToken, nil
}

// shared says whether two lists of joined tokens have one in common.
func shared(a, b []byte) bool {
	of := slices.Collect(slices.Chunk(b, identity.TokenSize))
	for token := range slices.Chunk(a, identity.TokenSize) {
		if slices.ContainsFunc(of, func(other []byte) bool { return bytes.Equal(token, other) }) {
			return true
		}
	}
	return false
}
