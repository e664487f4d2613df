package query

import (
	"context"
	"database/sql"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/release"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// ServiceItem is the contract of service items. They are public: where their topic
// is shared unconditionally, whoever is enrolled reads them, without grant and case.
const ServiceItem = "huitong.records.v1.ServiceItem"

// scanned bounds the records that one page of a public list looks at.
const scanned = 1024

// IsPublic says whether a topic's records are public.
func IsPublic(t *catalog.Topic) bool {
	return t.Active() && t.ContractName == ServiceItem && t.SharingClass == cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL
}

// Public gives the record of a key of a public topic, as it is or as it was; nil if
// there is none, or it is not active.
func (q *Queries) Public(ctx context.Context, caller *identity.Caller, topic *catalog.Topic, r *exchangev1.QueryRequest) (*exchangev1.ReleasedRecord, error) {
	a, err := q.read(caller, r)
	if err != nil {
		return nil, err
	}
	a.request = access.Request{Caller: caller}
	if err := q.readAsOf(ctx, a); err != nil {
		return nil, err
	}
	p := &page{batch: &release.Batch{}}
	if _, err := q.known(ctx, topic, a, [][]byte{a.token}, topic.Unconditional(), p); err != nil || len(p.batch.Records) == 0 {
		return nil, err
	}
	return p.batch.Records[0], nil
}

// PublicList asks for active records of a public topic, behind a record's token.
type PublicList struct {
	Topic *catalog.Topic
	After []byte
	Limit int
	JSON  bool
	// Want says which records are wanted.
	Want func(*exchangev1.ReleasedRecord) (bool, error)
}

// PublicPage gives some of a list. next is the token to go on behind; nil behind
// the last.
func (q *Queries) PublicPage(ctx context.Context, caller *identity.Caller, l PublicList) (found []*exchangev1.ReleasedRecord, next []byte, err error) {
	a := &question{QueryRequest: &exchangev1.QueryRequest{Topic: l.Topic.Name, Json: l.JSON}, request: access.Request{Caller: caller}}
	bytes, next := 0, l.After
	for looked := 0; looked < scanned; {
		tokens, err := q.activeBehind(ctx, l.Topic, next, l.Limit-len(found))
		if err != nil || len(tokens) == 0 {
			return found, nil, err
		}
		p := &page{batch: &release.Batch{}, bytes: bytes}
		done, err := q.records(ctx, l.Topic, a, tokens, l.Topic.Unconditional(), p)
		if err != nil {
			return nil, nil, err
		}
		for _, record := range p.batch.Records {
			wanted, err := l.Want(record)
			if err != nil {
				return nil, nil, err
			}
			if wanted {
				found = append(found, record)
			}
		}
		next, bytes, looked = tokens[done-1], p.bytes, looked+done
		if len(found) >= l.Limit || bytes >= pageBytes {
			break
		}
	}
	return found, next, nil
}

// activeBehind gives the tokens of a topic's active records in their order.
func (q *Queries) activeBehind(ctx context.Context, topic *catalog.Topic, after []byte, limit int) ([][]byte, error) {
	if after == nil {
		after = []byte{}
	}
	rows, err := q.DB.Reader().QueryContext(ctx, "SELECT key_token FROM records WHERE topic = $1 AND key_token > $2 AND status = $3 ORDER BY key_token LIMIT $4",
		journal.Number(topic.Name), after, int64(exchangev1.Status_STATUS_ACTIVE), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return tokensOf(rows)
}

func tokensOf(rows *sql.Rows) (all [][]byte, err error) {
	for rows.Next() {
		var token []byte
		if err := rows.Scan(&token); err != nil {
			return nil, err
		}
		all = append(all, token)
	}
	return all, rows.Err()
}

// publicDocument commits the entry that lets a document of a public record leave,
// to whoever is enrolled: for nobody named, and for no case.
func (q *Queries) publicDocument(ctx context.Context, caller *identity.Caller, topic *catalog.Topic, index uint64, d *ledgerv1.Document) (answer *exchangev1.QueryResponse, err error) {
	request := access.Request{Caller: caller, Action: access.Show, Topic: topic.Name}
	row, err := journal.ByIndex(ctx, q.DB.Reader(), index)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, fault.New(fault.NotFound, "document.unknown", "no such document is known to the caller")
	}
	err = q.Settled(ctx, func() error {
		decision := q.Policy.Decide(request)
		if !decision.Allow {
			return q.Refuse(ctx, request, decision)
		}
		present, err := q.present(ctx, topic, [][]byte{row.KeyToken})
		if err != nil {
			return err
		}
		p := &page{batch: &release.Batch{}}
		if err := addDocument(p, row, present[string(row.KeyToken)], d); err != nil {
			return err
		}
		entry, err := q.entry(request, &decision, &question{}, p)
		if err != nil {
			return err
		}
		commit, err := q.Journal.Submit(ctx, decision.Call(q.Policy, request, []journal.Entry{entry}))
		if err != nil {
			return q.Denied(ctx, request, decision, err)
		}
		answer = &exchangev1.QueryResponse{Proof: commit.Proof, Release: receipt(commit)}
		return nil
	})
	return answer, err
}
