package cases

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const (
	// MaxSubjects bounds the subjects of a case.
	MaxSubjects = 64
	// maxReference bounds numbers and references to persons, in bytes.
	maxReference = 128
	// maxReason bounds reasons and outcomes, in bytes.
	maxReason = 2000
	// ahead is how far the clock of a department may be before the exchange's.
	ahead = 2 * time.Minute
)

// errNothing refuses a call that would change nothing: a repeat.
var errNothing = errors.New("nothing to change")

// Open opens a case of the caller's participant. A repeat with the same content
// makes no second entry.
func (c *Cases) Open(ctx context.Context, by *identity.Caller, r *accessv1.OpenCaseRequest) (*accessv1.Case, *journal.Commit, error) {
	n, err := c.read(r)
	if err != nil {
		return nil, nil, err
	}
	n.Participant, n.System = by.Participant, by.System
	var result *accessv1.Case
	commit, err := c.commit(ctx, by, r.ValidateOnly, func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
		var entries []journal.Entry
		var err error
		result, entries, err = c.open(ctx, tx, slot, by, proto.CloneOf(n))
		return entries, err
	})
	return result, commit, err
}

// commit runs build in the journal's transaction, under the caller's standing
// there.
func (c *Cases) commit(ctx context.Context, by *identity.Caller, validateOnly bool, build func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error)) (*journal.Commit, error) {
	commit, err := c.Journal.Submit(ctx, &journal.Call{
		From: by.System, ValidateOnly: validateOnly,
		Build: func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
			caller, err := c.Catalogue.Actor(ctx, tx, by)
			if err != nil {
				return nil, err
			}
			if !caller.Roles.Has(identity.Department) {
				return nil, fault.New(fault.Denied, "role.department", "cases are opened and closed by department systems")
			}
			return build(ctx, tx, slot)
		},
	})
	if errors.Is(err, errNothing) {
		return nil, nil
	}
	return commit, err
}

// read checks what is said of a case.
func (c *Cases) read(r *accessv1.OpenCaseRequest) (*accessv1.Case, error) {
	n := &accessv1.Case{
		Number: r.Number, Item: r.Item, State: accessv1.CaseState_CASE_STATE_OPEN, AppliedAt: r.AppliedAt,
		AfterTheFact: r.AfterTheFact, Reason: r.Reason, Person: r.Person,
	}
	if err := errors.Join(reference("number", r.Number), reference("person", r.Person), words("reason", r.Reason)); err != nil {
		return nil, first(err)
	}
	if !access.PurposeGood(r.Item) {
		return nil, fault.Field("item", "acting.purpose.format", "a service item code has 1 to 64 letters, digits and . _ : -")
	}
	var err error
	if n.Subjects, err = subjectsOf(r.Subjects); err != nil {
		return nil, err
	}
	return n, c.checkTime(n)
}

// first gives the first of joined errors: a fault, which names one field.
func first(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()[0]
	}
	return err
}

func reference(field, text string) error {
	if text == "" || len(text) > maxReference {
		return fault.Field(field, field+".size", "has 1 to %d bytes of UTF-8", maxReference)
	}
	if !contract.OneLine(text) {
		return fault.Field(field, field+".text", "is no line of printable text; write it without control characters")
	}
	return nil
}

func words(field, text string) error {
	if len(text) > maxReason {
		return fault.Field(field, field+".size", "has at most %d bytes of UTF-8", maxReason)
	}
	if !contract.Lines(text) {
		return fault.Field(field, field+".text", "is no printable text; write it without control characters")
	}
	return nil
}

func subjectsOf(given []*ledgerv1.Subject) ([]*ledgerv1.Subject, error) {
	if len(given) == 0 || len(given) > MaxSubjects {
		return nil, fault.Field("subjects", "case.subjects", "names 1 to %d subjects", MaxSubjects)
	}
	list := make([]*ledgerv1.Subject, len(given))
	for i, s := range given {
		number, err := contract.Normalise(s.GetType(), s.GetNumber())
		if err != nil {
			return nil, fault.Field("subjects.number", fault.RuleOf(err), "%s", fault.Status(err).Message())
		}
		if len(s.GetRole()) > 64 || !contract.OneLine(s.GetRole()) {
			return nil, fault.Field("subjects.role", "subject.role", "has at most 64 bytes of printable text in one line")
		}
		list[i] = &ledgerv1.Subject{Type: s.GetType(), Number: number, Role: s.GetRole()}
		for _, before := range list[:i] {
			if proto.Equal(before, list[i]) {
				return nil, fault.Field("subjects", "case.subjects.twice", "names a subject twice in the same role")
			}
		}
	}
	return list, nil
}

