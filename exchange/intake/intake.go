// Package intake takes in what department systems publish: it checks each
// record by its topic's contract, prepares commitments, tokens and the sealed
// opening, and brings what is good to the journal.
//
// Each record is accepted or refused alone. Nothing is written for a record that
// is refused but the entry that says so, by its rule; refusals of one topic by one
// rule are counted into one entry a minute.
package intake

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"unicode"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Limits of a call; each is a setting.
const (
	DefaultMaxRecords     = 1000
	DefaultMaxRecordBytes = 256 << 10
	DefaultMaxCallBytes   = 8 << 20
	maxPosition           = 1024
	maxReason             = 1024
	maxDocuments          = 32
)

// Topics finds a topic by name.
type Topics interface {
	Topic(name string) (*catalog.Topic, error)
}

// Decider decides who may publish.
type Decider interface {
	Decide(r access.Request) access.Decision
}

// Refuser commits the entry of a refusal before the caller hears of it.
type Refuser interface {
	Refuse(ctx context.Context, r access.Request, d access.Decision) error
}

// Keys makes tokens and seals.
type Keys interface {
	journal.Sealer
	Token(kind byte, parts ...string) []byte
}

// Documents finds documents that belong to a system.
type Documents interface {
	Of(ctx context.Context, system string, ids [][]byte) ([]*ledgerv1.Document, error)
}

// ContentCheck looks closer at the content of a PUT that its contract allows, and
// at the documents that belong to it. It is safe for concurrent use. A fault
// refuses the record.
type ContentCheck interface {
	Check(payload []byte, documents []*ledgerv1.Document) error
}

// Intake is the publishing side of the exchange.
type Intake struct {
	Journal  *journal.Journal
	Topics   Topics
	Access   Decider
	Refusals Refuser
	Keys     Keys
	// Documents are what a publication may name; without it, none.
	Documents Documents
	// Checks are what a contract cannot say of its records, by its name.
	Checks map[string]ContentCheck
	// Over is called in the transaction of an entry, at its time in µs, whose record's
	// last day is a day gone by; nothing is if it is nil.
	Over           func(ctx context.Context, tx store.Tx, r *journal.Record, at int64) error
	MaxRecords     int
	MaxRecordBytes int
	MaxCallBytes   int
}

// Pending is a call on its way.
type Pending struct {
	in       *Intake
	caller   *identity.Caller
	topics   []string // of the journal's records
	response *exchangev1.PublishResponse
	places   []int // of the journal's records among the call's
	wait     *journal.Pending
}

// Publish takes in one call and waits for its commit.
func (in *Intake) Publish(ctx context.Context, caller *identity.Caller, req *exchangev1.PublishRequest) (*exchangev1.PublishResponse, error) {
	p, err := in.Begin(ctx, caller, req)
	if err != nil {
		return nil, err
	}
	return p.Wait(ctx)
}

// PublishUnder is Publish while guards are as they were seen, and else
// journal.ErrPolicyMoved.
func (in *Intake) PublishUnder(ctx context.Context, caller *identity.Caller, req *exchangev1.PublishRequest, guards []journal.Guard) (*exchangev1.PublishResponse, error) {
	p, err := in.begin(ctx, caller, req, nil, guards...)
	if err != nil {
		return nil, err
	}
	return p.Wait(ctx)
}

// Begin checks a call and queues it. Calls that begin one after the other commit
// in that order. An error refuses the whole call.
func (in *Intake) Begin(ctx context.Context, caller *identity.Caller, req *exchangev1.PublishRequest) (*Pending, error) {
	return in.begin(ctx, caller, req, nil)
}

// begin checks and queues a call of a system, or of the exchange itself if
// caller is nil. with goes with each of its records, and guards hold at the commit.
func (in *Intake) begin(ctx context.Context, caller *identity.Caller, req *exchangev1.PublishRequest, with journal.With, guards ...journal.Guard) (*Pending, error) {
	if err := in.checkCall(req); err != nil {
		return nil, in.refused(ctx, caller, nil, err)
	}
	c := &check{in: in, caller: caller, request: req, results: make([]*exchangev1.PublicationResult, len(req.Records))}
	call := &journal.Publish{
		Statements: len(req.Records), Signature: req.Signature, Position: req.SourcePosition, ValidateOnly: req.ValidateOnly,
	}
	if caller != nil {
		call.Actor, call.Certificate = caller.System, caller.Fingerprint[:]
	}
	p := &Pending{in: in, caller: caller, response: &exchangev1.PublishResponse{Results: c.results}}
	if err := c.run(ctx, call, p); err != nil {
		return nil, err
	}
	for _, r := range call.Records {
		if r.With = with; with == nil {
			r.With = in.over(r)
		}
	}
	if len(call.Records) == 0 && (call.Position == nil || req.ValidateOnly) {
		return p, nil
	}
	var err error
	p.wait, err = in.Journal.Begin(ctx, &journal.Call{From: call.Actor, Publish: call, Guards: guards})
	return p, err
}

