package rpc

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/inspect"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// LedgerService serves entries, proofs and checkpoints. Who sees what is decided
// by the ledger, which enters reads and refusals itself.
type LedgerService struct {
	ledgerv1.UnimplementedLedgerServiceServer
	Ledger *inspect.Ledger
}

// GetEntry implements the service.
func (s *LedgerService) GetEntry(ctx context.Context, r *ledgerv1.GetEntryRequest) (*ledgerv1.GetEntryResponse, error) {
	e, err := s.Ledger.Get(ctx, CallerOf(ctx), r.Index, r.WithOpening)
	if err != nil {
		return nil, err
	}
	answer := &ledgerv1.GetEntryResponse{Entry: e}
	if r.WithSignature {
		answer.Signature, err = s.Ledger.Signature(ctx, e.Entry)
	}
	return answer, err
}

// ListEntries implements the service.
func (s *LedgerService) ListEntries(ctx context.Context, r *ledgerv1.ListEntriesRequest) (*ledgerv1.ListEntriesResponse, error) {
	entries, next, err := s.Ledger.List(ctx, CallerOf(ctx), r.Filter, inspect.Page{
		Size: int(min(r.PageSize, 1<<20)), Token: r.PageToken, Descending: r.Descending,
	})
	if err != nil {
		return nil, err
	}
	return &ledgerv1.ListEntriesResponse{Entries: entries, NextPageToken: next}, nil
}

// WatchEntries implements the service.
func (s *LedgerService) WatchEntries(r *ledgerv1.WatchEntriesRequest, stream ledgerv1.LedgerService_WatchEntriesServer) error {
	ctx := stream.Context()
	return s.Ledger.Watch(ctx, CallerOf(ctx), r.Filter, func(e *ledgerv1.Entry) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		return stream.Send(&ledgerv1.WatchEntriesResponse{Entry: e})
	})
}

// ExportEntries implements the service.
func (s *LedgerService) ExportEntries(r *ledgerv1.ExportEntriesRequest, stream ledgerv1.LedgerService_ExportEntriesServer) error {
	ctx := stream.Context()
	return s.Ledger.Export(ctx, CallerOf(ctx), r.FromIndex, r.UntilIndex, func(first uint64, leaves [][]byte, checkpoint string) error {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		return stream.Send(&ledgerv1.ExportEntriesResponse{FirstIndex: first, Leaves: leaves, Checkpoint: checkpoint})
	})
}

// GetInclusionProof implements the service.
func (s *LedgerService) GetInclusionProof(ctx context.Context, r *ledgerv1.GetInclusionProofRequest) (*ledgerv1.GetInclusionProofResponse, error) {
	p, err := s.Ledger.Inclusion(ctx, CallerOf(ctx), r.Index, r.Size, r.LeafHash)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.GetInclusionProofResponse{
		Index: r.Index, Size: p.Size, Hashes: p.Hashes, LeafHash: p.LeafHash, Checkpoint: p.Checkpoint,
	}, nil
}

// GetConsistencyProof implements the service.
func (s *LedgerService) GetConsistencyProof(ctx context.Context, r *ledgerv1.GetConsistencyProofRequest) (*ledgerv1.GetConsistencyProofResponse, error) {
	p, err := s.Ledger.Consistency(ctx, r.FirstSize, r.SecondSize)
	if err != nil {
		return nil, err
	}
	return &ledgerv1.GetConsistencyProofResponse{FirstSize: r.FirstSize, SecondSize: p.Size, Hashes: p.Hashes, Checkpoint: p.Checkpoint}, nil
}

// GetCheckpoint implements the service.
func (s *LedgerService) GetCheckpoint(context.Context, *ledgerv1.GetCheckpointRequest) (*ledgerv1.GetCheckpointResponse, error) {
	checkpoint, key := s.Ledger.Checkpoint()
	return &ledgerv1.GetCheckpointResponse{Checkpoint: checkpoint, VerifierKey: key}, nil
}

// GetTile implements the service.
func (s *LedgerService) GetTile(ctx context.Context, r *ledgerv1.GetTileRequest) (*ledgerv1.GetTileResponse, error) {
	hashes, err := s.Ledger.Tile(ctx, uint(r.Level), r.Index, int(min(r.Width, 1<<16)))
	if err != nil {
		return nil, err
	}
	return &ledgerv1.GetTileResponse{Hashes: hashes}, nil
}
