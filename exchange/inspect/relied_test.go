package inspect_test

import (
	"context"
	"crypto/sha256"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// relying is the entry of a query by civil affairs that was answered with some
// versions.
func (w *world) relying(t testing.TB, caseNumber string, versions ...uint64) journal.Entry {
	t.Helper()
	e := w.queried(subject("P1"), caseNumber)
	digest := sha256.Sum256([]byte("what left"))
	for _, v := range versions {
		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(&ledgerv1.ReleaseDetail{Index: v, PayloadDigest: digest[:]})
		must(t, err)
		e.Opening.Details = append(e.Opening.Details, raw)
	}
	q := e.Leaf.GetQueried()
	q.Records, q.DetailsRoot = uint32(len(versions)), rootOf(e.Opening.Details...)
	return e
}

func (w *world) told(t testing.TB, next uint64) {
	t.Helper()
	must(t, w.DB.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO hearing (id, next) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET next = excluded.next", int64(next))
		return err
	}))
}

func (w *world) reliers(t testing.TB, versions ...uint64) []*inspect.Relier {
	t.Helper()
	must(t, w.index.Wait(t.Context(), w.Journal.Head().Size))
	all, err := w.index.ReliersOf(t.Context(), versions)
	must(t, err)
	return all
}

// TestReliersOf: whoever queried any version of a record relied on it; until the
// record is erased and everybody was told.
func TestReliersOf(t *testing.T) {
	w := newWorld(t)
	first := w.publish(t, w.security, put("P1", "王芳"), put("P2", "李娜"))
	one := w.entered(t, w.relying(t, "CASE-1", first[0], first[1]))
	second := w.publish(t, w.security, put("P1", "王芳芳"))[0]
	two := w.entered(t, w.relying(t, "CASE-2", second))
	w.entered(t, w.relying(t, "CASE-2", second))
	eraser := w.publish(t, w.security, operate(ledgerv1.Operation_OPERATION_ERASE, "P1"))[0]

	must(t, w.index.Wait(t.Context(), w.Journal.Head().Size))
	versions, err := w.index.Versions(t.Context(), eraser)
	must(t, err)
	if !slices.Equal(versions, []uint64{eraser, second, first[0]}) {
		t.Fatalf("versions %v", versions)
	}
	got := w.reliers(t, versions...)
	if len(got) != 1 || got[0].Participant != catalogtest.Civil || !slices.Equal(got[0].Entries, []uint64{one, two, two + 1}) ||
		!slices.Equal(got[0].Cases, []string{"CASE-1", "CASE-2"}) || !slices.Equal(got[0].Systems, []string{w.civil.Caller.System}) {
		t.Fatalf("%+v", got)
	}
	for participant, want := range map[string]bool{catalogtest.Civil: true, catalogtest.Housing: false} {
		relied, err := w.index.Relied(t.Context(), participant, versions)
		if err != nil || relied != want {
			t.Errorf("%s relied: %v, %v", participant, relied, err)
		}
	}
	causes, err := w.index.CausesFrom(t.Context(), 0, 10)
	if err != nil || !slices.Equal(causes, []uint64{eraser}) {
		t.Fatalf("causes %v, %v", causes, err)
	}
	// Not told yet: a rebuild keeps what they are to be told by.
	if f := w.check(t); f != nil {
		t.Fatal(f)
	}
	w.index.Close()
	must(t, inspect.Rebuild(t.Context(), w.DB, w.Identity.Keyring, nil))
	w.open(t)
	if got := w.reliers(t, versions...); len(got) != 1 {
		t.Fatalf("%+v after a rebuild", got)
	}
	// Told: nothing is left, and a rebuild brings nothing back.
	must(t, w.index.ForgetReads(t.Context(), versions))
	if f := w.check(t); f != nil {
		t.Fatal(f)
	}
	w.told(t, eraser+2)
	w.index.Close()
	must(t, inspect.Rebuild(t.Context(), w.DB, w.Identity.Keyring, nil))
	w.open(t)
	if got := w.reliers(t, versions...); len(got) != 0 {
		t.Fatalf("%+v after everybody was told", got)
	}
	if n := w.rows(t, w.DB.Index, "SELECT count(*) FROM index_reads"); n != 1 {
		t.Errorf("%d rows; only that of the other record may be left", n)
	}
	if f := w.check(t); f != nil {
		t.Fatal(f)
	}
}