// over is what goes with a record whose last day may be a day gone by; nil with all
// others.
func (in *Intake) over(r *journal.Record) journal.With {
	if in.Over == nil || r.ValidUntil > in.Journal.Clock().Unix()/(24*60*60) {
		return nil
	}
	return func(ctx context.Context, tx store.Tx, _ uint64, at int64) error { return in.Over(ctx, tx, r, at) }
}

// Done is closed once Wait would not block.
func (p *Pending) Done() <-chan struct{} {
	if p.wait != nil {
		return p.wait.Done()
	}
	closed := make(chan struct{})
	close(closed)
	return closed
}

// Wait gives the answer once the call is committed.
func (p *Pending) Wait(ctx context.Context) (*exchangev1.PublishResponse, error) {
	if p.wait == nil {
		return p.response, nil
	}
	commit, err := p.wait.Wait(ctx)
	if err != nil {
		return nil, err
	}
	for i, o := range commit.Records {
		result := p.response.Results[p.places[i]]
		if o.Err != nil {
			topic, _ := p.in.Topics.Topic(p.topics[i])
			result.Outcome = &exchangev1.PublicationResult_Problem{Problem: Problem(p.in.refused(ctx, p.caller, topic, o.Err))}
			continue
		}
		if o.Leaf == nil {
			continue // a dry run: it would be accepted
		}
		result.Outcome = &exchangev1.PublicationResult_Receipt{Receipt: &exchangev1.Receipt{
			Index: o.Index, At: timestamppb.New(timeOf(o.At)), Leaf: o.Leaf, Repeat: o.Repeat,
		}}
	}
	p.response.Proof = commit.Proof
	return p.response, nil
}

func (in *Intake) checkCall(req *exchangev1.PublishRequest) error {
	if n := len(req.Records); n == 0 || n > in.MaxRecords {
		return fault.Field("records", "call.records", "a call has 1 to %d records, not %d; split it", in.MaxRecords, n)
	}
	total := 0
	for _, r := range req.Records {
		total += len(r.GetProtobuf()) + len(r.GetJson())
	}
	if total > in.MaxCallBytes {
		return fault.New(fault.TooLarge, "call.bytes", "the call's records have %d bytes; %d is the limit; split it", total, in.MaxCallBytes)
	}
	p := req.SourcePosition
	if p != nil && (p.Source == "" || len(p.Source) > 128 || strings.ContainsFunc(p.Source, unicode.IsControl)) {
		return fault.Field("source_position.source", "source.name", "needs 1 to 128 bytes without control characters")
	}
	if len(p.GetPosition()) > maxPosition {
		return fault.Field("source_position.position", "source.position", "has more than %d bytes", maxPosition)
	}
	return nil
}

// check is the check of one call.
type check struct {
	in       *Intake
	caller   *identity.Caller
	request  *exchangev1.PublishRequest
	results  []*exchangev1.PublicationResult
	unstated bool
	topics   map[string]*topicCheck
}

func (c *check) run(ctx context.Context, call *journal.Publish, p *Pending) error {
	statements := make([][verify.HashSize]byte, len(c.request.Records))
	for i, publication := range c.request.Records {
		c.results[i] = &exchangev1.PublicationResult{}
		record, err := c.record(ctx, publication, c.results[i])
		if err != nil {
			if fault.KindOf(err) == fault.Internal || errors.Is(err, context.Canceled) {
				return err
			}
			c.results[i].Outcome = &exchangev1.PublicationResult_Problem{Problem: Problem(err)}
			if len(publication.Statement) == verify.HashSize {
				statements[i] = [verify.HashSize]byte(publication.Statement)
			} else {
				c.unstated = true
			}
			call.Omitted = append(call.Omitted, &ledgerv1.OmittedStatement{Position: uint32(i), LeafHash: statements[i][:]})
			continue
		}
		record.Position = uint32(i)
		statements[i] = record.Statement
		call.Records = append(call.Records, record)
		p.places, p.topics = append(p.places, i), append(p.topics, publication.Topic)
	}
	if err := c.signature(statements); err != nil {
		return c.in.refused(ctx, c.caller, c.only(), err)
	}
	return nil
}

// only gives the topic of a call on one topic.
func (c *check) only() (topic *catalog.Topic) {
	for _, t := range c.topics {
		if topic != nil {
			return nil
		}
		topic = t.topic
	}
	return topic
}

// signature checks the caller's signature over all statements of the call.
func (c *check) signature(statements [][verify.HashSize]byte) error {
	if len(c.request.Signature) == 0 {
		return nil
	}
	if c.unstated {
		return fault.Field("records", "statement.required",
			"a record of a signed call was refused and has no statement hash, so the signature cannot be checked; set statement on every record")
	}
	if err := verify.CheckSignature(c.caller.PublicKey, verify.CallStatement(c.caller.System, statements), c.request.Signature); err != nil {
		return fault.Field("signature", "signature.wrong", "%v", err)
	}
	return nil
}

func newSecret() ([]byte, error) {
	secret := make([]byte, verify.SecretSize)
	_, err := rand.Read(secret)
	return secret, err
}
