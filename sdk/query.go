package sdk

import (
	"context"
	"iter"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Acting names on whose behalf and for what a record is read. The exchange
// records all of it with every read.
type Acting struct {
	// Person is the official or applicant who acts, by the department's own
	// reference.
	Person string
	// Purpose is the code of the service item.
	Purpose string
	// Case is the department's case number.
	Case string
}

// Subject is whom a record is about.
type Subject struct {
	// Type is the holder code type: "111" resident identity number, "001"
	// unified social credit code, "414" passport, …
	Type   string
	Number string
	// Role narrows to a role (holder, spouse, member, …); any if empty.
	Role string
}

// Query asks for records of one topic, by exactly one of Subject, Key and Index.
type Query struct {
	Topic  string
	Acting Acting
	By     QueryBy
	// IncludeInactive asks for records that are revoked, removed, … too.
	IncludeInactive bool
	// AsOf asks for what was known then; see AsOfIndex and AsOfTime. The present if
	// nil.
	AsOf QueryAsOf
	// JSON asks for payloads as protobuf-JSON too.
	JSON bool
	// PageSize is at most 256; 64 if 0.
	PageSize  int
	PageToken string
	// ValidateOnly checks whether the query would be answered; nothing is read
	// or recorded.
	ValidateOnly bool
}

// QueryBy says by whom or what to look; see BySubject, ByKey and ByIndex.
type QueryBy func(*exchangev1.QueryRequest)

// QueryAsOf says which past a query is about. Of each record the version comes
// that was the newest, with the status that it had; whether the caller may read
// it is decided as of now.
type QueryAsOf func(*exchangev1.QueryRequest)

// AsOfIndex is when the entry with this index was the ledger's last.
func AsOfIndex(index uint64) QueryAsOf {
	return func(r *exchangev1.QueryRequest) { r.AsOf = &exchangev1.QueryRequest_AsOfIndex{AsOfIndex: index} }
}

// AsOfTime is a time, to the microsecond.
func AsOfTime(t time.Time) QueryAsOf {
	return func(r *exchangev1.QueryRequest) {
		r.AsOf = &exchangev1.QueryRequest_AsOfTime{AsOfTime: timestamppb.New(t)}
	}
}

// Answer is one page of records, with the receipt of the entry that says this
// system was given them.
type Answer struct {
	Records       []Record
	Release       *Receipt
	NextPageToken string
}

// BySubject looks for records about a person or organisation.
func BySubject(s Subject) QueryBy {
	return func(r *exchangev1.QueryRequest) {
		r.By = &exchangev1.QueryRequest_Subject{Subject: &ledgerv1.Subject{Type: s.Type, Number: s.Number, Role: s.Role}}
	}
}

// ByKey looks for the record with this key.
func ByKey(key string) QueryBy {
	return func(r *exchangev1.QueryRequest) { r.By = &exchangev1.QueryRequest_Key{Key: key} }
}

// ByIndex looks for the version that the entry with this index published.
func ByIndex(index uint64) QueryBy {
	return func(r *exchangev1.QueryRequest) { r.By = &exchangev1.QueryRequest_Index{Index: index} }
}

func (a Acting) message() *exchangev1.Acting {
	return &exchangev1.Acting{Person: a.Person, Purpose: a.Purpose, CaseNumber: a.Case}
}

func (q *Query) message() *exchangev1.QueryRequest {
	r := &exchangev1.QueryRequest{
		Topic: q.Topic, Acting: q.Acting.message(), PageSize: uint32(q.PageSize), PageToken: q.PageToken,
		IncludeInactive: q.IncludeInactive, Json: q.JSON, ValidateOnly: q.ValidateOnly,
	}
	if q.By != nil {
		q.By(r)
	}
	if q.AsOf != nil {
		q.AsOf(r)
	}
	return r
}

// Query asks the exchange and checks what it answers: each record against what
// its publisher committed to, the page against its ledger entry, the entry
// against the signed checkpoint.
func (c *Client) Query(ctx context.Context, q Query) (*Answer, error) {
	if q.By == nil {
		return nil, fault.Field("by", "sdk.query", "say by whom or what to look: BySubject, ByKey or ByIndex")
	}
	after := c.log.seen()
	resp, err := c.exchange().Query(ctx, q.message())
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	a := &Answer{NextPageToken: resp.GetNextPageToken()}
	if q.ValidateOnly {
		return a, nil
	}
	if err := c.readAnswer(a, &q, resp); err != nil {
		return nil, err
	}
	if a.Release.Index < after {
		return nil, unproven("entry %d is new in a ledger that had %d entries before", a.Release.Index, after)
	}
	return a, nil
}

func (c *Client) readAnswer(a *Answer, q *Query, resp *exchangev1.QueryResponse) error {
	receipt, entry, err := c.log.release(resp.GetRelease(), resp.GetProof())
	if err != nil {
		return err
	}
	queried := entry.GetQueried()
	if queried.GetConsumer() != c.system || queried.GetTopic() != q.Topic || queried.GetPurpose() != q.Acting.Purpose {
		return unproven("entry %d is of another query", receipt.Index)
	}
	if past := queried.GetAsOfPlusOne(); (past > 0) != (q.AsOf != nil) || past > receipt.Index {
		return unproven("entry %d is of another time", receipt.Index)
	}
	records := make([]Record, len(resp.GetRecords()))
	details := make([][verify.HashSize]byte, len(records))
	for i, in := range resp.GetRecords() {
		readRecord(&records[i], in)
		details[i] = detailHash(in, 0, 0)
		if err := records[i].check(); err != nil {
			return err
		}
	}
	if err := covers(queried.GetRecords(), queried.GetDetailsRoot(), details); err != nil {
		return err
	}
	a.Records, a.Release = records, receipt
	return nil
}

// QueryAll goes through all pages. Each page is a read, and an entry, of its own.
func (c *Client) QueryAll(ctx context.Context, q Query) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		for {
			a, err := c.Query(ctx, q)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range a.Records {
				if !yield(&a.Records[i], nil) {
					return
				}
			}
			if a.NextPageToken == "" {
				return
			}
			q.PageToken = a.NextPageToken
		}
	}
}
