package bus

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store/crashpoint"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Headers of a relayed record. None holds personal data.
const (
	// headerIndex is the record's ledger index.
	headerIndex = "Huitong-Index"
	// headerPrevious is the sequence of the topic's record before, so that a
	// reader of one topic notices a missing message.
	headerPrevious = "Huitong-Previous"
	// headerErased stands in place of an erased record's content.
	headerErased = "Huitong-Erased"
)

// relayBatch is how many records are under way to JetStream at once.
const relayBatch = 512

// relay publishes the journal's records of one partition in order.
type relay struct {
	partition *partition
	js        jetstream.JetStream
	lease     *lease
	next      uint64 // ledger index to go on from
}

// catchUp relays everything committed.
func (r *relay) catchUp(ctx context.Context) error {
	j := r.partition.bus.Journal
	for ctx.Err() == nil {
		size := j.Head().Size
		if r.next >= size {
			return nil
		}
		rows, next, ok := j.Tail(r.next, relayBatch)
		if !ok || next == r.next {
			// Too old for the memory of this process, or written by another.
			var err error
			if rows, next, err = r.stored(ctx, size); err != nil {
				return err
			}
		}
		if err := r.publish(ctx, rows); err != nil {
			return err
		}
		r.next = next
		r.partition.relayed.Store(r.next)
		select {
		case <-r.lease.renewal():
			if err := r.lease.renew(ctx); err != nil {
				return err
			}
		default:
		}
	}
	return ctx.Err()
}

// stored reads what follows from the database, and the index to go on from.
func (r *relay) stored(ctx context.Context, size uint64) (rows []journal.Row, next uint64, err error) {
	rows, err = journal.After(ctx, r.partition.bus.DB.Reader(), r.next, relayBatch)
	if err != nil || len(rows) == 0 {
		return nil, size, err
	}
	next = rows[len(rows)-1].Index + 1
	if len(rows) < relayBatch {
		// Rows may have come after size was read.
		next = max(next, size)
	}
	return rows, next, nil
}

// answerWithin bounds the wait for JetStream's answer to a batch.
const answerWithin = 30 * time.Second

// publish sends rows, each expecting the one before as the stream's last, and
// waits for the last one's answer, which stands for all: had one before it been
// refused or lost, so would be every one behind. A crash in between leaves a
// prefix; the next start goes on behind it.
func (r *relay) publish(ctx context.Context, rows []journal.Row) error {
	var last *nats.Msg
	var expected uint64
	for i := range rows {
		m, sequence, err := r.partition.message(ctx, &rows[i])
		if err != nil {
			return err
		}
		if m == nil {
			continue
		}
		m.Header[jetstream.ExpectedLastSeqHeader] = []string{strconv.FormatUint(sequence-1, 10)}
		if last != nil {
			if err := r.js.Conn().PublishMsg(last); err != nil {
				return err
			}
		}
		last, expected = m, sequence
	}
	if last == nil {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	answer, err := r.js.PublishMsg(waiting, last)
	if err != nil {
		return fmt.Errorf("stream %s: %w", r.partition.name(), err)
	}
	if answer.Sequence != expected {
		return fmt.Errorf("stream %s: record %d came to stand at %d", r.partition.name(), expected, answer.Sequence)
	}
	// A crash here leaves records relayed that the relay does not remember: at
	// start it goes on from the stream's own last message.
	crashpoint.Here("bus.after-relay")
	return nil
}

// message makes a record's message; nil if it is of another partition.
func (p *partition) message(ctx context.Context, row *journal.Row) (*nats.Msg, uint64, error) {
	published, err := publication(row)
	if err != nil {
		return nil, 0, err
	}
	if published.Partition != p.number {
		return nil, 0, nil
	}
	previous, err := p.previousOf(ctx, published.Topic, row)
	if err != nil {
		return nil, 0, err
	}
	p.previous[published.Topic] = row.Sequence
	m := &nats.Msg{
		Subject: p.prefix() + published.Topic + "." + strconv.Itoa(int(Bucket(row.KeyToken))),
		Header: nats.Header{
			headerIndex:    {strconv.FormatUint(row.Index, 10)},
			headerPrevious: {strconv.FormatUint(previous, 10)},
		},
	}
	if row.Body == nil {
		m.Header[headerErased] = []string{"1"}
	} else {
		m.Data = pack(row)
	}
	return m, row.Sequence, nil
}

// publication reads a row's leaf.
func publication(row *journal.Row) (*ledgerv1.RecordPublished, error) {
	var entry ledgerv1.LedgerEntry
	if err := proto.Unmarshal(row.Leaf, &entry); err != nil {
		return nil, fmt.Errorf("entry %d: %w", row.Index, err)
	}
	if entry.GetPublished() == nil {
		return nil, fmt.Errorf("entry %d is no publication", row.Index)
	}
	return entry.GetPublished(), nil
}

// maxTopics bounds the memory of previousOf; a topic beyond it is looked up.
const maxTopics = 100_000

// previousOf gives the sequence of the topic's record before row.
func (p *partition) previousOf(ctx context.Context, topic string, row *journal.Row) (uint64, error) {
	if s, ok := p.previous[topic]; ok && s < row.Sequence {
		return s, nil
	}
	if len(p.previous) > maxTopics {
		clear(p.previous)
	}
	return journal.SequenceBefore(ctx, p.bus.DB.Reader(), row.Topic, row.Sequence)
}

// Bucket gives the bucket, 0 to 255, that a record is dealt by: all versions of
// a record are in one.
func Bucket(keyToken []byte) uint8 {
	if len(keyToken) == 0 {
		return 0
	}
	return keyToken[len(keyToken)-1]
}

// Lane gives the lane, of n, that a record is in: lanes are ranges of the buckets.
func Lane(keyToken []byte, n uint32) uint32 { return uint32(Bucket(keyToken)) * n / 256 }

// pack joins key token, leaf and sealed opening as a message's data.
func pack(row *journal.Row) []byte {
	b := make([]byte, 0, 4+len(row.KeyToken)+len(row.Leaf)+len(row.Body))
	b = binary.BigEndian.AppendUint16(b, uint16(len(row.KeyToken)))
	b = append(b, row.KeyToken...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(row.Leaf)))
	b = append(b, row.Leaf...)
	return append(b, row.Body...)
}

// unpack is the inverse of pack; false if the data is not such.
func unpack(data []byte, row *journal.Row) bool {
	part := func() ([]byte, bool) {
		if len(data) < 2 {
			return nil, false
		}
		n := int(binary.BigEndian.Uint16(data)) + 2
		if len(data) < n {
			return nil, false
		}
		p := data[2:n]
		data = data[n:]
		return p, true
	}
	var ok bool
	if row.KeyToken, ok = part(); !ok {
		return false
	}
	if row.Leaf, ok = part(); !ok {
		return false
	}
	row.Body = data
	return len(data) > 0
}
