package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of an atomic batch publish (NATS ADR-50).
const (
	batchID       = "Nats-Batch-Id"
	batchSequence = "Nats-Batch-Sequence"
	batchCommit   = "Nats-Batch-Commit"
)

// rawStream is a stream of an embedded server of its own: JetStream without
// anything of the exchange.
type rawStream struct {
	dir    string
	server *server.Server
	conn   *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
}

const rawSubject = "raw.record"

// openRaw starts a server on the disk of dir. With always, a publish is answered
// when it is on disk; without, the server's default sync (every two minutes).
func openRaw(ctx context.Context, dir string, always bool) (_ *rawStream, err error) {
	r := &rawStream{}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if r.dir, err = os.MkdirTemp(dir, "jetstream-*"); err != nil {
		return nil, err
	}
	r.server, err = server.NewServer(&server.Options{
		ServerName: "raw", DontListen: true, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: r.dir, SyncAlways: always, JetStreamMaxStore: 64 << 30,
	})
	if err != nil {
		return nil, err
	}
	go r.server.Start()
	if !r.server.ReadyForConnections(10 * time.Second) {
		return nil, errors.New("the embedded NATS server did not start")
	}
	if r.conn, err = nats.Connect("", nats.InProcessServer(r.server)); err != nil {
		return nil, err
	}
	if r.js, err = jetstream.New(r.conn); err != nil {
		return nil, err
	}
	r.stream, err = r.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: "RAW", Subjects: []string{"raw.>"}, Storage: jetstream.FileStorage, AllowAtomicPublish: true,
	})
	return r, err
}

func (r *rawStream) close() error {
	if r.conn != nil {
		r.conn.Close()
	}
	if r.server != nil {
		r.server.Shutdown()
		r.server.WaitForShutdown()
	}
	return os.RemoveAll(r.dir)
}

// publish lets callers publish messages, each waiting for its answer.
func (r *rawStream) publish(ctx context.Context, name string, callers int, message []byte, limit Limit) (Row, error) {
	return load(ctx, name, callers, 1, limit, func(ctx context.Context, _, _ int) error {
		_, err := r.js.Publish(ctx, rawSubject, message)
		return err
	})
}

// batches lets callers publish atomic batches, each waiting for the answer to
// its last message.
func (r *rawStream) batches(ctx context.Context, name string, callers, batch int, message []byte, limit Limit) (Row, error) {
	return load(ctx, name, callers, batch, limit, func(ctx context.Context, _, n int) error {
		id := "batch-" + strconv.Itoa(n)
		for i := 1; i < batch; i++ {
			if err := r.conn.PublishMsg(batchMessage(id, i, message)); err != nil {
				return err
			}
		}
		last := batchMessage(id, batch, message)
		last.Header[batchCommit] = []string{"1"}
		_, err := r.js.PublishMsg(ctx, last)
		return err
	})
}

func batchMessage(id string, n int, data []byte) *nats.Msg {
	return &nats.Msg{Subject: rawSubject, Data: data, Header: nats.Header{batchID: {id}, batchSequence: {strconv.Itoa(n)}}}
}

// consume reads what is in the stream with a durable consumer, acknowledging
// each message, until count are read.
func (r *rawStream) consume(ctx context.Context, name string, count int) (Row, error) {
	consumer, err := r.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "all", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: -1})
	if err != nil {
		return Row{}, err
	}
	done := make(chan error, 1)
	m := newMeter()
	consuming, err := consumer.Consume(func(msg jetstream.Msg) {
		err := msg.Ack()
		m.records.Add(1)
		if err != nil || m.records.Load() == int64(count) {
			select {
			case done <- err:
			default:
			}
		}
	})
	if err != nil {
		return Row{}, err
	}
	defer consuming.Stop()
	select {
	case err := <-done:
		return m.row(name), err
	case <-ctx.Done():
		return m.row(name), ctx.Err()
	case <-time.After(2 * time.Minute):
		return m.row(name), fmt.Errorf("of %d messages %d were delivered", count, m.records.Load())
	}
}
