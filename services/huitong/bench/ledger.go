package bench

import (
	"context"
	"errors"
	"io"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/journal"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// ledger measures entries without payload, as deliveries, queries and refusals
// are, and what an auditor does with them.
func (s *settings) ledger(ctx context.Context) (*Report, error) {
	r, err := newReport("Ledger: entries without payload, tree and signed checkpoint with every commit", s.dir)
	if err != nil {
		return nil, err
	}
	in, err := install(ctx, s.dir)
	if err != nil {
		return nil, err
	}
	rows, err := s.ledgerAll(ctx, r, in)
	if err := errors.Join(err, in.close()); err != nil {
		return nil, err
	}
	message, err := proto.Marshal(entry())
	if err != nil {
		return nil, err
	}
	always, atomic, err := s.rawAlways(ctx, r, message)
	if err != nil {
		return nil, err
	}
	r.compare(rows[0], always)
	r.compare(rows[1], atomic)
	return r, nil
}

// ledgerAll measures entries of many callers and entries in calls of 1,000, then
// proofs and the export of what there is.
func (s *settings) ledgerAll(ctx context.Context, r *Report, in *installation) ([]Row, error) {
	limit := Limit{Time: s.duration}
	many, err := load(ctx, "entries, 64 callers", 64, 1, limit, func(ctx context.Context, _, _ int) error {
		return in.enter(ctx, 1)
	})
	if err != nil {
		return nil, err
	}
	r.add(many)
	thousands, err := load(ctx, "entries, calls of 1,000", streamCalls, 1000, limit, func(ctx context.Context, _, _ int) error {
		return in.enter(ctx, 1000)
	})
	if err != nil {
		return nil, err
	}
	r.add(thousands)
	auditor, err := in.connect(ctx, in.audit, connections)
	if err != nil {
		return nil, err
	}
	if err := s.proofs(ctx, r, in, auditor); err != nil {
		return nil, err
	}
	return []Row{many, thousands}, exported(ctx, r, auditor)
}

// proofs measures inclusion proofs, checked by who asked for them.
func (s *settings) proofs(ctx context.Context, r *Report, in *installation, auditor *sdk.Client) error {
	size := int(in.node.Journal.Head().Size)
	leaves := map[int][]byte{}
	const known = 97
	for n := range known {
		var leaf []byte
		index := n * (size - 1) / known
		if err := in.node.DB.Reader().QueryRowContext(ctx, "SELECT leaf FROM ledger WHERE idx = $1", index).Scan(&leaf); err != nil {
			return err
		}
		leaves[index] = leaf
	}
	row, err := load(ctx, "inclusion proofs, 64 callers, 8 connections", 64, 1, Limit{Time: s.duration}, func(ctx context.Context, _, n int) error {
		index := n % known * (size - 1) / known
		return auditor.ProveLeaf(ctx, uint64(index), leaves[index])
	})
	if err != nil {
		return err
	}
	r.add(row)
	return nil
}

// exported measures an auditor's export of the whole ledger.
func exported(ctx context.Context, r *Report, auditor *sdk.Client) error {
	m := newMeter()
	checkpoint, err := auditor.Export(ctx, io.Discard)
	if err != nil {
		return err
	}
	m.add(int(checkpoint.Size))
	r.add(m.row("export by an auditor"))
	return nil
}

// enter commits entries without payload.
func (in *installation) enter(ctx context.Context, n int) error {
	entries := make([]journal.Entry, n)
	for i := range entries {
		entries[i].Leaf = entry()
	}
	_, err := in.node.Journal.Submit(ctx, &journal.Call{From: in.node.Identity.Operator.String(), Entries: entries})
	return err
}

// entry is as a query's entry is.
func entry() *ledgerv1.LedgerEntry {
	hash := make([]byte, 32)
	return &ledgerv1.LedgerEntry{
		Actor: issuer.Code + "/bench", ActorCertificate: hash,
		Body: &ledgerv1.LedgerEntry_Queried{Queried: &ledgerv1.RecordsQueried{
			Topic: topic, Consumer: issuer.Code + "/bench", Provider: issuer.Code, Purpose: purpose,
			Records: 1, DetailsRoot: hash,
		}},
	}
}
