package sdk_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// inDirectory starts an exchange with civil affairs' marriages in a directory of
// its own, which the test may stop itself.
func inDirectory(t *testing.T) (*nodetest.Exchange, string) {
	t.Helper()
	dir := t.TempDir()
	x, err := nodetest.Open(t.Context(), dir, node.Config{})
	if err != nil {
		t.Fatal(err)
	}
	list(t, x, topic(marriages, "Marriage"))
	return x, dir
}

// checkWhole stops an exchange and checks its whole database.
func checkWhole(t *testing.T, x *nodetest.Exchange, dir string) *inspect.Report {
	t.Helper()
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), node.DefaultDatabase(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	report, err := inspect.Check(t.Context(), db, x.Node.Identity.Keyring, inspect.CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Wrong != nil {
		t.Error(report.Wrong)
	}
	return report
}

// TestAcknowledgementsCheckOut, signed and unsigned.
func TestAcknowledgementsCheckOut(t *testing.T) {
	for name, opts := range map[string][]sdk.SubscribeOption{"signed": nil, "unsigned": {sdk.WithUnsignedAcks()}} {
		t.Run(name, func(t *testing.T) {
			x, dir := inDirectory(t)
			w := &world{Exchange: x}
			w.enrol(t)
			w.create(t, sdk.NewSubscription{Name: "m", Start: sdk.FromCurrent()})
			var got seen
			s := w.subscribe(t, "m", got.handle, opts...)
			publishAll(t, w.publisher, some(30))
			await(t, "all came", func() bool { return got.count() == 30 })
			drain(t, s)
			closePublisher(t, w.publisher)
			if report := checkWhole(t, x, dir); report.Acknowledgements == 0 {
				t.Error("no acknowledgement is kept")
			}
		})
	}
}
