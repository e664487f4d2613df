package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// partition keeps one stream equal to its part of the journal.
type partition struct {
	bus    *Bus
	number uint32
	// stream is there while the stream is known to be good.
	stream watched[streamAt]
	// relayed is the ledger index up to which the stream holds everything.
	relayed atomic.Uint64
	// suspect asks for a check now: a reader met something wrong at a sequence,
	// or at none in particular.
	suspect chan uint64
	// damaged says that the stream misses or garbled a message, which its own
	// counts do not show: it is to be made anew.
	damaged atomic.Bool
	// previous is the last sequence of each topic in the stream.
	previous map[string]uint64
	// warned is the last trouble that was logged, and when.
	warned   string
	warnedAt time.Time
}

// streamAt is a good stream and the connection it is reached by.
type streamAt struct {
	stream jetstream.Stream
	first  uint64
}

func newPartition(b *Bus, n uint32) *partition {
	return &partition{bus: b, number: n, suspect: make(chan uint64, 1), previous: map[string]uint64{}}
}

// ready gives a channel that is closed once the stream is there.
func (p *partition) ready() <-chan struct{} { return p.stream.set() }

// gone gives a channel that is closed once the stream is not to be used.
func (p *partition) gone() <-chan struct{} { return p.stream.unset() }

func (p *partition) name() string { return "HT_RECORDS_" + strconv.Itoa(int(p.number)) }

func (p *partition) prefix() string { return "ht.rec." + strconv.Itoa(int(p.number)) + "." }

// distrust asks for a check of the stream's message at a sequence; of the stream
// as a whole if that is 0, which stands in for the message that waits to be looked
// at: that one may be right, or before the stream's first.
func (p *partition) distrust(sequence uint64) {
	for {
		select {
		case p.suspect <- sequence:
			return
		default:
		}
		if sequence != 0 {
			return // its reader complains again
		}
		select {
		case <-p.suspect:
		default:
		}
	}
}

// run holds the partition's lease, heals its stream and relays, until ctx ends.
func (p *partition) run(ctx context.Context, js jetstream.JetStream) {
	lease := newLease(p)
	defer lease.release()
	for ctx.Err() == nil {
		held, err := lease.take(ctx)
		if err == nil && held {
			err = p.serve(ctx, js, lease)
		} else if err == nil {
			err = p.follow(ctx, js, lease)
		}
		p.stream.Store(nil)
		if err != nil && ctx.Err() == nil {
			p.warn(err)
		}
		if !pause(ctx, retryDelay) {
			return
		}
	}
}

// warn logs what stops the relay: at once where it is something new, and once a
// minute where it goes on. Until it is mended readers read the journal.
func (p *partition) warn(err error) {
	if text := err.Error(); text != p.warned || time.Since(p.warnedAt) >= time.Minute {
		p.warned, p.warnedAt = text, time.Now()
		p.bus.Log.Warn("relay", "partition", p.number, "error", err)
	}
}

// checkEvery is how often the stream is compared with the journal.
const checkEvery = time.Minute

var errLeaseLost = errors.New("another process relays this partition now")

// serve heals the stream and relays until something fails or the lease is lost.
func (p *partition) serve(ctx context.Context, js jetstream.JetStream, lease *lease) error {
	next, err := p.heal(ctx, js)
	if err != nil {
		return err
	}
	complaints, err := p.hear(js.Conn())
	if err != nil {
		return err
	}
	defer complaints.Unsubscribe()
	r := &relay{partition: p, js: js, lease: lease, next: next}
	scrub, cancel := context.WithCancel(ctx)
	defer cancel()
	go p.scrub(scrub)
	check := time.NewTicker(checkEvery)
	defer check.Stop()
	for {
		changed := p.bus.Journal.Changed()
		if err := r.catchUp(ctx); err != nil {
			return err
		}
		if err := p.erase(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case sequence := <-p.suspect:
			if err := p.examine(ctx, sequence); err != nil {
				return err
			}
		case <-check.C:
			if err := p.compare(ctx); err != nil {
				return err
			}
		case <-lease.renewal():
			if err := lease.renew(ctx); err != nil {
				return err
			}
		}
	}
}

// follow uses the stream that another process keeps, until the lease is free.
func (p *partition) follow(ctx context.Context, js jetstream.JetStream, lease *lease) error {
	stream, err := js.Stream(ctx, p.name())
	if err != nil {
		return fmt.Errorf("stream of another relay: %w", err)
	}
	if err := p.ours(stream.CachedInfo()); err != nil {
		return err
	}
	p.stream.Store(&streamAt{stream: stream, first: stream.CachedInfo().State.FirstSeq})
	for {
		select {
		case <-ctx.Done():
			return nil
		case sequence := <-p.suspect:
			if sequence == 0 {
				return nil
			}
			// Whoever holds the lease looks at it.
			if err := js.Conn().Publish(p.complaints(), []byte(strconv.FormatUint(sequence, 10))); err != nil {
				return err
			}
		case <-lease.renewal():
			if held, err := lease.take(ctx); err != nil || held {
				return err
			}
		}
	}
}

// complaints is where the readers of other processes say which message looks
// wrong to them.
func (p *partition) complaints() string { return "ht.ctl.suspect." + strconv.Itoa(int(p.number)) }

// hear takes complaints of other processes.
func (p *partition) hear(conn *nats.Conn) (*nats.Subscription, error) {
	return conn.Subscribe(p.complaints(), func(m *nats.Msg) {
		if sequence, err := strconv.ParseUint(string(m.Data), 10, 63); err == nil && sequence > 0 {
			p.distrust(sequence)
		}
	})
}
