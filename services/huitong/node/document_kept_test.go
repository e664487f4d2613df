package node_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/document"
	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// TestSmallUploadsAreBoundedInNumber: however small each is said to be, a participant
// has only so many under way, and another one is not kept from its own.
func TestSmallUploadsAreBoundedInNumber(t *testing.T) {
	x := nodetest.Start(t, node.Config{DocumentUnfinished: 3 * 64 << 10})
	civil, hall := x.Join(t, sample.CivilAffairs, "registry"), x.Join(t, sample.ServiceHall, "hall")
	for range 3 {
		_, err := sendUpload(t, civil, opening(describe([]byte("x"))))
		wantRule(t, err, fault.Invalid, "document.short")
	}
	last := describe([]byte("x"))
	_, err := sendUpload(t, civil, opening(last))
	wantRule(t, err, fault.TooLarge, "document.unfinished")
	if _, err := sendUpload(t, hall, opening(describe([]byte("x"))), chunk(0, []byte("x"))); err != nil {
		t.Error("another participant:", err)
	}
	if n := rowsOf(t, x, "documents"); n != 4 {
		t.Errorf("%d documents are known", n)
	}
}

// TestADocumentThatNoRecordNamesIsErased, since nobody else could: what it says, its
// title and its chunks. One that a record names stays.
func TestADocumentThatNoRecordNamesIsErased(t *testing.T) {
	x := nodetest.Start(t, node.Config{DocumentUnnamed: time.Nanosecond})
	civil := x.Join(t, sample.CivilAffairs, "registry")
	ok(t, x.CreateTopic(t.Context(), unconditional("certificates", "Certificate", sample.CivilAffairs)))
	content := scan(2*document.ChunkSize, 3)
	bring := func() *sdk.Document {
		d, err := civil.UploadDocument(t.Context(), bytes.NewReader(content), sdk.DocumentInfo{MediaType: "application/pdf", Title: "张三的扫描件"})
		ok(t, err)
		return d.Document
	}
	named := bring()
	publisher := civil.Publisher(sdk.PublisherConfig{CallUnary: true})
	_, err := publisher.Do(t.Context(), sdk.Publication{Topic: "certificates", Message: permitOf("identity", sample.CivilAffairs, 1, ""), Documents: []*sdk.Document{named}})
	ok(t, err)
	ok(t, publisher.Close(t.Context()))
	unnamed := bring()
	ok(t, x.Node.Documents.Sweep(t.Context()))
	_, err = civil.DownloadDocument(t.Context(), sdk.DocumentQuery{Document: unnamed}, io.Discard)
	wantRule(t, err, fault.NotFound, "document.erased")
	_, err = sendUpload(t, civil, &exchangev1.UploadRequest{Message: &exchangev1.UploadRequest_Open{Open: &exchangev1.UploadOpen{Document: unnamed}}})
	wantRule(t, err, fault.NotFound, "document.erased")
	if n := rowsOf(t, x, "document_chunks"); n != 2 {
		t.Errorf("%d chunks are left, not the two of the document that a record names", n)
	}
	_, err = civil.DownloadDocument(t.Context(), sdk.DocumentQuery{
		Document: named, Acting: sdk.Acting{Person: "clerk-017", Purpose: subsidy, Case: "SF-1"},
	}, io.Discard)
	if fault.RuleOf(err) == "document.erased" {
		t.Error("the document that a record names is erased")
	}
	fsck(t, x)
}
