package bus

import (
	"context"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/huitong-bus/huitong/exchange/journal"
)

// Reader reads one topic's records in stream order: from JetStream where the
// stream has them, from the journal where it does not (yet, any more, or because
// it is damaged). The caller does not notice which.
type Reader struct {
	bus       *Bus
	partition *partition
	topic     string
	number    int64
	// last is the sequence up to which the topic was read.
	last uint64
	// hole is the sequence up to which the stream showed a gap: the journal is
	// read until there.
	hole uint64
	feed *feed
}

// readPage is how many records are read from the journal at once.
const readPage = 256

// Read starts behind a sequence.
func (b *Bus) Read(topic string, partition uint32, after uint64) *Reader {
	return &Reader{bus: b, partition: b.partitions[partition], topic: topic, number: journal.Number(topic), last: after}
}

// Close ends the reading.
func (r *Reader) Close() { r.drop() }

// Last is the sequence that was read last.
func (r *Reader) Last() uint64 { return r.last }

// Next waits for records and gives up to max of them, in order.
func (r *Reader) Next(ctx context.Context, max int) ([]journal.Row, error) {
	for {
		if r.feed != nil {
			rows, ok := r.fromFeed(ctx, max)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if ok {
				return rows, nil
			}
			r.drop()
		}
		if r.openFeed(ctx) {
			continue
		}
		changed := r.bus.Journal.Changed()
		rows, err := journal.TopicAfter(ctx, r.bus.DB.Reader(), r.number, r.last, min(max, readPage))
		if err != nil {
			return nil, err
		}
		if len(rows) > 0 {
			r.last = rows[len(rows)-1].Sequence
			return rows, nil
		}
		select {
		case <-changed:
		case <-r.partition.ready():
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// feed is an ordered consumer of one topic.
type feed struct {
	consume  jetstream.ConsumeContext
	messages chan jetstream.Msg
	stop     chan struct{}
	broken   chan struct{}
}

// feedBuffer is how many messages wait for a slow reader.
const feedBuffer = 512

// feedBytes is how much is asked of JetStream at once.
const feedBytes = 4 << 20

// openFeed consumes from the stream if it holds what comes next.
func (r *Reader) openFeed(ctx context.Context) bool {
	at := r.partition.stream.Load()
	if at == nil || r.last+1 < at.first || r.last < r.hole {
		return false
	}
	consumer, err := at.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{r.partition.prefix() + r.topic + ".*"},
		DeliverPolicy:  jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.last + 1,
	})
	if err != nil {
		return false
	}
	f := &feed{messages: make(chan jetstream.Msg, feedBuffer), stop: make(chan struct{}), broken: make(chan struct{}, 1)}
	f.consume, err = consumer.Consume(func(m jetstream.Msg) {
		select {
		case f.messages <- m:
		case <-f.stop:
		}
	}, jetstream.PullMaxBytes(feedBytes), jetstream.ConsumeErrHandler(func(jetstream.ConsumeContext, error) {
		select {
		case f.broken <- struct{}{}:
		default:
		}
	}))
	if err != nil {
		return false
	}
	r.feed = f
	return true
}

func (r *Reader) drop() {
	if r.feed != nil {
		close(r.feed.stop)
		r.feed.consume.Stop()
		r.feed = nil
	}
}

// fromFeed waits for a message and takes what else is there; false if the feed
// cannot be trusted to go on.
func (r *Reader) fromFeed(ctx context.Context, max int) ([]journal.Row, bool) {
	var m jetstream.Msg
	select {
	case m = <-r.feed.messages:
	case <-r.feed.broken:
		return nil, false
	case <-r.partition.gone():
		return nil, false
	case <-ctx.Done():
		return nil, false
	}
	var rows []journal.Row
	for {
		row, ok := r.row(ctx, m)
		if !ok {
			// What was read before the gap is good; the rest comes anew.
			r.drop()
			return rows, len(rows) > 0
		}
		if row.Sequence > r.last {
			rows = append(rows, row)
			r.last = row.Sequence
		}
		if len(rows) == max {
			return rows, true
		}
		select {
		case m = <-r.feed.messages:
		default:
			return rows, len(rows) > 0
		}
	}
}

// row reads a message; false if messages of the topic are missing before it, or
// it is not what the relay published.
func (r *Reader) row(ctx context.Context, m jetstream.Msg) (journal.Row, bool) {
	row := journal.Row{Topic: r.number}
	meta, err := m.Metadata()
	if err != nil {
		return row, false
	}
	row.Sequence = meta.Sequence.Stream
	header := m.Headers()
	index, err := strconv.ParseUint(header.Get(headerIndex), 10, 63)
	previous, err2 := strconv.ParseUint(header.Get(headerPrevious), 10, 63)
	if err != nil || err2 != nil {
		r.partition.distrust()
		return row, false
	}
	row.Index = index
	if row.Sequence > r.last && previous > r.last {
		// Erased messages leave such a gap too: the journal has their places.
		r.hole = previous
		return row, false
	}
	if header.Get(headerErased) != "" {
		stored, err := journal.ByIndex(ctx, r.bus.DB.Reader(), index)
		if err != nil || stored == nil {
			return row, false
		}
		return *stored, true
	}
	if !unpack(m.Data(), &row) {
		r.partition.distrust()
		return row, false
	}
	return row, true
}
