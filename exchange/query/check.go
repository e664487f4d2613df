package query

import (
	"context"
	"crypto/rand"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/predicate"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// The answers of a check, as its entry commits to them.
const (
	yes     = "yes"
	no      = "no"
	notHeld = "not held"
)

var answers = map[string]exchangev1.CheckAnswer{
	yes: exchangev1.CheckAnswer_CHECK_ANSWER_YES, no: exchangev1.CheckAnswer_CHECK_ANSWER_NO,
	notHeld: exchangev1.CheckAnswer_CHECK_ANSWER_NOT_HELD,
}

// checking is a check that makes sense.
type checking struct {
	*exchangev1.CheckRequest
	caller  *identity.Caller
	request access.Request    // what was decided
	subject *ledgerv1.Subject // normalised
	token   []byte            // of the subject
}

// Check answers a check. Only yes, no or not held leaves, after the entry that
// commits to it: not how many records it looked at, not which, and of a failure
// nothing but its rule.
func (q *Queries) Check(ctx context.Context, caller *identity.Caller, r *exchangev1.CheckRequest) (*exchangev1.CheckResponse, error) {
	question, err := q.readCheck(caller, r)
	if err != nil {
		return nil, err
	}
	request := access.Request{
		Caller: caller, Action: access.Check, Topic: r.Topic, Check: r.Check, Threshold: r.Threshold,
		Person: r.Acting.GetPerson(), Purpose: r.Acting.GetPurpose(), Case: r.Acting.GetCaseNumber(),
	}
	var answer *exchangev1.CheckResponse
	err = q.Settled(ctx, func() error {
		answer, err = q.tryCheck(ctx, request, question)
		return err
	})
	return answer, err
}

func (q *Queries) readCheck(caller *identity.Caller, r *exchangev1.CheckRequest) (*checking, error) {
	switch {
	case r.Topic == "":
		return nil, fault.Field("topic", "topic.required", "names the topic to ask")
	case !predicate.NameFormat.MatchString(r.Check):
		return nil, fault.Field("check", "check.name", "names a check of the grant")
	case r.Threshold != "" && !predicate.NameFormat.MatchString(r.Threshold):
		return nil, fault.Field("threshold", "check.threshold", "names a threshold of the check, or is empty where it has none")
	}
	subject, err := ReadSubject(r.Subject)
	if err != nil {
		return nil, err
	}
	return &checking{
		CheckRequest: r, caller: caller, subject: subject,
		token: q.Keyring.Token(identity.TokenSubject, subject.Type, subject.Number),
	}, nil
}

// tryCheck decides, looks, commits and answers.
func (q *Queries) tryCheck(ctx context.Context, request access.Request, question *checking) (*exchangev1.CheckResponse, error) {
	of, err := q.caseFor(ctx, request, question.ValidateOnly)
	if err != nil {
		return nil, err
	}
	if request.Facts, err = q.Facts(ctx, request, of, question.subject); err != nil {
		return nil, err
	}
	question.request = request
	d := q.Policy.Decide(request)
	if !d.Allow {
		return nil, q.Refuse(ctx, request, d)
	}
	if question.ValidateOnly {
		return &exchangev1.CheckResponse{}, nil
	}
	topic, err := q.Topics.Topic(d.Topic)
	if err != nil {
		return nil, err
	}
	result, err := q.result(ctx, topic, d.Grant, question)
	if err != nil {
		return nil, q.Denied(ctx, request, d, err)
	}
	entry, err := checkEntry(request, &d, question, result)
	if err != nil {
		return nil, err
	}
	also, err := q.counted(ctx, question, result)
	if err != nil {
		return nil, err
	}
	// A crash before this is committed leaves nothing, and no answer was given. A
	// crash behind it leaves an entry for an answer that was not sent.
	call := d.Call(q.Policy, request, []journal.Entry{entry}, also...)
	call.Seen = result.seen
	commit, err := q.Journal.Submit(ctx, call)
	if err != nil {
		return nil, q.Denied(ctx, request, d, err)
	}
	salt := verify.Salt(verify.Answer, 0, entry.Opening.Secret)
	return &exchangev1.CheckResponse{
		Answer: answers[result.answer], Proof: commit.Proof, AnswerSalt: salt[:],
		Receipt: receipt(commit),
	}, nil
}

// result is what a check came to.
type result struct {
	answer    string
	threshold int64
	limited   bool // the check has thresholds
	details   [][]byte
	seen      []journal.Seen
}

// result looks at the subject's active records and asks the check.
func (q *Queries) result(ctx context.Context, topic *catalog.Topic, grant *access.Grant, question *checking) (*result, error) {
	agreed := grant.Check(question.Check)
	check, err := q.checks.Get(grant.ID, grant.Version, agreed, topic)
	if err != nil {
		return nil, err
	}
	r := &result{answer: notHeld, limited: len(agreed.Thresholds) > 0}
	if r.threshold, err = check.Threshold(question.Threshold); err != nil {
		return nil, err
	}
	payloads, err := q.lookAt(ctx, topic, question, r)
	if err != nil || len(payloads) == 0 {
		return r, err
	}
	is, err := check.Answer(ctx, payloads, r.threshold, access.Today(q.Clock()))
	if err != nil {
		return nil, err
	}
	if r.answer = no; is {
		r.answer = yes
	}
	return r, nil
}

// maxLooks is how many pages of a subject's records, held or not, a check looks
// through.
const maxLooks = 16

// lookAt gives the payloads of the subject's records that are active and have
// not expired, and puts their details into the result.
func (q *Queries) lookAt(ctx context.Context, topic *catalog.Topic, question *checking, r *result) (payloads [][]byte, err error) {
	if err := q.Index.Wait(ctx, q.Journal.Head().Published); err != nil {
		return nil, err
	}
	var after []byte
	for range maxLooks {
		tokens, err := q.Index.RecordsOfSubject(ctx, topic.Name, question.token, after, predicate.MaxRecords)
		if err != nil {
			return nil, err
		}
		if payloads, err = q.active(ctx, topic, question, tokens, payloads, r); err != nil {
			return nil, err
		}
		if len(tokens) < predicate.MaxRecords {
			return payloads, nil
		}
		after = tokens[len(tokens)-1]
	}
	return nil, predicate.TooMany()
}

// active adds the payloads of those records that are active and about the
// subject.
func (q *Queries) active(ctx context.Context, topic *catalog.Topic, question *checking, tokens, payloads [][]byte, r *result) ([][]byte, error) {
	held, err := journal.HeldOf(ctx, q.DB.Journal, q.DB.Brief(), journal.Number(topic.Name), tokens)
	if err != nil {
		return nil, err
	}
	today := int64(access.DayOf(q.Clock()))
	for _, token := range tokens {
		h := held[string(token)]
		if h == nil || h.Present.Status != exchangev1.Status_STATUS_ACTIVE || h.Present.ValidUntil < today || h.Row.Body == nil {
			continue
		}
		if len(payloads) == predicate.MaxRecords {
			return nil, predicate.TooMany()
		}
		row := &h.Row
		opening, err := journal.OpenRecord(q.Keyring, q.Journal.Head().Origin, topic.Name, row.KeyToken, row.Body)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", row.Index, err)
		}
		usable, err := UsableFor(topic, opening.Payload, &question.request)
		if err != nil {
			return nil, err
		}
		if !usable || !isAbout(opening, question.subject) {
			continue
		}
		detail, err := proto.MarshalOptions{Deterministic: true}.Marshal(&ledgerv1.ReleaseDetail{Index: row.Index})
		if err != nil {
			return nil, err
		}
		payloads, r.details = append(payloads, opening.Payload), append(r.details, detail)
		r.seen = append(r.seen, journal.SeenOf(journal.Number(topic.Name), &h.Present))
	}
	return payloads, nil
}

