package node_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/document"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// scan makes a document that is the same for the same seed.
func scan(size int, seed byte) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func describe(b []byte) *sdk.Document {
	id, sum := sdk.NewDocumentID(), sha256.Sum256(b)
	return &sdk.Document{Id: id[:], Size: uint64(len(b)), Sha256: sum[:], MediaType: "application/pdf", Title: "出生医学证明.pdf"}
}

// sendUpload opens an upload and sends what the test says.
func sendUpload(t *testing.T, c *sdk.Client, requests ...*exchangev1.UploadRequest) (*exchangev1.UploadDone, error) {
	t.Helper()
	stream, err := exchangev1.NewDocumentServiceClient(c.Conn()).Upload(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range requests {
		_ = stream.Send(r)
	}
	_ = stream.CloseSend()
	for {
		r, err := stream.Recv()
		if err != nil {
			return nil, fault.FromStatus(err)
		}
		if r.GetDone() != nil {
			return r.GetDone(), nil
		}
	}
}

func opening(d *sdk.Document) *exchangev1.UploadRequest {
	return &exchangev1.UploadRequest{Message: &exchangev1.UploadRequest_Open{Open: &exchangev1.UploadOpen{Document: d}}}
}

func chunk(offset uint64, data []byte) *exchangev1.UploadRequest {
	return &exchangev1.UploadRequest{Message: &exchangev1.UploadRequest_Chunk{Chunk: &exchangev1.DocumentChunk{Offset: offset, Data: data}}}
}

func rowsOf(t *testing.T, x *nodetest.Exchange, table string) (n int) {
	t.Helper()
	if err := x.Node.DB.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestADocumentComesAndGoesWhole(t *testing.T) {
	x := nodetest.Start(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	for _, size := range []int{1, document.ChunkSize - 1, document.ChunkSize, 3*document.ChunkSize + 17} {
		content := scan(size, byte(size))
		id := sdk.NewDocumentID()
		var told uint64
		info := sdk.DocumentInfo{ID: id, MediaType: "application/pdf", Title: "结婚登记表", Progress: func(durable, _ uint64) { told = durable }}
		stored, err := civil.UploadDocument(t.Context(), bytes.NewReader(content), info)
		if err != nil {
			t.Fatal(err)
		}
		if err := stored.Receipt.Verify(x.Node.LedgerKey()); err != nil || told != uint64(size) {
			t.Errorf("told of %d of %d bytes; receipt: %v", told, size, err)
		}
		again, err := civil.UploadDocument(t.Context(), bytes.NewReader(content), info)
		if err != nil || !again.Receipt.Repeat || again.Receipt.Index != stored.Receipt.Index {
			t.Errorf("a repeat: %+v, %v", again, err)
		}
		var got bytes.Buffer
		d, err := civil.DownloadDocument(t.Context(), sdk.DocumentQuery{Document: stored.Document}, &got)
		if err != nil || !bytes.Equal(got.Bytes(), content) || d.Title != "结婚登记表" {
			t.Errorf("%d bytes came back as %d: %v", size, got.Len(), err)
		}
	}
	fsck(t, x)
}

// TestAnUploadGoesOnWhereItBrokeOff opens an upload anew behind what is stored.
func TestAnUploadGoesOnWhereItBrokeOff(t *testing.T) {
	x := nodetest.Start(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	content := scan(2*document.ChunkSize+5, 1)
	d := describe(content)
	_, err := sendUpload(t, civil, opening(d), chunk(0, content[:document.ChunkSize]))
	wantRule(t, err, fault.Invalid, "document.short")
	// What was brought first is not brought again: the rest alone makes it whole.
	if _, err := sendUpload(t, civil, opening(d), chunk(document.ChunkSize, content[document.ChunkSize:2*document.ChunkSize]),
		chunk(2*document.ChunkSize, content[2*document.ChunkSize:])); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := civil.DownloadDocument(t.Context(), sdk.DocumentQuery{Document: d}, &got); err != nil || !bytes.Equal(got.Bytes(), content) {
		t.Errorf("came back as %d bytes: %v", got.Len(), err)
	}
}

// TestBadDocumentsChangeNothing sends what none may send: each is refused by a
// rule of its own, and no document is made. What turns out to be another document
// than was said is an entry.
func TestBadDocumentsChangeNothing(t *testing.T) {
	x := nodetest.Start(t, node.Config{DocumentUnfinished: 5 * document.ChunkSize, DocumentKeep: time.Nanosecond})
	civil, hall := x.Join(t, sample.CivilAffairs, "registry"), x.Join(t, sample.ServiceHall, "hall")
	content := scan(document.ChunkSize+5, 2)
	whole := []*exchangev1.UploadRequest{chunk(0, content[:document.ChunkSize]), chunk(document.ChunkSize, content[document.ChunkSize:])}
	theirs := describe([]byte("theirs"))
	if _, err := sendUpload(t, hall, opening(theirs), chunk(0, []byte("theirs"))); err != nil {
		t.Fatal(err)
	}
	before := x.Node.Journal.Head().Size
	for _, bad := range []struct {
		name   string
		change func(d *sdk.Document)
		send   []*exchangev1.UploadRequest
		kind   fault.Kind
		rule   string
	}{
		{"another system's id", func(d *sdk.Document) { d.Id = theirs.Id }, whole, fault.AlreadyExists, "document.id.taken"},
		{"no id", func(d *sdk.Document) { d.Id = nil }, whole, fault.Invalid, "document.id.size"},
		{"empty", func(d *sdk.Document) { d.Size = 0 }, nil, fault.Invalid, "document.empty"},
		{"larger than any may be", func(d *sdk.Document) { d.Size = document.MaxSize + 1 }, whole, fault.TooLarge, "document.bytes"},
		{"more than a participant may have under way", func(d *sdk.Document) { d.Size = 6 * document.ChunkSize }, whole, fault.TooLarge, "document.unfinished"},
		{"no SHA-256", func(d *sdk.Document) { d.Sha256 = d.Sha256[1:] }, whole, fault.Invalid, "document.sha256.size"},
		{"media type", func(d *sdk.Document) { d.MediaType = "PDF" }, whole, fault.Invalid, "document.media_type"},
		{"media type with parameters", func(d *sdk.Document) { d.MediaType = "text/plain; charset=utf-8" }, whole, fault.Invalid, "document.media_type"},
		{"title", func(d *sdk.Document) { d.Title = "a\nb" }, whole, fault.Invalid, "document.title"},
		{"altered", func(d *sdk.Document) { d.Sha256 = describe([]byte("x")).Sha256 }, whole, fault.Invalid, "document.digest"},
		{"larger than said", func(d *sdk.Document) { d.Size-- }, whole, fault.Invalid, "document.larger"},
		{"more behind the end", func(*sdk.Document) {}, append(whole[:2:2], chunk(uint64(len(content)), []byte("x"))), fault.Invalid, "document.larger"},
		{"wrong offset", func(*sdk.Document) {}, []*exchangev1.UploadRequest{whole[1]}, fault.Invalid, "document.offset"},
		{"short chunk", func(*sdk.Document) {}, []*exchangev1.UploadRequest{chunk(0, content[:7])}, fault.Invalid, "document.chunk"},
		{"opened twice", func(*sdk.Document) {}, []*exchangev1.UploadRequest{opening(describe(content))}, fault.Invalid, "document.open"},
		{"cut short", func(*sdk.Document) {}, whole[:1], fault.Invalid, "document.short"},
	} {
		t.Run(bad.name, func(t *testing.T) {
			d := describe(content)
			bad.change(d)
			_, err := sendUpload(t, civil, append([]*exchangev1.UploadRequest{opening(d)}, bad.send...)...)
			wantRule(t, err, bad.kind, bad.rule)
			// Everything unfinished is old at once, so it is forgotten.
			if err := x.Node.Documents.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("not opened", func(t *testing.T) {
		_, err := sendUpload(t, civil, whole...)
		wantRule(t, err, fault.Invalid, "document.open")
	})
	refused := []string{"document document.digest", "document document.larger", "document document.short"}
	if got := refusalsFrom(t, x, before); !slices.Equal(got, refused) || x.Node.Journal.Head().Size != before+uint64(len(refused)) {
		t.Errorf("entered is %v", entriesFrom(t, x, before))
	}
	if documents, chunks := rowsOf(t, x, "documents"), rowsOf(t, x, "document_chunks"); documents != 1 || chunks != 1 {
		t.Errorf("%d documents of %d chunks are left, not the one that is there", documents, chunks)
	}
	fsck(t, x)
}

// TestDocumentsOfARecord publishes a record with documents: whoever may query it
// gets them, and nobody else; they are erased with it.
func TestDocumentsOfARecord(t *testing.T) {
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	content := scan(document.ChunkSize+5, 3)
	form, err := r.civil.UploadDocument(t.Context(), bytes.NewReader(content), sdk.DocumentInfo{MediaType: "application/pdf", Title: "登记表"})
	if err != nil {
		t.Fatal(err)
	}
	m := r.records[0]
	pub := sdk.Publication{Topic: "marriage", Message: m, Documents: []*sdk.Document{form.Document}, IdempotencyKey: sdk.NewIdempotencyKey()}
	first, err := r.publisher.Do(t.Context(), pub)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.publisher.Do(t.Context(), pub); err != nil || !again.Repeat || again.Index != first.Index {
		t.Errorf("a repeat: %+v, %v", again, err)
	}
	pub.IdempotencyKey = sdk.NewIdempotencyKey()
	_, err = r.publisher.Do(t.Context(), pub)
	wantRule(t, err, fault.Conflict, "document.published")
	_, err = r.civil.DownloadDocument(t.Context(), sdk.DocumentQuery{Document: form.Document}, io.Discard)
	wantRule(t, err, fault.Denied, "acting.person.required")

	estate := r.Join(t, sample.Housing, "estate")
	r.OpenCase(t, estate, acting.Case, acting.Purpose, sdk.Subject{Type: m.PartyAType, Number: m.PartyANumber})
	_, err = estate.DownloadDocument(t.Context(), sdk.DocumentQuery{Document: form.Document, Acting: acting}, io.Discard)
	wantRule(t, err, fault.Denied, "grant.required")
	answer, err := r.hall.Query(t.Context(), sdk.Query{Topic: "marriage", Acting: acting, By: sdk.ByKey(m.CertificateNumber)})
	if err != nil || len(answer.Records) != 1 || len(answer.Records[0].Documents) != 1 {
		t.Fatalf("%+v, %v", answer, err)
	}
	var got bytes.Buffer
	ask := sdk.DocumentQuery{Document: answer.Records[0].Documents[0], Acting: acting}
	if d, err := r.hall.DownloadDocument(t.Context(), ask, &got); err != nil || !bytes.Equal(got.Bytes(), content) || d.Title != "登记表" {
		t.Errorf("%d bytes: %v", got.Len(), err)
	}
	fsck(t, r.Exchange)

	if _, err := r.publisher.Do(t.Context(), sdk.Publication{Topic: "marriage", Operation: sdk.Erase, Key: m.CertificateNumber, Reason: "依申请删除"}); err != nil {
		t.Fatal(err)
	}
	_, err = r.hall.DownloadDocument(t.Context(), ask, io.Discard)
	wantRule(t, err, fault.NotFound, "document.erased")
	fsck(t, r.Exchange)
	if err := r.Node.Documents.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := rowsOf(t, r.Exchange, "document_chunks"); n != 0 {
		t.Errorf("%d chunks are left of an erased document", n)
	}
	fsck(t, r.Exchange)
}

// TestDocumentsThatMayNotBelong names documents that no publication of the caller
// may have.
func TestDocumentsThatMayNotBelong(t *testing.T) {
	r := newRegistry(t)
	theirs, err := r.hall.UploadDocument(t.Context(), bytes.NewReader([]byte("theirs")), sdk.DocumentInfo{MediaType: "text/plain"})
	if err != nil {
		t.Fatal(err)
	}
	half := describe(scan(2*document.ChunkSize, 4))
	_, err = sendUpload(t, r.civil, opening(half), chunk(0, scan(2*document.ChunkSize, 4)[:document.ChunkSize]))
	wantRule(t, err, fault.Invalid, "document.short")
	mine, err := r.civil.UploadDocument(t.Context(), bytes.NewReader([]byte("mine")), sdk.DocumentInfo{MediaType: "text/plain"})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct {
		name string
		pub  sdk.Publication
		rule string
	}{
		{"another system's", sdk.Publication{Message: r.records[0], Documents: []*sdk.Document{theirs.Document}}, "document.unknown"},
		{"unfinished", sdk.Publication{Message: r.records[0], Documents: []*sdk.Document{half}}, "document.unknown"},
		{"twice", sdk.Publication{Message: r.records[0], Documents: []*sdk.Document{mine.Document, mine.Document}}, "document.twice"},
		{"of a revocation", sdk.Publication{Operation: sdk.Revoke, Key: r.records[0].CertificateNumber, Reason: "登记有误", Documents: []*sdk.Document{mine.Document}}, "documents.unexpected"},
	} {
		bad.pub.Topic = "marriage"
		_, err := r.publisher.Do(t.Context(), bad.pub)
		if fault.RuleOf(err) != bad.rule {
			t.Errorf("%s: %v, not %s", bad.name, err, bad.rule)
		}
	}
	altered := proto.CloneOf(mine.Document)
	altered.Sha256[0] ^= 1
	if _, err := r.publisher.Do(t.Context(), sdk.Publication{Topic: "marriage", Message: r.records[0], Documents: []*sdk.Document{altered}}); fault.RuleOf(err) != "statement.mismatch" {
		t.Errorf("a publisher that signed another document: %v", err)
	}
	if _, err := r.publisher.Do(t.Context(), sdk.Publication{Topic: "marriage", Message: r.records[0], Documents: []*sdk.Document{mine.Document}}); err != nil {
		t.Errorf("after all refusals it is still free: %v", err)
	}
}

// TestAChangedByteOfADocumentIsRefused changes one bit of what is stored.
func TestAChangedByteOfADocumentIsRefused(t *testing.T) {
	x := nodetest.Start(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	stored, err := civil.UploadDocument(t.Context(), bytes.NewReader(scan(document.ChunkSize+5, 6)), sdk.DocumentInfo{MediaType: "image/png"})
	if err != nil {
		t.Fatal(err)
	}
	err = x.Node.DB.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		var body []byte
		if err := tx.QueryRowContext(ctx, "SELECT body FROM document_chunks WHERE number = 1").Scan(&body); err != nil {
			return err
		}
		body[len(body)/2] ^= 1
		_, err := tx.ExecContext(ctx, "UPDATE document_chunks SET body = $1 WHERE number = 1", body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = civil.DownloadDocument(t.Context(), sdk.DocumentQuery{Document: stored.Document}, io.Discard)
	wantRule(t, err, fault.Internal, "document.damaged")
}

// TestTwoThatBringOneDocument opens one upload twice: whoever comes second with a
// chunk is refused, and the document is what the first brought.
func TestTwoThatBringOneDocument(t *testing.T) {
	x := nodetest.Start(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	content := scan(document.ChunkSize+5, 7)
	d := describe(content)
	late, err := exchangev1.NewDocumentServiceClient(civil.Conn()).Upload(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = late.Send(opening(d))
	if r, err := late.Recv(); err != nil || r.GetDurable().GetOffset() != 0 {
		t.Fatal(r, err)
	}
	if _, err := sendUpload(t, civil, opening(d), chunk(0, content[:document.ChunkSize]), chunk(document.ChunkSize, content[document.ChunkSize:])); err != nil {
		t.Fatal(err)
	}
	_ = late.Send(chunk(0, content[:document.ChunkSize]))
	_ = late.CloseSend()
	for err = nil; err == nil; {
		_, err = late.Recv()
	}
	wantRule(t, fault.FromStatus(err), fault.Conflict, "document.under_way")
	fsck(t, x)
}
