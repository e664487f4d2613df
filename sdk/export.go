package sdk

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Export writes the whole ledger as it stands, for checks that need no exchange,
// and gives the checkpoint that covers it. The format is that of C2SP entry
// bundles, one after the other: for each leaf its length in two bytes
// (big-endian) and the leaf. It needs the role of auditor.
func (c *Client) Export(ctx context.Context, w io.Writer) (*Checkpoint, error) {
	newest, err := c.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.ledger().ExportEntries(ctx, &ledgerv1.ExportEntriesRequest{UntilIndex: newest.Size})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	out, next := bufio.NewWriter(w), uint64(0)
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fault.FromStatus(err)
		}
		if part.GetFirstIndex() != next && len(part.GetLeaves()) > 0 {
			return nil, unproven("entries %d to %d are missing from the export", next, part.GetFirstIndex())
		}
		for _, leaf := range part.GetLeaves() {
			if err := writeLeaf(out, leaf); err != nil {
				return nil, err
			}
		}
		next += uint64(len(part.GetLeaves()))
	}
	if next != newest.Size {
		return nil, unproven("the export has %d entries of %d", next, newest.Size)
	}
	return newest, out.Flush()
}

func writeLeaf(w io.Writer, leaf []byte) error {
	if len(leaf) > verify.MaxLeaf {
		return unproven("a leaf of %d bytes", len(leaf))
	}
	if _, err := w.Write(binary.BigEndian.AppendUint16(nil, uint16(len(leaf)))); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	if _, err := w.Write(leaf); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	return nil
}

// VerifyExport recomputes the tree over an exported ledger and checks it against
// a signed checkpoint, offline. each, which may be nil, sees every entry in
// order; an error of it ends the check.
//
// An entry that is out of place or does not decode is named; one whose bytes
// were changed shows in the root only, for nothing in an export says what they
// were.
func VerifyExport(r io.Reader, checkpoint, ledgerKey string, each func(*ledgerv1.LedgerEntry) error) (entries uint64, err error) {
	v, err := verify.NewCheckpointVerifier(ledgerKey)
	if err != nil {
		return 0, err
	}
	want, err := v.Open([]byte(checkpoint))
	if err != nil {
		return 0, unproven("%w", err)
	}
	tree, in, last := verify.Ranges.NewEmptyRange(0), bufio.NewReader(r), int64(0)
	for {
		leaf, err := readLeaf(in)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return entries, unproven("entry %d: %w", entries, err)
		}
		entry := &ledgerv1.LedgerEntry{}
		if err := proto.Unmarshal(leaf, entry); err != nil {
			return entries, unproven("entry %d does not decode", entries)
		}
		if entry.GetIndex() != entries || entry.GetAtUs() <= last {
			return entries, unproven("entry %d is out of place", entries)
		}
		hash := verify.LeafHash(leaf)
		if err := tree.Append(hash[:], nil); err != nil {
			return entries, unproven("entry %d: %w", entries, err)
		}
		entries, last = entries+1, entry.GetAtUs()
		if each != nil {
			if err := each(entry); err != nil {
				return entries, fmt.Errorf("entry %d: %w", entry.GetIndex(), err)
			}
		}
	}
	root, err := tree.GetRootHash(nil)
	if err != nil && entries > 0 {
		return entries, unproven("%w", err)
	}
	if entries != want.Size || string(root) != string(want.Root[:]) {
		return entries, unproven("the %d entries do not make the tree of the checkpoint, which has %d", entries, want.Size)
	}
	return entries, nil
}

func readLeaf(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	leaf := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(r, leaf); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return leaf, nil
}
