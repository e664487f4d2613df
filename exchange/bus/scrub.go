package bus

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/huitong-bus/huitong/exchange/journal"
)

// scrubWait is how long the scrub waits for a message before it asks whether
// that is missing.
const scrubWait = 5 * time.Second

// scrub reads the whole stream once after each start: the server checks each
// message's sum as it reads, and drops what is damaged, which its own counts do
// not show; and a message that names no entry, or one out of order, is not the
// relay's.
func (p *partition) scrub(ctx context.Context) {
	at := p.stream.Load()
	if at == nil {
		return
	}
	missing, err := p.missing(ctx, at.stream)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		p.bus.Log.Warn("the stream could not be read through", "partition", p.number, "error", err)
	case missing != 0:
		p.bus.Log.Warn("a message of the stream is damaged", "partition", p.number, "sequence", missing)
		p.damaged.Store(true)
		p.distrust(0)
	}
}

// missing reads a stream through to what is its end now and gives the first
// sequence that it should give and does not; 0 if there is none.
func (p *partition) missing(ctx context.Context, stream jetstream.Stream) (uint64, error) {
	info, err := stream.Info(ctx)
	if err != nil || info.State.Msgs == 0 {
		return 0, err
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverAllPolicy, HeadersOnly: true,
	})
	if err != nil {
		return 0, err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return 0, err
	}
	defer messages.Stop()
	entry := uint64(0) // of the message before, plus 1
	for expected := info.State.FirstSeq; expected <= info.State.LastSeq; {
		next, index, err := nextMessage(ctx, messages)
		if err != nil {
			return 0, err
		}
		if next == 0 {
			// Nothing more comes, though there should be.
			next = info.State.LastSeq + 1
		}
		for ; expected < next; expected++ {
			if good, err := p.mayMiss(ctx, stream, expected); err != nil || !good {
				return expected, err
			}
		}
		if next <= info.State.LastSeq && index < entry {
			return next, nil
		}
		expected, entry = next+1, index+1
	}
	return 0, nil
}

// nextMessage gives the sequence of the next message and the entry it names; 0
// if none comes.
func nextMessage(ctx context.Context, messages jetstream.MessagesContext) (sequence, index uint64, err error) {
	wait, cancel := context.WithTimeout(ctx, scrubWait)
	defer cancel()
	m, err := messages.Next(jetstream.NextContext(wait))
	if ctx.Err() == nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	meta, err := m.Metadata()
	if err != nil {
		return 0, 0, err
	}
	// What names no entry is none of ours: 0 is before every other.
	index, _ = strconv.ParseUint(m.Headers().Get(headerIndex), 10, 63)
	return meta.Sequence.Stream, index, nil
}

// mayMiss says whether the stream rightly has no message at a sequence: it was
// erased, or grew too old in the meantime.
func (p *partition) mayMiss(ctx context.Context, stream jetstream.Stream, sequence uint64) (bool, error) {
	if _, erased, err := journal.ErasedAt(ctx, p.bus.DB.Reader(), p.number, sequence); err != nil || erased {
		return erased, err
	}
	now, err := stream.Info(ctx)
	return err == nil && sequence < now.State.FirstSeq, err
}
