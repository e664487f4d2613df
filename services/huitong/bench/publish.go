package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// streamCalls is how many calls of a stream are under way at once.
const streamCalls = sdk.DefaultCallsInFlight

// publishing is one way of publishing.
type publishing struct {
	name    string
	callers int
	batch   int // 1: each caller waits for the receipt of each record
	config  sdk.PublisherConfig
}

// The ways of publishing that are measured, with signatures and commitments on.
var (
	oneCaller  = publishing{"SDK, 1 caller", 1, 1, sdk.PublisherConfig{}}
	allCallers = publishing{"SDK, 64 callers", 64, 1, sdk.PublisherConfig{}}
	plainCalls = publishing{"unary calls, 64 callers, 8 connections", 64, 1, sdk.PublisherConfig{CallUnary: true}}
	hundreds   = publishing{"stream, batches of 100", streamCalls, 100, sdk.PublisherConfig{CallRecords: 100}}
	thousands  = publishing{"stream, batches of 1,000", streamCalls, 1000, sdk.PublisherConfig{}}

	// The first fills the exchange.
	publishings = []publishing{thousands, hundreds, allCallers, plainCalls, oneCaller}
)

// publisher publishes the bench's certificates, each under a number of its own.
type publisher struct {
	*installation
	next atomic.Int64
	// answered is when the last run had its first receipt.
	answered time.Time
}

// run publishes one way and measures it.
func (p *publisher) run(ctx context.Context, way publishing, when string, limit Limit) (row Row, err error) {
	spread := 1
	if way.config.CallUnary {
		spread = connections
	}
	client, err := p.connect(ctx, p.source, spread)
	if err != nil {
		return row, err
	}
	publisher := client.Publisher(way.config)
	defer func() { err = errors.Join(err, publisher.Close(ctx)) }()
	certificates := sdk.For[*recordsv1.Certificate](publisher, topic)
	// The first record of a client fetches the contract: it is not measured.
	if _, err := certificates.Publish(ctx, certificate(int(p.next.Add(1)))); err != nil {
		return row, err
	}
	p.answered = time.Now()
	name := way.name
	if when != "" {
		name += ", " + when
	}
	if way.batch == 1 {
		row, err = load(ctx, name, way.callers, 1, limit, func(ctx context.Context, _, _ int) error {
			_, err := certificates.Publish(ctx, certificate(int(p.next.Add(1))))
			return err
		})
	} else {
		row, err = load(ctx, name, way.callers, way.batch, limit, func(ctx context.Context, _, _ int) error {
			return p.batch(ctx, certificates, way.batch)
		})
	}
	if err != nil {
		return row, err
	}
	if behind := p.node.Journal.Head().Size - p.node.Bus.Relayed(0); behind > 2000 {
		row.Note = fmt.Sprintf("relay %d behind at the end", behind)
	}
	return row, p.settled(ctx)
}

func (p *publisher) batch(ctx context.Context, certificates sdk.Typed[*recordsv1.Certificate], n int) error {
	last := int(p.next.Add(int64(n)))
	records := make([]*recordsv1.Certificate, n)
	for i := range records {
		records[i] = certificate(last - i)
	}
	results, err := certificates.PublishBatch(ctx, records)
	for i := range results {
		if err == nil {
			err = results[i].Err
		}
	}
	return err
}

// publish measures publishing: with so many records already in, and on an empty
// exchange. The first comes first, for memory that an exchange leaves behind in
// this process would count for the next.
func (s *settings) publish(ctx context.Context) (*Report, error) {
	r, err := newReport("Publish: 1 KiB certificates, signed, committed to field by field, fsync on every commit", s.dir)
	if err != nil {
		return nil, err
	}
	in, err := install(ctx, s.dir)
	if err != nil {
		return nil, err
	}
	full, err := s.full(ctx, r, &publisher{installation: in})
	if err == nil {
		r.Parts, err = measureParts(ctx, in)
	}
	if err := errors.Join(err, in.close()); err != nil {
		return nil, err
	}
	for _, way := range publishings[1:] {
		if err := s.fresh(ctx, r, way); err != nil {
			return nil, err
		}
	}
	return r, s.publishReferences(ctx, r, full)
}

// full fills the exchange and then measures each way. It gives the rows with the
// records already in.
func (s *settings) full(ctx context.Context, r *Report, p *publisher) (map[string]Row, error) {
	row, err := p.run(ctx, thousands, fmt.Sprintf("first %d", s.records), Limit{Records: s.records})
	if err != nil {
		return nil, err
	}
	r.add(row)
	full := map[string]Row{}
	for _, way := range publishings {
		row, err := p.run(ctx, way, "", Limit{Time: s.duration})
		if err != nil {
			return nil, err
		}
		full[way.name] = r.add(row)
	}
	return full, nil
}

// fresh measures one way on an exchange that is empty.
func (s *settings) fresh(ctx context.Context, r *Report, way publishing) (err error) {
	in, err := install(ctx, s.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.close()) }()
	p := &publisher{installation: in}
	row, err := p.run(ctx, way, "empty exchange", Limit{Records: s.records, Time: s.duration})
	if err == nil {
		r.add(row)
	}
	return err
}

// publishReferences measures what publishing is compared with.
func (s *settings) publishReferences(ctx context.Context, r *Report, full map[string]Row) error {
	message, err := proto.Marshal(certificate(0))
	if err != nil {
		return err
	}
	limit := Limit{Time: s.duration}
	always, atomic, err := s.rawAlways(ctx, r, message)
	if err != nil {
		return err
	}
	byDefault, err := s.rawDefault(ctx, r, message)
	if err != nil {
		return err
	}
	bare, err := s.bareEcho(ctx, "gRPC echo over mutual TLS, 64 callers, 8 connections", limit)
	if err != nil {
		return err
	}
	r.reference(bare)
	r.compare(full[allCallers.name], always)
	r.compare(full[plainCalls.name], always)
	r.compare(full[plainCalls.name], bare)
	r.compare(full[thousands.name], atomic)
	r.compare(full[hundreds.name], atomic)
	r.compare(full[allCallers.name], byDefault)
	return nil
}