// checkEntry makes the ledger's line for an answer.
func checkEntry(request access.Request, d *access.Decision, question *checking, r *result) (journal.Entry, error) {
	secret := make([]byte, verify.SecretSize)
	if _, err := rand.Read(secret); err != nil {
		return journal.Entry{}, err
	}
	subject := verify.CommitSubject(verify.Question, 0, secret, question.subject)
	checked := &ledgerv1.RecordsChecked{
		Topic: d.Topic, Provider: d.Provider, Consumer: request.Caller.System, Grant: d.Grant.ID, GrantVersion: d.Grant.Version,
		Purpose: request.Purpose, Policy: d.Policy, Check: question.Check, Threshold: question.Threshold, ThresholdValue: r.threshold,
		PersonCommitment:  verify.CommitText(verify.Person, 0, secret, request.Person),
		CaseCommitment:    verify.CommitText(verify.Case, 0, secret, request.Case),
		SubjectCommitment: subject[:],
		AnswerCommitment:  verify.CommitText(verify.Answer, 0, secret, r.answer),
		DetailsCommitment: verify.CommitDetails(secret, r.details),
	}
	for i, digest := range request.Facts.Consent.Digests {
		c := verify.Commit(verify.Consent, uint32(i), secret, digest)
		checked.ConsentCommitments = append(checked.ConsentCommitments, c[:])
	}
	return journal.Entry{
		Leaf: &ledgerv1.LedgerEntry{
			Actor: request.Caller.System, ActorCertificate: request.Caller.Fingerprint[:],
			Body: &ledgerv1.LedgerEntry_Checked{Checked: checked},
		},
		Opening: &ledgerv1.ReadOpening{
			Secret: secret, Person: request.Person, CaseNumber: request.Case, Subject: question.subject,
			Details: r.details, Answer: r.answer, Consents: request.Facts.Consent.Digests,
		},
	}, nil
}
