package main_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/huitong-bus/huitong/exchange/erasure"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// forgetful is an exchange in a directory, with a department that publishes.
type forgetful struct {
	*testing.T
	dir      string
	database string
	people   []*recordsv1.Person
	x        *nodetest.Exchange
	p        *sdk.Publisher
	// systems counts those that were enrolled.
	systems int
}

func newForgetful(t *testing.T) *forgetful {
	f := &forgetful{T: t, dir: t.TempDir(), database: storetest.URL(t), people: sample.NewCity(7, 40).Persons()}
	var err error
	f.x, err = nodetest.Open(t.Context(), f.dir, node.Config{Database: f.database})
	must(t, err)
	must(t, f.x.CreateTopic(t.Context(), &cataloguev1.Topic{
		Name: "person", Title: "人口", Provider: f.register(), Contract: "huitong.records.v1.Person",
		SharingClass:  cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL,
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
	}))
	for range 2 {
		_, err = sdk.For[*recordsv1.Person](f.p, "person").PublishBatch(t.Context(), f.people)
		must(t, err)
	}
	return f
}

func (f *forgetful) register() string {
	f.systems++
	f.p = f.x.Join(f.T, sample.PublicSecurity, fmt.Sprint("residents-", f.systems)).Publisher(sdk.PublisherConfig{})
	return sample.PublicSecurity.Code
}

func (f *forgetful) close() {
	f.Helper()
	must(f.T, f.p.Close(f.Context()))
	must(f.T, f.x.Close())
}

func (f *forgetful) reopen() {
	f.Helper()
	var err error
	f.x, err = nodetest.Reopen(f.Context(), f.dir, node.Config{Database: f.database})
	must(f.T, err)
}

// within waits until something comes about.
func (f *forgetful) within(what string, ok func() bool) {
	f.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			f.Fatal("not within a minute: ", what)
		}
	}
}

// listed waits until so many erasures are written down.
func (f *forgetful) listed(n int) {
	f.Helper()
	f.within("the erasures are written down", func() bool {
		lines, err := erasure.Read(filepath.Join(f.dir, erasure.FileName))
		must(f.T, err)
		return len(lines) == n+1 // and the list's name
	})
}

// check runs fsck on the closed exchange and gives how many records it holds, and
// how many were erased.
func (f *forgetful) check() (records int, erased uint64) {
	f.Helper()
	db, err := store.Open(f.Context(), f.database)
	must(f.T, err)
	defer db.Close()
	d, err := identity.Load(f.dir)
	must(f.T, err)
	report, err := inspect.Check(f.Context(), db, d.Keyring, inspect.CheckOptions{Index: true})
	must(f.T, err)
	if report.Wrong != nil {
		f.Fatal(report.Wrong)
	}
	must(f.T, db.Reader().QueryRowContext(f.Context(), "SELECT count(*) FROM records WHERE topic = $1", journal.Number("person")).Scan(&records))
	return records, report.Erased
}

// TestErasedStaysErasedWhenTheStreamIsMadeAnew erases, wipes JetStream, lets it
// heal and looks at every sequence of the stream.
func TestErasedStaysErasedWhenTheStreamIsMadeAnew(t *testing.T) {
	f := newForgetful(t)
	for _, m := range f.people[:3] {
		_, err := f.p.Erase(t.Context(), "person", m.IdNumber, "依申请删除")
		must(t, err)
	}
	f.listed(3)
	f.overwritten() // else that is done to the one made anew
	f.close()
	must(t, os.RemoveAll(filepath.Join(f.dir, "jetstream")))
	f.reopen()
	f.within("the stream is healed", func() bool {
		return f.x.Node.Bus.Ready() && f.x.Node.Bus.Relayed(0) >= f.x.Node.Journal.Head().Size
	})
	must(t, f.x.Close())
	if empty := f.everySequence(); empty != 3*2 {
		t.Errorf("%d messages are empty", empty)
	}
	if records, erased := f.check(); records != len(f.people)-3 || erased != 3 {
		t.Errorf("%d records are held, %d were erased", records, erased)
	}
}

