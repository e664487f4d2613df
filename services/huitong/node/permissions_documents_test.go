package node_test

import (
	"context"
	"crypto/sha256"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// documentRows are documents that nothing was published with: of departments, and
// each for the system alone that brought it.
func (p *permissions) documentRows() []matrixRow {
	id := sdk.NewDocumentID()
	sum := sha256.Sum256([]byte("form"))
	form := &sdk.Document{Id: id[:], Size: 4, Sha256: sum[:], MediaType: "text/plain"}
	departments := func(owner, others string) map[string]string {
		return map[string]string{"o": owner, "g": others, "s": others, "d": others, "": notDepartment}
	}
	return []matrixRow{
		{"exchange.Upload", func(ctx context.Context, c clientsOf) error {
			s, err := c.Upload(ctx)
			if err != nil {
				return err
			}
			_ = s.Send(&exchangev1.UploadRequest{Message: &exchangev1.UploadRequest_Open{Open: &exchangev1.UploadOpen{Document: form}}})
			_ = s.Send(&exchangev1.UploadRequest{Message: &exchangev1.UploadRequest_Chunk{Chunk: &exchangev1.DocumentChunk{Data: []byte("form")}}})
			_ = s.CloseSend()
			for {
				if r, err := s.Recv(); err != nil || r.GetDone() != nil {
					return err
				}
			}
		}, departments("ok + document_stored", "ALREADY_EXISTS document.id.taken")},
		{"exchange.Progress", func(ctx context.Context, c clientsOf) error {
			return tried(c.Progress(ctx, &exchangev1.ProgressRequest{Id: id[:]}))
		}, departments("ok", "NOT_FOUND document.unknown")},
		{"exchange.Download", func(ctx context.Context, c clientsOf) error {
			return received(c.Download(ctx, &exchangev1.DownloadRequest{Id: id[:]}))
		}, departments("ok + document_returned", "NOT_FOUND document.unknown")},
	}
}
