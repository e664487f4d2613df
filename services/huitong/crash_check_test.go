package main_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/services/huitong/node"
)

// check checks everything that the load was promised, after the end.
func (c *city) check(l *load) {
	c.t.Helper()
	c.relayRest()
	db, err := store.Open(c.t.Context(), c.database)
	must(c.t, err)
	defer db.Close()
	leaves := c.leaves(db)
	c.checkReceipts(l, leaves)
	c.checkReleases(l, leaves)
	c.checkStream(db)
	d, err := identity.Load(c.dir)
	must(c.t, err)
	report, err := inspect.Check(c.t.Context(), db, d.Keyring, inspect.CheckOptions{Index: true})
	must(c.t, err)
	if report.Wrong != nil {
		c.t.Fatal(report.Wrong)
	}
	c.t.Logf("%d entries, %d publications, %d deliveries, %d acknowledgements checked", report.Entries, report.Publications, len(l.deliveries), report.Acknowledgements)
}

// relayRest opens the exchange once more and lets it relay what it had not yet.
func (c *city) relayRest() {
	c.t.Helper()
	config := node.Config{Dir: c.dir, Database: c.database, Listen: "127.0.0.1:0"}
	if c.nats != nil {
		config.NATS = c.nats.ClientURL()
	}
	n, err := node.Open(c.t.Context(), config)
	must(c.t, err)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !n.Bus.Ready() || n.Bus.Relayed(0) < n.Journal.Head().Size; <-tick.C {
		if time.Now().After(deadline) {
			c.t.Fatalf("relayed to %d of %d", n.Bus.Relayed(0), n.Journal.Head().Size)
		}
	}
	must(c.t, n.Close(c.t.Context()))
}

func (c *city) leaves(db *store.DB) (leaves [][]byte) {
	c.t.Helper()
	rows, err := db.Reader().QueryContext(c.t.Context(), "SELECT leaf FROM ledger ORDER BY idx")
	must(c.t, err)
	defer rows.Close()
	for rows.Next() {
		var leaf []byte
		must(c.t, rows.Scan(&leaf))
		leaves = append(leaves, leaf)
	}
	must(c.t, rows.Err())
	return leaves
}

// checkReceipts: each receipt's entry stands where it says, and there is no
// publication that nobody holds a receipt of, or two do.
func (c *city) checkReceipts(l *load, leaves [][]byte) {
	c.t.Helper()
	held := map[uint64]bool{}
	for _, r := range l.receipts {
		if r.Index >= uint64(len(leaves)) || !bytes.Equal(leaves[r.Index], r.Leaf) {
			c.t.Fatalf("the acknowledged entry %d is not in the ledger", r.Index)
		}
		if held[r.Index] {
			c.t.Fatalf("two records were acknowledged by entry %d", r.Index)
		}
		held[r.Index] = true
	}
	for i, leaf := range leaves {
		if entryOf(c, leaf).GetPublished() != nil && !held[uint64(i)] {
			c.t.Fatalf("entry %d is a record that was published once more than it was acknowledged", i)
		}
	}
}

// checkReleases: each delivery has its release entry in the ledger; all records
// were delivered; and none after the entry by which its position was settled.
func (c *city) checkReleases(l *load, leaves [][]byte) {
	c.t.Helper()
	delivered := map[uint64]bool{}
	for _, d := range l.deliveries {
		r := d.release
		if r.Index >= uint64(len(leaves)) || !bytes.Equal(leaves[r.Index], r.Leaf) || entryOf(c, r.Leaf).GetReleased() == nil {
			c.t.Fatalf("sequence %d was delivered by entry %d, which is no release of the ledger", d.sequence, r.Index)
		}
		delivered[d.sequence] = true
	}
	for _, r := range l.receipts {
		if s := publishedIn(c.t, r.Leaf).Sequence; !delivered[s] {
			c.t.Fatalf("sequence %d was never delivered", s)
		}
	}
	for i, leaf := range leaves {
		received := entryOf(c, leaf).GetReceived()
		if received == nil {
			continue
		}
		for _, d := range l.deliveries {
			if d.release.Index > uint64(i) && d.sequence <= received.Floor {
				c.t.Fatalf("entry %d released sequence %d again; entry %d says that all up to %d is settled", d.release.Index, d.sequence, i, received.Floor)
			}
		}
	}
}

func entryOf(c *city, leaf []byte) *ledgerv1.LedgerEntry {
	c.t.Helper()
	e := &ledgerv1.LedgerEntry{}
	must(c.t, proto.Unmarshal(leaf, e))
	return e
}

// checkStream reads the stream from NATS, past all of the exchange's own code,
// and compares it with the journal's rows.
func (c *city) checkStream(db *store.DB) {
	c.t.Helper()
	ctx := c.t.Context()
	rows, err := journal.After(ctx, db.Reader(), 0, 1<<20)
	must(c.t, err)
	if c.nats == nil {
		s, err := server.NewServer(&server.Options{
			DontListen: true, JetStream: true, StoreDir: filepath.Join(c.dir, "jetstream"), NoSigs: true, NoLog: true,
			MaxPayload: 8 << 20, JetStreamMaxStore: 1 << 40, JetStreamMaxMemory: 64 << 20,
		})
		must(c.t, err)
		go s.Start()
		if !s.ReadyForConnections(patience) {
			c.t.Fatal("NATS does not come up")
		}
		defer func() { s.Shutdown(); s.WaitForShutdown() }()
		c.nats = s
	}
	conn, err := nats.Connect("", nats.InProcessServer(c.nats))
	must(c.t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	must(c.t, err)
	stream, err := js.Stream(ctx, "HT_RECORDS_0")
	must(c.t, err)
	if state := stream.CachedInfo().State; state.Msgs != uint64(len(rows)) || state.FirstSeq != 1 || state.LastSeq != uint64(len(rows)) {
		c.t.Fatalf("the stream has %d messages from %d to %d, the journal %d records", state.Msgs, state.FirstSeq, state.LastSeq, len(rows))
	}
	for i := range rows {
		m, err := stream.GetMsg(ctx, uint64(i)+1)
		must(c.t, err)
		r := &rows[i]
		if r.Sequence != m.Sequence || m.Header.Get("Huitong-Index") != strconv.FormatUint(r.Index, 10) || !bytes.Equal(m.Data, message(r)) {
			c.t.Fatal(fmt.Errorf("message %d is not the record of entry %d", m.Sequence, r.Index))
		}
	}
}

// message is a record as the stream holds it.
func message(r *journal.Row) []byte {
	b := append(binary.BigEndian.AppendUint16(nil, uint16(len(r.KeyToken))), r.KeyToken...)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(r.Leaf))), r.Leaf...)
	return append(b, r.Body...)
}