// everySequence compares each message of the stream with the journal and counts
// those that stand for erased versions.
func (f *forgetful) everySequence() (empty int) {
	f.Helper()
	ctx := f.Context()
	db, err := store.Open(ctx, f.database)
	must(f.T, err)
	defer db.Close()
	rows, err := journal.After(ctx, db.Reader(), 0, 1<<20)
	must(f.T, err)
	s, err := server.NewServer(&server.Options{
		DontListen: true, JetStream: true, StoreDir: filepath.Join(f.dir, "jetstream"), NoSigs: true, NoLog: true,
		MaxPayload: 8 << 20, JetStreamMaxStore: 1 << 40, JetStreamMaxMemory: 64 << 20,
	})
	must(f.T, err)
	go s.Start()
	if !s.ReadyForConnections(patience) {
		f.Fatal("NATS does not come up")
	}
	defer func() { s.Shutdown(); s.WaitForShutdown() }()
	conn, err := nats.Connect("", nats.InProcessServer(s))
	must(f.T, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	must(f.T, err)
	stream, err := js.Stream(ctx, "HT_RECORDS_0")
	must(f.T, err)
	if last := stream.CachedInfo().State.LastSeq; last != uint64(len(rows)) {
		f.Fatalf("the stream ends at %d, the journal at %d", last, len(rows))
	}
	for i := range rows {
		m, err := stream.GetMsg(ctx, uint64(i)+1)
		must(f.T, err)
		if r := &rows[i]; r.KeyToken != nil {
			if m.Header.Get("Huitong-Erased") == "" && !bytes.Equal(m.Data, message(r)) {
				f.Fatalf("message %d is not the record of entry %d", i+1, r.Index)
			}
			continue
		}
		if m.Header.Get("Huitong-Erased") == "" || len(m.Data) > 0 {
			f.Fatalf("message %d of an erased record has %d bytes", i+1, len(m.Data))
		}
		empty++
	}
	return empty
}

// TestAnOlderBackupBringsNothingBack restores a copy of the database from before
// an erasure: the record is erased again before anybody is served, and what is
// published anew afterwards stays.
func TestAnOlderBackupBringsNothingBack(t *testing.T) {
	f := newForgetful(t)
	f.close()
	restore := f.backup()
	f.reopen()
	f.register()
	gone := f.people[0]
	_, err := f.p.Erase(t.Context(), "person", gone.IdNumber, "依申请删除")
	must(t, err)
	f.listed(1)
	f.close()

	restore()
	f.reopen()
	f.listed(2)
	must(t, f.x.Close())
	if records, erased := f.check(); records != len(f.people)-1 || erased != 1 {
		t.Fatalf("%d records are held, %d were erased", records, erased)
	}
	f.noTrace(gone.Name)

	f.reopen()
	f.register()
	_, err = f.p.Publish(t.Context(), "person", gone)
	must(t, err)
	f.close()
	f.reopen()
	must(t, f.x.Close())
	if records, erased := f.check(); records != len(f.people) || erased != 1 {
		t.Fatalf("%d records are held, %d were erased, after it was published anew", records, erased)
	}
}

// backup copies the database of the closed exchange, and gives what puts the copy
// in its place.
func (f *forgetful) backup() (restore func()) {
	f.Helper()
	dir, isSQLite := strings.CutPrefix(f.database, "sqlite:")
	if !isSQLite {
		return f.backupTables()
	}
	copied := filepath.Join(f.TempDir(), "backup")
	must(f.T, os.CopyFS(copied, os.DirFS(dir)))
	return func() {
		must(f.T, os.RemoveAll(dir))
		must(f.T, os.CopyFS(dir, os.DirFS(copied)))
	}
}

// backupTables copies every table of a server's schema beside it.
func (f *forgetful) backupTables() (restore func()) {
	f.Helper()
	tables := f.tables()
	f.eachTable(tables, "CREATE TABLE backup_%[1]s AS TABLE %[1]s")
	return func() {
		f.eachTable(tables, "TRUNCATE %[1]s", "INSERT INTO %[1]s SELECT * FROM backup_%[1]s")
	}
}

func (f *forgetful) tables() (names []string) {
	f.Helper()
	db, err := store.Open(f.Context(), f.database)
	must(f.T, err)
	defer db.Close()
	rows, err := db.Reader().QueryContext(f.Context(), "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()")
	must(f.T, err)
	defer rows.Close()
	for rows.Next() {
		var name string
		must(f.T, rows.Scan(&name))
		names = append(names, name)
	}
	must(f.T, rows.Err())
	return names
}

// eachTable runs statements for each table, all in one transaction.
func (f *forgetful) eachTable(tables []string, statements ...string) {
	f.Helper()
	db, err := store.Open(f.Context(), f.database)
	must(f.T, err)
	defer db.Close()
	must(f.T, db.Journal.Update(f.Context(), func(ctx context.Context, tx store.Tx) error {
		for _, name := range tables {
			for _, statement := range statements {
				if _, err := tx.ExecContext(ctx, fmt.Sprintf(statement, name)); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
		return nil
	}))
}

// noTrace fails if the list of erasures names anybody.
func (f *forgetful) noTrace(name string) {
	f.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, erasure.FileName))
	must(f.T, err)
	if strings.Contains(string(text), name) {
		f.Error("the list of erasures names a person")
	}
}
