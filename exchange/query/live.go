package query

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/release"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Live is a question about a subject to a topic that is answered live.
type Live struct {
	Topic   string
	Acting  *exchangev1.Acting
	Subject *ledgerv1.Subject
	JSON    bool
	// Supplied are the entries of the records that the provider published in answer;
	// none if it holds nothing.
	Supplied []uint64
}

// Permit decides a live question as a query is decided, before its provider is
// asked. The decision does not outlast the moment: AnswerLive decides anew.
func (q *Queries) Permit(ctx context.Context, caller *identity.Caller, l *Live) (*access.Decision, error) {
	question, request, err := q.readLive(caller, l)
	if err != nil {
		return nil, err
	}
	of, err := q.CaseNow(ctx, request)
	if err != nil {
		return nil, err
	}
	if request.Facts, err = q.Facts(ctx, request, of, question.subject); err != nil {
		return nil, err
	}
	d := q.Policy.Decide(request)
	if !d.Allow {
		return nil, q.Refuse(ctx, request, d)
	}
	return &d, nil
}

// AnswerLive answers a live question with what was supplied: decided, cut and
// entered as a query is.
func (q *Queries) AnswerLive(ctx context.Context, caller *identity.Caller, l *Live) (*exchangev1.QueryResponse, error) {
	question, request, err := q.readLive(caller, l)
	if err != nil {
		return nil, err
	}
	var answer *exchangev1.QueryResponse
	err = q.Settled(ctx, func() error {
		answer, err = q.try(ctx, request, question)
		return err
	})
	return answer, err
}

func (q *Queries) readLive(caller *identity.Caller, l *Live) (*question, access.Request, error) {
	question, err := q.read(caller, &exchangev1.QueryRequest{
		Topic: l.Topic, Acting: l.Acting, Json: l.JSON, By: &exchangev1.QueryRequest_Subject{Subject: l.Subject},
	})
	if err != nil {
		return nil, access.Request{}, err
	}
	question.live = l
	return question, access.Request{
		Caller: caller, Action: access.Query, Topic: l.Topic, Live: true,
		Person: l.Acting.GetPerson(), Purpose: l.Acting.GetPurpose(), Case: l.Acting.GetCaseNumber(),
	}, nil
}

// supplied adds the versions that the provider published in answer, as far as
// they are about the subject and were not erased since.
func (q *Queries) supplied(ctx context.Context, topic *catalog.Topic, a *question, fields []uint32, p *page) error {
	for _, index := range a.live.Supplied {
		row, err := journal.ByIndex(ctx, q.DB.Reader(), index)
		if err != nil {
			return err
		}
		if row == nil || row.Topic != journal.Number(topic.Name) {
			return fmt.Errorf("entry %d is no publication on %s", index, topic.Name)
		}
		if about, err := q.about(topic, row, a); err != nil || !about {
			if err != nil {
				return err
			}
			continue
		}
		present, err := q.present(ctx, topic, [][]byte{row.KeyToken})
		if err != nil {
			return err
		}
		if r, held := present[string(row.KeyToken)]; held {
			p.saw(topic, &r)
		}
		if err := q.add(p, topic, row, presence(present, row.KeyToken), release.View{Fields: fields, JSON: a.Json}); err != nil {
			return err
		}
	}
	return nil
}

// Supplied is what an entry published.
type Supplied struct {
	// About: it is a record of the topic about the subject, with content.
	About bool
	// At is when, µs UTC.
	At int64
}

// Supplied looks at an entry that is said to be a record of a topic about a
// subject.
func (q *Queries) Supplied(ctx context.Context, topic *catalog.Topic, index uint64, subject *ledgerv1.Subject) (s Supplied, err error) {
	row, err := journal.ByIndex(ctx, q.DB.Reader(), index)
	if err != nil || row == nil || row.Body == nil || row.Topic != journal.Number(topic.Name) {
		return s, err
	}
	var entry ledgerv1.LedgerEntry
	if err := proto.Unmarshal(row.Leaf, &entry); err != nil {
		return s, err
	}
	opening, err := journal.OpenRecord(q.Keyring, q.Journal.Head().Origin, topic.Name, row.KeyToken, row.Body)
	if err != nil {
		return s, fmt.Errorf("entry %d: %w", index, err)
	}
	return Supplied{About: isAbout(opening, subject), At: entry.AtUs}, nil
}
