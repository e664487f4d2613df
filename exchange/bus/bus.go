// Package bus distributes what the journal committed.
//
// A JetStream stream for each partition holds exactly the journal's records of
// that partition: the journal chose each record's stream sequence, and the relay
// publishes it with that expected last sequence. A stream that was lost, cut
// short, holed, or is of another past is made anew from the journal. JetStream
// is never the only copy of anything, and nothing waits for it: a reader takes
// from the journal what the stream cannot give.
package bus

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
)

// Defaults of the settings.
const (
	DefaultRetention = 7 * 24 * time.Hour
	DefaultMaxBytes  = 64 << 30
	// DefaultExternalBytes is for an external NATS, which sets as much aside of
	// what it may store.
	DefaultExternalBytes = 8 << 30
)

// Config is what a bus needs.
type Config struct {
	// URL names an external NATS; empty embeds a server.
	URL string
	// Options of the connection to an external NATS: credentials, TLS.
	Options []nats.Option
	// Dir is where the embedded server keeps its streams.
	Dir string
	// Replicas of each stream; 1 embedded.
	Replicas int
	// Retention and MaxBytes bound a partition's stream; what is older is read
	// from the journal.
	Retention time.Duration
	MaxBytes  int64

	Journal *journal.Journal
	DB      *store.DB
	// Instance names this process among those that share the database; empty
	// where it has the database for itself.
	Instance string
	Log      *slog.Logger
}

// Bus is the running bus.
type Bus struct {
	Config
	partitions []*partition
	stop       context.CancelFunc
	done       sync.WaitGroup

	mu     sync.Mutex
	server *server.Server
	conn   *nats.Conn
}

// Open starts the bus. It does not wait for JetStream, which may have much to
// recover: until a partition's stream is there, readers read the journal.
func Open(c Config) *Bus {
	if c.Retention == 0 {
		c.Retention = DefaultRetention
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
		if c.URL != "" {
			c.MaxBytes = DefaultExternalBytes
		}
	}
	c.Replicas = max(c.Replicas, 1)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	b := &Bus{Config: c, stop: stop}
	for p := range c.Journal.Head().Sequences {
		b.partitions = append(b.partitions, newPartition(b, uint32(p)))
	}
	b.done.Go(func() { b.run(ctx) })
	return b
}

// Close stops the bus. What is not relayed yet is relayed at the next start.
func (b *Bus) Close() {
	b.stop()
	b.done.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != nil {
		b.conn.Close()
	}
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
}

// Ready says whether every partition's stream is there and equals the journal as
// far as it was relayed.
func (b *Bus) Ready() bool {
	for _, p := range b.partitions {
		if p.stream.Load() == nil {
			return false
		}
	}
	return true
}

// Relayed gives the ledger index up to which a partition is relayed.
func (b *Bus) Relayed(partition uint32) uint64 { return b.partitions[partition].relayed.Load() }

const retryDelay = 500 * time.Millisecond

func (b *Bus) run(ctx context.Context) {
	for {
		js, err := b.connect(ctx)
		if err == nil {
			var relays sync.WaitGroup
			for _, p := range b.partitions {
				relays.Go(func() { p.run(ctx, js) })
			}
			relays.Wait()
			return
		}
		b.Log.Warn("NATS is not there yet", "error", err)
		if !pause(ctx, retryDelay) {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// connect starts the embedded server if there is none, and connects.
func (b *Bus) connect(ctx context.Context) (jetstream.JetStream, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	options := append([]nats.Option{
		nats.Name("huitong " + b.Instance), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true),
		// Without a connection readers go to the journal at once, and what is
		// found after it came back is compared first.
		nats.DisconnectErrHandler(func(*nats.Conn, error) { b.interrupted() }),
		nats.ReconnectHandler(func(*nats.Conn) { b.interrupted() }),
	}, b.Options...)
	url := b.URL
	if url == "" {
		if err := b.startServer(ctx); err != nil {
			return nil, err
		}
		options = append(options, nats.InProcessServer(b.server))
	}
	if b.conn == nil {
		conn, err := nats.Connect(url, options...)
		if err != nil {
			return nil, err
		}
		b.conn = conn
	}
	return jetstream.New(b.conn)
}

// interrupted gives up every stream until it was compared with the journal.
func (b *Bus) interrupted() {
	for _, p := range b.partitions {
		p.stream.Store(nil)
		p.distrust(0)
	}
}

// startServer runs the embedded server. Nobody but this process reaches it: it
// listens on no port.
func (b *Bus) startServer(ctx context.Context) error {
	if b.server != nil {
		return nil
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "huitong", DontListen: true, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: b.Dir, JetStreamMaxStore: b.MaxBytes * int64(len(b.partitions)) * 2,
		JetStreamMaxMemory: 64 << 20, MaxPayload: 8 << 20,
	})
	if err != nil {
		return fmt.Errorf("embedded NATS: %w", err)
	}
	go s.Start()
	for !s.ReadyForConnections(100 * time.Millisecond) {
		if ctx.Err() != nil {
			s.Shutdown()
			return ctx.Err()
		}
	}
	b.server = s
	return nil
}
