package query

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Document decides whether a document of a publication may leave, as a query for
// that version is decided, or to whoever is enrolled if the record is public, and
// commits the entry that says so. The answer holds
// no record.
func (q *Queries) Document(ctx context.Context, caller *identity.Caller, acting *exchangev1.Acting, index uint64, d *ledgerv1.Document) (*exchangev1.QueryResponse, error) {
	var leaf []byte
	if err := q.DB.Brief().QueryRowContext(ctx, "SELECT leaf FROM ledger WHERE idx = $1", int64(index)).Scan(&leaf); err != nil {
		return nil, err
	}
	entry := &ledgerv1.LedgerEntry{}
	if err := proto.Unmarshal(leaf, entry); err != nil {
		return nil, err
	}
	name := entry.GetPublished().GetTopic()
	if topic, err := q.Topics.Topic(name); err == nil && IsPublic(topic) {
		return q.publicDocument(ctx, caller, topic, index, d)
	}
	question, err := q.read(caller, &exchangev1.QueryRequest{
		Topic: name, Acting: acting, By: &exchangev1.QueryRequest_Index{Index: index},
	})
	if err != nil {
		return nil, err
	}
	question.document = d
	return q.answer(ctx, caller, question)
}

// addDocument adds a document of a version that holds the record's content.
func addDocument(p *page, row *journal.Row, present journal.Present, d *ledgerv1.Document) error {
	if present.PayloadIndex != row.Index {
		return fault.New(fault.NotFound, "document.superseded", "a later version holds the record's content; ask for the documents of that one")
	}
	return p.batch.AddDocument(row.Index, d)
}
