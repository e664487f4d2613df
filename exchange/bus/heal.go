package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/huitong-bus/huitong/exchange/journal"
)

// Stream metadata.
const (
	metaOrigin      = "huitong-origin"
	metaIncarnation = "huitong-incarnation"
)

var (
	errForeign = errors.New("the stream belongs to another ledger; give this exchange a NATS account of its own")
	errDiffers = errors.New("the stream is not a copy of the journal")
)

// heal makes the stream a true copy of a prefix of the journal and gives the
// ledger index to relay from.
func (p *partition) heal(ctx context.Context, js jetstream.JetStream, lease *lease) (next uint64, err error) {
	clear(p.previous)
	stream, err := js.Stream(ctx, p.name())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return p.create(ctx, js, 1)
	}
	if err != nil {
		return 0, err
	}
	info, err := stream.Info(ctx, jetstream.WithDeletedDetails(true))
	if err != nil {
		return 0, err
	}
	if err := p.ours(info); err != nil {
		return 0, err
	}
	next, err = p.verify(ctx, stream, info)
	if err == nil {
		p.stream.Store(&streamAt{stream: stream, first: info.State.FirstSeq})
		return next, nil
	}
	if !errors.Is(err, errDiffers) {
		return 0, err
	}
	incarnation, _ := strconv.Atoi(info.Config.Metadata[metaIncarnation])
	p.bus.Log.Warn("the stream is made anew from the journal", "partition", p.number, "cause", err)
	if err := js.DeleteStream(ctx, p.name()); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, err
	}
	return p.create(ctx, js, incarnation+1)
}

// ours refuses a stream of another ledger: it is not touched.
func (p *partition) ours(info *jetstream.StreamInfo) error {
	if info.Config.Metadata[metaOrigin] != p.bus.Journal.Head().Origin {
		return fmt.Errorf("stream %s: %w", p.name(), errForeign)
	}
	return nil
}

// create makes a stream that begins with the oldest record within the retention.
func (p *partition) create(ctx context.Context, js jetstream.JetStream, incarnation int) (next uint64, err error) {
	first, next, err := p.beginning(ctx)
	if err != nil {
		return 0, err
	}
	config := jetstream.StreamConfig{
		Name: p.name(), Subjects: []string{p.prefix() + ">"},
		Description: "a copy of the exchange's journal; written by its relay only",
		Storage:     jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		MaxAge: p.bus.Retention, MaxBytes: p.bus.MaxBytes, Replicas: p.bus.Replicas,
		FirstSeq: first, DenyDelete: false, AllowDirect: true,
		Metadata: map[string]string{
			metaOrigin: p.bus.Journal.Head().Origin, metaIncarnation: strconv.Itoa(incarnation),
		},
	}
	stream, err := js.CreateStream(ctx, config)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", p.name(), err)
	}
	p.stream.Store(&streamAt{stream: stream, first: first})
	return next, nil
}

// beginning gives the sequence and the ledger index of the first record that the
// stream should hold.
func (p *partition) beginning(ctx context.Context) (sequence, index uint64, err error) {
	since := time.Now().Add(-p.bus.Retention).UnixMicro()
	index, err = journal.IndexAt(ctx, p.bus.DB.Reader(), p.bus.Journal.Head().Size, since)
	if err != nil {
		return 0, 0, err
	}
	from := index
	for {
		rows, err := journal.After(ctx, p.bus.DB.Reader(), from, relayBatch)
		if err != nil {
			return 0, 0, err
		}
		for i := range rows {
			m, sequence, err := p.message(ctx, &rows[i])
			if err != nil {
				return 0, 0, err
			}
			if m != nil {
				clear(p.previous)
				return sequence, rows[i].Index, nil
			}
		}
		if len(rows) < relayBatch {
			// Nothing that recent: the stream begins with what comes next.
			return p.bus.Journal.Head().Sequences[p.number] + 1, index, nil
		}
		from = rows[len(rows)-1].Index + 1
	}
}

