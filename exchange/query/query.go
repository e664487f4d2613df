// Package query answers records by subject or key, for a person, a purpose and a
// case.
//
// A query is decided, its records are cut to the granted fields, and the entry
// that says so is committed; only then is it answered. An entry is made for a
// query that finds nothing too. If the permission changes between decision and
// commit, the query is decided anew.
package query

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/cases"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/predicate"
	"github.com/huitong-bus/huitong/exchange/release"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Bounds of one page.
const (
	DefaultPage = 64
	MaxPage     = 256
	// pageBytes ends a page early, so that an answer fits a message.
	pageBytes = 4 << 20
	// attempts is how often a query is decided while the policy keeps moving.
	attempts = 8
)

// Index finds the records that a subject has. It follows the ledger by a moment.
type Index interface {
	// Wait returns once the index has followed the ledger to a size.
	Wait(ctx context.Context, size uint64) error
	// RecordsOfSubject gives the tokens of records of a topic of which some
	// version is about the subject, in ascending order behind after.
	RecordsOfSubject(ctx context.Context, topic string, subject, after []byte, limit int) ([][]byte, error)
	// RecordsOfSubjectAt gives those of which some version up to the entry last is
	// about the subject.
	RecordsOfSubjectAt(ctx context.Context, topic string, subject, after []byte, limit int, last uint64) ([][]byte, error)
}

// Refuser commits the entry of a denial before the caller hears of it.
type Refuser interface {
	Refuse(ctx context.Context, r access.Request, d access.Decision) error
}

// Queries answers queries.
type Queries struct {
	DB      *store.DB
	Journal *journal.Journal
	Topics  interface {
		Topic(name string) (*catalog.Topic, error)
	}
	Policy   *access.Policy
	Refusals Refuser
	Keyring  *identity.Keyring
	Index    Index
	Marks    release.Marks
	Cases    *cases.Cases
	// Consents tells how consents stand; without it, what needs consent is
	// refused.
	Consents Consents
	Clock    func() time.Time
	// Thresholds gives how many thresholds of one check may be asked about one
	// subject in one case; DefaultThresholds if nil.
	Thresholds func() int

	checks predicate.Cache
}

// Answer answers one page of a query.
func (q *Queries) Answer(ctx context.Context, caller *identity.Caller, r *exchangev1.QueryRequest) (*exchangev1.QueryResponse, error) {
	question, err := q.read(caller, r)
	if err != nil {
		return nil, err
	}
	if err := q.readAsOf(ctx, question); err != nil {
		return nil, err
	}
	return q.answer(ctx, caller, question)
}

func (q *Queries) answer(ctx context.Context, caller *identity.Caller, question *question) (*exchangev1.QueryResponse, error) {
	r := question.QueryRequest
	request := access.Request{
		Caller: caller, Action: access.Query, Topic: r.Topic,
		Person: r.Acting.GetPerson(), Purpose: r.Acting.GetPurpose(), Case: r.Acting.GetCaseNumber(),
	}
	var answer *exchangev1.QueryResponse
	err := q.Settled(ctx, func() (err error) {
		answer, err = q.try(ctx, request, question)
		return err
	})
	return answer, err
}

// Settled tries until the policy, and what is given out, holds still from decision to
// commit.
func (q *Queries) Settled(ctx context.Context, try func() error) error {
	var err error
	for range attempts {
		if err = try(); !errors.Is(err, journal.ErrPolicyMoved) {
			return err
		}
		q.Cases.Forget()
		if err := q.Policy.Refresh(ctx, 0); err != nil {
			return err
		}
	}
	return fault.Wrap(fault.Unavailable, "policy.moving", err, "permissions keep changing; try again")
}