// checkTime flags a case that is opened long after the application was made.
func (c *Cases) checkTime(n *accessv1.Case) error {
	now := c.Clock()
	if n.AppliedAt == nil {
		n.AppliedAt = timestamppb.New(now.UTC().Truncate(time.Microsecond))
	}
	switch {
	case n.AppliedAt.CheckValid() != nil || n.AppliedAt.AsTime().Year() < 2000:
		return fault.Field("applied_at", "case.applied_at", "is no time of this century")
	case n.AppliedAt.AsTime().After(now.Add(ahead)):
		return fault.Field("applied_at", "case.applied_at", "is in the future; compare the clocks")
	}
	if now.Sub(n.AppliedAt.AsTime()) > c.Catalogue.Settings().AfterTheFact {
		n.AfterTheFact = true
	}
	if n.AfterTheFact && n.Reason == "" {
		return fault.Field("reason", "case.reason.required", "say why the case is opened after the fact")
	}
	return nil
}

func (c *Cases) open(ctx context.Context, tx store.Tx, slot journal.Slot, by *identity.Caller, n *accessv1.Case) (*accessv1.Case, []journal.Entry, error) {
	token := c.Token(n.Participant, n.Number)
	old, err := Find(ctx, tx, token)
	if err != nil {
		return nil, nil, err
	}
	if old != nil {
		return c.again(ctx, tx, old, n)
	}
	n.Opened, n.OpenedAt = slot.Index, timestamppb.New(time.UnixMicro(slot.At).UTC())
	var tokens []byte
	for _, s := range n.Subjects {
		tokens = append(tokens, c.SubjectToken(s)...)
	}
	after := int64(0)
	if n.AfterTheFact {
		after = 1
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO cases (token, participant, item, state, opened, closed, opened_at, after_fact, subjects)
		VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8)`, token, n.Participant, n.Item, int64(n.State), int64(slot.Index), slot.At, after, tokens)
	if err != nil {
		return nil, nil, err
	}
	entry, err := opened(by, n)
	return n, []journal.Entry{entry}, err
}

// again answers for a number that is taken: a repeat, or a mistake.
func (c *Cases) again(ctx context.Context, tx store.Tx, old *Case, n *accessv1.Case) (*accessv1.Case, []journal.Entry, error) {
	if !old.Open {
		return nil, nil, fault.New(fault.Conflict, "case.closed", "the case of this number is closed; a closed case is not opened again")
	}
	have, err := c.whole(ctx, tx, old)
	if err != nil {
		return nil, nil, err
	}
	same := have.Item == n.Item && len(have.Subjects) == len(n.Subjects)
	for i := range n.Subjects {
		same = same && proto.Equal(have.Subjects[i], n.Subjects[i])
	}
	if !same {
		return nil, nil, fault.New(fault.AlreadyExists, "case.exists", "another case has this number: its item or its subjects differ")
	}
	return have, nil, errNothing
}

func opened(by *identity.Caller, n *accessv1.Case) (journal.Entry, error) {
	secret, err := newSecret()
	if err != nil {
		return journal.Entry{}, err
	}
	body := &ledgerv1.CaseOpened{
		Consumer: n.System, Item: n.Item, AppliedAtUs: n.AppliedAt.AsTime().UnixMicro(), AfterTheFact: n.AfterTheFact,
		CaseCommitment:   verify.CommitText(verify.Case, 0, secret, n.Number),
		PersonCommitment: verify.CommitText(verify.Person, 0, secret, n.Person),
		ReasonCommitment: verify.CommitText(verify.Reason, 0, secret, n.Reason),
	}
	for i, s := range n.Subjects {
		commitment := verify.CommitSubject(verify.Subject, uint32(i), secret, s)
		body.SubjectCommitments = append(body.SubjectCommitments, commitment[:])
	}
	return journal.Entry{
		Leaf:    &ledgerv1.LedgerEntry{Actor: by.System, ActorCertificate: by.Fingerprint[:], Body: &ledgerv1.LedgerEntry_CaseOpened{CaseOpened: body}},
		Opening: &ledgerv1.ReadOpening{Secret: secret, CaseNumber: n.Number, Person: n.Person, Subjects: n.Subjects, Reason: n.Reason},
	}, nil
}

func newSecret() ([]byte, error) {
	secret := make([]byte, verify.SecretSize)
	_, err := rand.Read(secret)
	return secret, err
}