// verify compares the stream's ends and its count with the journal, and gives
// the ledger index to go on from. errDiffers asks for a new stream.
func (p *partition) verify(ctx context.Context, stream jetstream.Stream, info *jetstream.StreamInfo) (next uint64, err error) {
	s := info.State
	// The head may be behind what another process wrote a moment ago; the
	// journal's rows decide.
	head, err := journal.ReadHead(ctx, p.bus.DB.Reader())
	if err != nil {
		return 0, err
	}
	if s.LastSeq > head.Sequences[p.number] {
		return 0, fmt.Errorf("%w: it is ahead, at %d of %d", errDiffers, s.LastSeq, head.Sequences[p.number])
	}
	if s.Msgs == 0 {
		if s.LastSeq == head.Sequences[p.number] && s.LastSeq == 0 {
			return 0, nil
		}
		return 0, fmt.Errorf("%w: it is empty at sequence %d", errDiffers, s.LastSeq)
	}
	if span := s.LastSeq - s.FirstSeq + 1; s.Msgs != span {
		if err := p.onlyErased(ctx, s.Deleted, span-s.Msgs); err != nil {
			return 0, err
		}
	}
	return p.sameAt(ctx, stream, s.LastSeq)
}

// onlyErased checks that the messages missing inside the stream are those of
// erased records.
func (p *partition) onlyErased(ctx context.Context, deleted []uint64, missing uint64) error {
	if uint64(len(deleted)) != missing {
		return fmt.Errorf("%w: %d messages are missing", errDiffers, missing)
	}
	for _, sequence := range deleted {
		_, erased, err := journal.ErasedAt(ctx, p.bus.DB.Reader(), p.number, sequence)
		if err != nil {
			return err
		}
		if !erased {
			return fmt.Errorf("%w: message %d is missing", errDiffers, sequence)
		}
	}
	return nil
}

// sameAt compares one message with its row and gives the ledger index behind it.
func (p *partition) sameAt(ctx context.Context, stream jetstream.Stream, sequence uint64) (next uint64, err error) {
	m, err := stream.GetMsg(ctx, sequence)
	if err != nil {
		return 0, fmt.Errorf("%w: message %d cannot be read: %w", errDiffers, sequence, err)
	}
	index, err := strconv.ParseUint(m.Header.Get(headerIndex), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: message %d names no entry", errDiffers, sequence)
	}
	row, err := journal.ByIndex(ctx, p.bus.DB.Reader(), index)
	if err != nil {
		return 0, err
	}
	if row == nil || row.Sequence != sequence || row.Body != nil && !bytes.Equal(pack(row), m.Data) {
		return 0, fmt.Errorf("%w: message %d is not of entry %d", errDiffers, sequence, index)
	}
	return index + 1, nil
}

// compare checks the running stream once more.
func (p *partition) compare(ctx context.Context) error {
	at := p.stream.Load()
	if at == nil {
		return errDiffers
	}
	info, err := at.stream.Info(ctx, jetstream.WithDeletedDetails(true))
	if err != nil {
		return err
	}
	_, err = p.verify(ctx, at.stream, info)
	return err
}

// scrub reads the whole stream once after each start: the server checks each
// message's sum as it reads, and drops what is damaged, which its own counts do
// not show.
func (p *partition) scrub(ctx context.Context) {
	at := p.stream.Load()
	if at == nil {
		return
	}
	info, err := at.stream.Info(ctx)
	if err != nil || info.State.Msgs == 0 {
		return
	}
	consumer, err := at.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverAllPolicy, HeadersOnly: true,
	})
	if err != nil {
		return
	}
	messages, err := consumer.Messages()
	if err != nil {
		return
	}
	defer messages.Stop()
	for expected := info.State.FirstSeq; expected <= info.State.LastSeq; {
		m, err := messages.Next(jetstream.NextMaxWait(10 * time.Second))
		if err != nil || ctx.Err() != nil {
			return
		}
		meta, err := m.Metadata()
		if err != nil {
			return
		}
		for ; expected < meta.Sequence.Stream; expected++ {
			_, erased, err := journal.ErasedAt(ctx, p.bus.DB.Reader(), p.number, expected)
			if err != nil {
				return
			}
			if now, err := at.stream.Info(ctx); err == nil && !erased && expected >= now.State.FirstSeq {
				p.bus.Log.Warn("a message of the stream is damaged", "partition", p.number, "sequence", expected)
				p.damaged(ctx, at)
				return
			}
		}
		expected++
	}
}

// damaged gives the stream up: without its last message it is made anew.
func (p *partition) damaged(ctx context.Context, at *streamAt) {
	if err := at.stream.Purge(ctx); err != nil {
		p.bus.Log.Warn("a damaged stream could not be purged", "partition", p.number, "error", err)
	}
	p.distrust()
}
