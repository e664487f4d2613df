package main_test

import (
	"bytes"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/authority"
)

// TestKilledInTheMiddleOfAnUpload kills a real exchange before and behind a commit
// of chunks, and before the entry: the upload goes on by itself behind what was
// confirmed, and comes out whole.
func TestKilledInTheMiddleOfAnUpload(t *testing.T) {
	ctx := t.Context()
	c := newCity(t, storetest.URL(t))
	a, err := authority.Connect(ctx, c.dir, c.processes[0].address, "")
	must(t, err)
	defer a.Close()
	config, err := join(ctx, a, sample.PublicSecurity)
	must(t, err)
	content := make([]byte, 8<<20+17)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content)
	p := c.processes[0]
	for _, point := range []string{"document.before-commit:3", "document.after-commit:3", "document.before-entry:1"} {
		t.Run(point, func(t *testing.T) {
			p.kill()
			p.start(point)
			client := c.connect(config, 0)
			var most atomic.Uint64
			done := make(chan *sdk.StoredDocument, 1)
			go func() {
				d, err := client.UploadDocument(ctx, bytes.NewReader(content), sdk.DocumentInfo{MediaType: "image/png", Progress: func(durable, _ uint64) {
					if before := most.Swap(durable); durable < before {
						t.Errorf("%d bytes were confirmed, and %d are there", before, durable)
					}
				}})
				if err != nil {
					t.Error(err)
				}
				done <- d
			}()
			<-p.exited
			p.start("")
			d := <-done
			if d == nil {
				t.FailNow()
			}
			var got bytes.Buffer
			if _, err := client.DownloadDocument(ctx, sdk.DocumentQuery{Document: d.Document}, &got); err != nil || !bytes.Equal(got.Bytes(), content) {
				t.Errorf("%d bytes came back: %v", got.Len(), err)
			}
		})
	}
	c.stop()
	db, err := store.Open(ctx, c.database)
	must(t, err)
	defer db.Close()
	d, err := identity.Load(c.dir)
	must(t, err)
	report, err := inspect.Check(ctx, db, d.Keyring, inspect.CheckOptions{})
	must(t, err)
	if report.Wrong != nil {
		t.Fatal(report.Wrong)
	}
}
