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
	errDamaged = fmt.Errorf("%w: it misses or garbled a message", errDiffers)
)

// heal makes the stream a true copy of a prefix of the journal and gives the
// ledger index to relay from.
func (p *partition) heal(ctx context.Context, js jetstream.JetStream) (next uint64, err error) {
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
	if err := p.adjust(ctx, js, info.Config); err != nil {
		return 0, err
	}
	if p.damaged.Load() {
		err = errDamaged
	} else if next, err = p.verify(ctx, stream, info); err == nil {
		p.stream.Store(&streamAt{stream: stream, first: info.State.FirstSeq})
		return next, nil
	}
	if !errors.Is(err, errDiffers) {
		return 0, err
	}
	incarnation, _ := strconv.Atoi(info.Config.Metadata[metaIncarnation])
	p.bus.Log.Warn("the stream is made anew from the journal", "partition", p.number, "cause", err)
	// A crash behind the deletion leaves no stream: the next start creates it.
	if err := js.DeleteStream(ctx, p.name()); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, err
	}
	p.damaged.Store(false)
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
	first, next, err := p.beginning(ctx, p.bus.Retention)
	if err != nil {
		return 0, err
	}
	config := jetstream.StreamConfig{
		Name: p.name(), Subjects: []string{p.prefix() + ">"},
		Description: "a copy of the exchange's journal; written by its relay only",
		Storage:     jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		FirstSeq: first, DenyDelete: false, AllowDirect: true,
		Metadata: map[string]string{
			metaOrigin: p.bus.Journal.Head().Origin, metaIncarnation: strconv.Itoa(incarnation),
		},
	}
	p.limit(&config)
	stream, err := js.CreateStream(ctx, config)
	if err != nil {
		return 0, p.refused(err)
	}
	p.stream.Store(&streamAt{stream: stream, first: first})
	return next, nil
}

// limit sets the limits that the settings give.
func (p *partition) limit(c *jetstream.StreamConfig) {
	c.MaxAge, c.MaxBytes, c.Replicas = p.bus.Retention, p.bus.MaxBytes, p.bus.Replicas
}

// adjust gives a stream of before the limits of now.
func (p *partition) adjust(ctx context.Context, js jetstream.JetStream, was jetstream.StreamConfig) error {
	now := was
	if p.limit(&now); now.MaxAge == was.MaxAge && now.MaxBytes == was.MaxBytes && now.Replicas == was.Replicas {
		return nil
	}
	if _, err := js.UpdateStream(ctx, now); err != nil {
		return p.refused(err)
	}
	return nil
}

// JetStream's codes for a stream that it has no room for: on the server, in the
// account.
const (
	noStorage        jetstream.ErrorCode = 10047
	noAccountStorage jetstream.ErrorCode = 10002
)

// refused says what to do about a stream that JetStream does not make.
func (p *partition) refused(err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == noStorage || api.ErrorCode == noAccountStorage) {
		return fmt.Errorf("stream %s: NATS cannot set %d MiB aside for it; give NATS more (max_file_store) or the stream less (huitong serve --stream-bytes): %w",
			p.name(), p.bus.MaxBytes>>20, err)
	}
	return fmt.Errorf("stream %s: %w", p.name(), err)
}

// beginning gives the sequence and the ledger index of the first record of the
// partition that is no older than an age; of the next one to come if there is
// none.
func (p *partition) beginning(ctx context.Context, age time.Duration) (sequence, index uint64, err error) {
	head, err := journal.ReadHead(ctx, p.bus.DB.Reader())
	if err != nil {
		return 0, 0, err
	}
	index, err = journal.IndexAt(ctx, p.bus.DB.Reader(), head.Size, time.Now().Add(-age).UnixMicro())
	if err != nil {
		return 0, 0, err
	}
	for from := index; ; {
		rows, err := journal.After(ctx, p.bus.DB.Reader(), from, beginningPage)
		if err != nil {
			return 0, 0, err
		}
		for i := range rows {
			published, err := publication(&rows[i])
			if err != nil {
				return 0, 0, err
			}
			if published.Partition == p.number {
				return rows[i].Sequence, rows[i].Index, nil
			}
		}
		if len(rows) < beginningPage {
			return head.Sequences[p.number] + 1, index, nil
		}
		from = rows[len(rows)-1].Index + 1
	}
}

// beginningPage is how many records are read at once to find the first of a
// partition.
const beginningPage = 32

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
	first, index, err := p.beginning(ctx, p.bus.Retention-p.ageSlack())
	if err != nil {
		return 0, err
	}
	if s.Msgs == 0 {
		// All of it grew too old, or nothing was relayed yet.
		if s.LastSeq+1 == first {
			return index, nil
		}
		return 0, fmt.Errorf("%w: it is empty at sequence %d", errDiffers, s.LastSeq)
	}
	if err := p.beginsAt(ctx, s, first); err != nil {
		return 0, err
	}
	if span := s.LastSeq - s.FirstSeq + 1; s.Msgs != span {
		if err := p.onlyErased(ctx, s.Deleted, span-s.Msgs); err != nil {
			return 0, err
		}
	}
	return p.sameAt(ctx, stream, s.LastSeq)
}

// ageSlack is how far the clock by which JetStream drops old messages may be
// from the journal's.
func (p *partition) ageSlack() time.Duration { return min(5*time.Minute, p.bus.Retention/10) }

// largestMessage bounds a message.
const largestMessage = 8 << 20

// beginsAt checks that a stream which is not full by size has all records that
// are recent enough, but for erased ones.
func (p *partition) beginsAt(ctx context.Context, s jetstream.StreamState, first uint64) error {
	if s.Bytes+largestMessage > uint64(p.bus.MaxBytes) {
		return nil
	}
	for ; first < s.FirstSeq; first++ {
		if _, erased, err := journal.ErasedAt(ctx, p.bus.DB.Reader(), p.number, first); err != nil {
			return err
		} else if !erased {
			return fmt.Errorf("%w: it begins at %d, behind record %d", errDiffers, s.FirstSeq, first)
		}
	}
	return nil
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
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		index, erased, err := journal.ErasedAt(ctx, p.bus.DB.Reader(), p.number, sequence)
		if err == nil && !erased {
			err = fmt.Errorf("%w: message %d is missing", errDiffers, sequence)
		}
		return index + 1, err
	}
	if err != nil {
		return 0, fmt.Errorf("message %d: %w", sequence, err)
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

// examine looks at one message that a reader complains of, 0 for none in
// particular. Its error asks for the whole comparison.
func (p *partition) examine(ctx context.Context, sequence uint64) error {
	at := p.stream.Load()
	switch {
	case p.damaged.Load():
		return errDamaged
	case sequence == 0 || at == nil:
		return errors.New("the stream is compared with the journal")
	}
	info, err := at.stream.Info(ctx)
	if err != nil {
		return err
	}
	if sequence < info.State.FirstSeq || sequence > info.State.LastSeq {
		return nil
	}
	_, err = p.sameAt(ctx, at.stream, sequence)
	if errors.Is(err, errDiffers) {
		p.damaged.Store(true)
	}
	return err
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
