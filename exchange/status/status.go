// Package status answers how a record stands to whoever knows its key: a
// certificate shown at a counter, by its identifier.
//
// An answer is a word, since when, and which version took a superseded
// certificate's place; nothing of what the record says or of whom. It needs no
// grant and no case. What is not held, what was removed or erased, and what is on
// a topic that does not offer this are answered alike, after the same reads.
//
// Each answer is an entry, committed before it is given, with salted commitments
// to what was asked and answered. So that nobody finds certificates by guessing,
// a participant's questions are counted by the hour in the transaction of that
// entry.
package status

import (
	"context"
	"crypto/rand"
	"errors"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/settings"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// attempts is how often a question is decided while the policy keeps moving.
const attempts = 8

// Refuser commits the entry of a denial before the caller hears of it.
type Refuser interface {
	Refuse(ctx context.Context, r access.Request, d access.Decision) error
}

// Statuses answers how records stand.
type Statuses struct {
	DB      *store.DB
	Journal *journal.Journal
	Topics  interface {
		Topic(name string) (*catalog.Topic, error)
	}
	Policy   *access.Policy
	Refusals Refuser
	Keyring  *identity.Keyring
	Settings interface{ Settings() *settings.Settings }
	Clock    func() time.Time
}

// Answer answers one question.
func (s *Statuses) Answer(ctx context.Context, caller *identity.Caller, r *exchangev1.GetStatusRequest) (*exchangev1.GetStatusResponse, error) {
	switch {
	case r.Topic == "":
		return nil, fault.Field("topic", "topic.required", "names the topic to ask")
	case r.Key == "" || len(r.Key) > contract.MaxKey || !utf8.ValidString(r.Key):
		return nil, fault.Field("key", "key.size", "has 1 to %d bytes of UTF-8", contract.MaxKey)
	}
	for range attempts {
		answer, err := s.try(ctx, caller, r)
		if !errors.Is(err, journal.ErrPolicyMoved) {
			return answer, err
		}
		if err := s.Policy.Refresh(ctx, 0); err != nil {
			return nil, err
		}
	}
	return nil, fault.New(fault.Unavailable, "policy.moving", "permissions keep changing; try again")
}

// try decides, looks, commits and answers.
func (s *Statuses) try(ctx context.Context, caller *identity.Caller, r *exchangev1.GetStatusRequest) (*exchangev1.GetStatusResponse, error) {
	request := access.Request{Caller: caller, Action: access.Status, Topic: r.Topic}
	d := s.Policy.Decide(request)
	if !d.Allow {
		return nil, s.refuse(ctx, request, d)
	}
	topic, err := s.Topics.Topic(d.Topic)
	if err != nil {
		return nil, err
	}
	stands, err := s.look(ctx, topic, r.Key)
	if err != nil {
		return nil, err
	}
	entry, secret, err := asked(request, &d, r.Key, stands)
	if err != nil {
		return nil, err
	}
	commit, err := s.Journal.Submit(ctx, d.Call(s.Policy, request, []journal.Entry{entry}, s.counted(caller.Participant)))
	if fault.KindOf(err) == fault.Denied {
		return nil, s.refuse(ctx, request, d.RefuseBy(fault.RuleOf(err)))
	}
	if err != nil {
		return nil, err
	}
	return stands.message(commit, secret), nil
}

// refuse commits the refusal and gives it; or why it could not be committed.
func (s *Statuses) refuse(ctx context.Context, request access.Request, d access.Decision) error {
	if err := s.Refusals.Refuse(ctx, request, d); err != nil {
		return err
	}
	return d.Err()
}

// counted counts one question of a participant's hour, exactly.
func (s *Statuses) counted(participant string) access.Also {
	hour, limit := s.Clock().Unix()/3600, s.Settings.Settings().MaxStatusQuestions
	return func(ctx context.Context, tx store.Tx, _ journal.Slot) error {
		var n int
		err := tx.QueryRowContext(ctx, `INSERT INTO status_use (participant, hour, asked) VALUES ($1, $2, 1)
			ON CONFLICT (participant) DO UPDATE SET
				asked = CASE WHEN status_use.hour = excluded.hour THEN status_use.asked + 1 ELSE 1 END, hour = excluded.hour
			RETURNING asked`, participant, hour).Scan(&n)
		if err != nil {
			return err
		}
		if n > limit {
			return fault.New(fault.Denied, "status.limit", "%d questions were asked in this hour", n-1)
		}
		return nil
	}
}

// asked makes the ledger's line for an answer.
func asked(request access.Request, d *access.Decision, key string, stands standing) (journal.Entry, []byte, error) {
	secret := make([]byte, verify.SecretSize)
	if _, err := rand.Read(secret); err != nil {
		return journal.Entry{}, nil, err
	}
	answer := stands.text()
	return journal.Entry{
		Leaf: &ledgerv1.LedgerEntry{
			Actor: request.Caller.System, ActorCertificate: request.Caller.Fingerprint[:],
			Body: &ledgerv1.LedgerEntry_StatusAsked{StatusAsked: &ledgerv1.StatusAsked{
				Topic: d.Topic, Provider: d.Provider, Consumer: request.Caller.System, Policy: d.Policy,
				QuestionCommitment: verify.CommitText(verify.Question, 0, secret, key),
				AnswerCommitment:   verify.CommitText(verify.Answer, 0, secret, answer),
			}},
		},
		Opening: &ledgerv1.ReadOpening{Secret: secret, Key: key, Answer: answer},
	}, secret, nil
}

func (stands standing) message(commit *journal.Commit, secret []byte) *exchangev1.GetStatusResponse {
	question, answer := verify.Salt(verify.Question, 0, secret), verify.Salt(verify.Answer, 0, secret)
	m := &exchangev1.GetStatusResponse{
		Standing: stands.is, SupersededByVersion: stands.by, Proof: commit.Proof,
		QuestionSalt: question[:], AnswerSalt: answer[:],
		Receipt: &exchangev1.Receipt{Index: commit.Index, At: timestamppb.New(time.UnixMicro(commit.At).UTC()), Leaf: commit.Leaves[0]},
	}
	if stands.since != 0 {
		m.Since = timestamppb.New(time.UnixMicro(stands.since).UTC())
	}
	return m
}
