package rpc

import (
	"context"
	"errors"
	"io"

	"github.com/huitong-bus/huitong/exchange/document"
	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// DocumentService serves documents.
type DocumentService struct {
	exchangev1.UnimplementedDocumentServiceServer
	Documents *document.Documents
}

type uploadStream = exchangev1.DocumentService_UploadServer

// Upload implements the service.
func (s *DocumentService) Upload(stream uploadStream) error {
	ctx := stream.Context()
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return fault.Field("open", "document.open", "the first request opens the upload")
	}
	if err != nil {
		return err
	}
	if first.GetOpen() == nil {
		return fault.Field("open", "document.open", "the first request opens the upload")
	}
	u, err := s.Documents.Begin(ctx, CallerOf(ctx), first.GetOpen().GetDocument())
	if err != nil {
		return err
	}
	if err := sendDurable(stream, u); err != nil {
		return err
	}
	if !u.Stored() {
		if err := takeChunks(stream, u); err != nil {
			return err
		}
	}
	done, err := u.Finish(ctx)
	if err != nil {
		return err
	}
	return stream.Send(&exchangev1.UploadResponse{Message: &exchangev1.UploadResponse_Done{Done: done}})
}

func sendDurable(stream uploadStream, u *document.Upload) error {
	durable := &exchangev1.UploadDurable{Offset: u.Durable()}
	return stream.Send(&exchangev1.UploadResponse{Message: &exchangev1.UploadResponse_Durable{Durable: durable}})
}

func takeChunks(stream uploadStream, u *document.Upload) error {
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if r.GetChunk() == nil {
			return fault.Field("chunk", "document.open", "an upload is opened once; behind that come chunks")
		}
		if err := u.Add(stream.Context(), r.GetChunk().GetOffset(), r.GetChunk().GetData()); err != nil {
			return err
		}
		if err := sendDurable(stream, u); err != nil {
			return err
		}
	}
}

// Progress implements the service.
func (s *DocumentService) Progress(ctx context.Context, r *exchangev1.ProgressRequest) (*exchangev1.ProgressResponse, error) {
	return s.Documents.Progress(ctx, CallerOf(ctx), r.Id)
}

// Download implements the service.
func (s *DocumentService) Download(r *exchangev1.DownloadRequest, stream exchangev1.DocumentService_DownloadServer) error {
	ctx := stream.Context()
	opened, reader, err := s.Documents.Download(ctx, CallerOf(ctx), r)
	if err != nil {
		return err
	}
	if err := stream.Send(&exchangev1.DownloadResponse{Message: &exchangev1.DownloadResponse_Opened{Opened: opened}}); err != nil {
		return err
	}
	for {
		offset, data, err := reader.Next(ctx)
		if err != nil || data == nil {
			return err
		}
		chunk := &exchangev1.DocumentChunk{Offset: offset, Data: data}
		if err := stream.Send(&exchangev1.DownloadResponse{Message: &exchangev1.DownloadResponse_Chunk{Chunk: chunk}}); err != nil {
			return err
		}
	}
}
