package inspect_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/huitong-bus/huitong/exchange/document"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// bringDocuments brings a document that belongs to a record, one that belongs to
// none and is given back, one that is erased, and one in part.
func (w *world) bringDocuments(t testing.TB, at map[string]uint64) {
	t.Helper()
	d := document.Open(document.Config{
		DB: w.DB, Journal: w.Journal, Standing: w.Catalogue, Refusals: w.refusals, Sealer: w.Identity.Keyring,
	})
	defer d.Close()
	w.Journal.Attach, w.intake.Documents = document.Attach, d
	w.Journal.Erasing = append(w.Journal.Erasing, document.Erase)
	content := bytes.Repeat([]byte("表"), document.ChunkSize/2)
	bring := func(name string, chunks int) *ledgerv1.Document {
		sum := sha256.Sum256(content)
		described := &ledgerv1.Document{Id: random(16), Size: uint64(len(content)), Sha256: sum[:], MediaType: "image/png", Title: name}
		u, err := d.Begin(t.Context(), w.security.Caller, described)
		must(t, err)
		for n := range chunks {
			from := n * document.ChunkSize
			must(t, u.Add(t.Context(), uint64(from), content[from:min(len(content), from+document.ChunkSize)]))
		}
		done, err := u.Finish(t.Context())
		if chunks == 2 {
			must(t, err)
			at[name] = done.Receipt.Index
		}
		return described
	}
	with := func(number string, of *ledgerv1.Document) uint64 {
		p := put(number, "王芳")
		p.Documents = [][]byte{of.Id}
		return w.publish(t, w.security, p)[0]
	}
	at["with document"] = with("M1", bring("document stored", 2))
	loose := bring("loose", 2)
	_, _, err := d.Download(t.Context(), w.security.Caller, &exchangev1.DownloadRequest{Id: loose.Id})
	must(t, err)
	at["document returned"] = w.Journal.Head().Size - 1
	with("M2", bring("erased document", 2))
	w.publish(t, w.security, operate(ledgerv1.Operation_OPERATION_ERASE, "M2"))
	bring("unfinished", 1)
}