// try decides, reads, commits and answers.
func (q *Queries) try(ctx context.Context, request access.Request, question *question) (*exchangev1.QueryResponse, error) {
	of, err := q.caseFor(ctx, request, question.ValidateOnly)
	if err != nil {
		return nil, err
	}
	if request.Facts, err = q.Facts(ctx, request, of, question.subject); err != nil {
		return nil, err
	}
	question.of, question.request = of, request
	d := q.Policy.Decide(request)
	if !d.Allow {
		// On a dry run too: nobody tries out what it may read without a trace.
		return nil, q.Refuse(ctx, request, d)
	}
	if question.ValidateOnly {
		return &exchangev1.QueryResponse{}, nil
	}
	topic, err := q.Topics.Topic(d.Topic)
	if err != nil {
		return nil, err
	}
	page, err := q.page(ctx, topic, question, d.Fields)
	if errors.Is(err, errOthers) {
		return nil, q.Refuse(ctx, request, d.RefuseBy("case.subject"))
	}
	if err != nil {
		return nil, err
	}
	entry, err := q.entry(request, &d, question, page)
	if err != nil {
		return nil, err
	}
	// A crash before this is committed leaves nothing, and nothing has left. A
	// crash behind it leaves an entry for an answer that was not sent: the entry
	// says that it was allowed to leave.
	call := d.Call(q.Policy, request, []journal.Entry{entry})
	call.Seen = page.seen
	commit, err := q.Journal.Submit(ctx, call)
	if err != nil {
		return nil, q.Denied(ctx, request, d, err)
	}
	return &exchangev1.QueryResponse{
		Records: page.batch.Records, NextPageToken: page.next, Proof: commit.Proof, Release: receipt(commit),
	}, nil
}

func receipt(commit *journal.Commit) *exchangev1.Receipt {
	return &exchangev1.Receipt{
		Index: commit.Index, At: timestamppb.New(time.UnixMicro(commit.At).UTC()), Leaf: commit.Leaves[0],
	}
}

// Denied commits the refusal that an error is, if it is one.
func (q *Queries) Denied(ctx context.Context, request access.Request, d access.Decision, err error) error {
	if fault.KindOf(err) != fault.Denied {
		return err
	}
	d.Allow, d.Kind, d.Rule, d.Message = false, fault.Denied, fault.RuleOf(err), fault.Status(err).Message()
	return q.Refuse(ctx, request, d)
}

// Refuse commits the refusal and gives it; or why it could not be committed.
func (q *Queries) Refuse(ctx context.Context, request access.Request, d access.Decision) error {
	if err := q.Refusals.Refuse(ctx, request, d); err != nil {
		return err
	}
	return d.Err()
}

// entry makes the ledger's line for a page.
func (q *Queries) entry(request access.Request, d *access.Decision, question *question, page *page) (journal.Entry, error) {
	secret := make([]byte, verify.SecretSize)
	if _, err := rand.Read(secret); err != nil {
		return journal.Entry{}, err
	}
	queried := &ledgerv1.RecordsQueried{
		Topic: d.Topic, Provider: d.Provider, Consumer: request.Caller.System, Purpose: request.Purpose, Policy: d.Policy,
		PersonCommitment: verify.CommitText(verify.Person, 0, secret, request.Person),
		CaseCommitment:   verify.CommitText(verify.Case, 0, secret, request.Case),
		Records:          uint32(len(page.batch.Details)), DetailsRoot: page.batch.Root(),
	}
	opening := &ledgerv1.ReadOpening{
		Secret: secret, Person: request.Person, CaseNumber: request.Case, Details: page.batch.Details,
		Subject: question.subject, Key: question.key,
	}
	switch {
	case question.subject != nil:
		c := verify.CommitSubject(verify.Question, 0, secret, question.subject)
		queried.SubjectCommitment = c[:]
	case question.key != "":
		queried.SubjectCommitment = verify.CommitText(verify.Question, 0, secret, question.key)
	}
	opening.Consents = request.Facts.Consent.Digests
	for i, digest := range opening.Consents {
		c := verify.Commit(verify.Consent, uint32(i), secret, digest)
		queried.ConsentCommitments = append(queried.ConsentCommitments, c[:])
	}
	if question.then != nil {
		queried.AsOfPlusOne = question.then.index + 1
	}
	if d.Grant != nil {
		queried.Grant, queried.GrantVersion = d.Grant.ID, d.Grant.Version
	}
	return journal.Entry{
		Leaf: &ledgerv1.LedgerEntry{
			Actor: request.Caller.System, ActorCertificate: request.Caller.Fingerprint[:],
			Body: &ledgerv1.LedgerEntry_Queried{Queried: queried},
		},
		Opening: opening,
	}, nil
}

func (q *Queries) Cutter() *release.Cutter {
	return &release.Cutter{Sealer: q.Keyring, Origin: q.Journal.Head().Origin, Clock: q.Clock, Marks: q.Marks}
}
