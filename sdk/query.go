package sdk

import (
	"context"
	"iter"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
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

// Answer is one page of records, with the receipt of the entry that says this
// system was given them.
type Answer struct {
	Records       []Record
	Release       *Receipt
	NextPageToken string
}

// Query asks the exchange and checks what it answers: each record against what
// its publisher committed to, the page against its ledger entry, the entry
// against the signed checkpoint.
func (c *Client) Query(ctx context.Context, q Query) (*Answer, error) {
	return c.query(ctx, q)
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
