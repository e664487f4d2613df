package bus

import (
	"context"
	"strconv"
	"strings"
	"time"

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
	// clear is a sequence up to which the topic has nothing behind last.
	clear uint64
	// asked is the partition's last sequence when the journal was last asked
	// whether the feed owes something.
	asked uint64
	feed  *feed
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
			if ok {
				return rows, nil
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			r.drop()
		}
		at := r.partition.stream.Load()
		tried := at != nil && r.reaches(at)
		if tried && r.openFeed(ctx, at) {
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
		if at != nil && !tried {
			// What the stream begins behind is none of this topic.
			r.hole, r.clear = 0, at.first-1
			continue
		}
		if err := r.wait(ctx, changed, tried); err != nil {
			return nil, err
		}
	}
}

// wait waits until there may be something to read: from the journal, or from a
// stream that comes, or that is tried again.
func (r *Reader) wait(ctx context.Context, changed <-chan struct{}, tried bool) error {
	ready := r.partition.ready()
	var later <-chan time.Time
	if tried {
		// The stream is there and gave no consumer: it is asked again later.
		ready, later = nil, time.After(retryDelay)
	}
	select {
	case <-changed:
	case <-ready:
	case <-later:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// reaches says whether the stream holds what comes next.
func (r *Reader) reaches(at *streamAt) bool {
	return max(r.last, r.clear)+1 >= at.first && r.last >= r.hole
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

// openFeed consumes from the stream.
func (r *Reader) openFeed(ctx context.Context, at *streamAt) bool {
	own := r.partition.prefix() + r.topic + "."
	consumer, err := at.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: filter(ctx, at.stream, own+"*"),
		DeliverPolicy:  jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(r.last, r.clear) + 1,
	})
	if err != nil {
		return false
	}
	f := &feed{messages: make(chan jetstream.Msg, feedBuffer), stop: make(chan struct{}), broken: make(chan struct{}, 1)}
	f.consume, err = consumer.Consume(func(m jetstream.Msg) {
		if bucket, ok := strings.CutPrefix(m.Subject(), own); !ok || strings.Contains(bucket, ".") {
			return // another topic's
		}
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

// filter gives the subjects to ask a stream for: those of one topic, or all where
// the topic is half of the stream or more. For each message of a filtered
// consumer JetStream looks at every subject of a block, which takes longer than
// reading a message.
func filter(ctx context.Context, stream jetstream.Stream, own string) []string {
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(own))
	if err != nil {
		return []string{own}
	}
	messages := uint64(0)
	for _, n := range info.State.Subjects {
		messages += n
	}
	if 2*messages >= info.State.Msgs {
		return nil
	}
	return []string{own}
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
	m, rows := r.await(ctx, max)
	if m == nil {
		return rows, len(rows) > 0
	}
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

// idleAfter is how long a silent feed is believed.
const idleAfter = 2 * time.Second

// await waits for a message; nil if the feed cannot be trusted to go on, with
// what the journal has that the feed did not give.
func (r *Reader) await(ctx context.Context, max int) (jetstream.Msg, []journal.Row) {
	idle := time.NewTimer(idleAfter)
	defer idle.Stop()
	for {
		select {
		case m := <-r.feed.messages:
			return m, nil
		case <-r.feed.broken:
			return nil, nil
		case <-r.partition.gone():
			return nil, nil
		case <-ctx.Done():
			return nil, nil
		case <-idle.C:
		}
		// The stream's last message may be gone, which no later one shows, or a
		// relay elsewhere may have died.
		if rows := r.overdue(ctx, max); len(rows) > 0 {
			r.drop()
			return nil, rows
		}
		idle.Reset(idleAfter)
	}
}

// overdue reads what the journal has behind the last record read, if the
// partition has grown since this was last asked.
func (r *Reader) overdue(ctx context.Context, max int) []journal.Row {
	head := r.bus.Journal.Head().Sequences[r.partition.number]
	if head <= r.asked {
		return nil
	}
	rows, err := journal.TopicAfter(ctx, r.bus.DB.Reader(), r.number, r.last, min(max, readPage))
	if err != nil {
		return nil
	}
	r.asked = head
	if len(rows) > 0 {
		r.partition.distrust(rows[0].Sequence)
		r.last = rows[len(rows)-1].Sequence
	}
	return rows
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
		r.partition.distrust(row.Sequence)
		return row, false
	}
	row.Index = index
	if row.Sequence > r.last && previous > r.last {
		// The journal has what is missing. Erased messages and old ones leave
		// such a gap too.
		r.hole = previous
		r.partition.distrust(previous)
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
		r.partition.distrust(row.Sequence)
		return row, false
	}
	return row, true
}
