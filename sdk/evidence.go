package sdk

import (
	"encoding/base64"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const tlogProof = "c2sp.org/tlog-proof@v1"

// TlogProof gives the receipt's proof as text (C2SP tlog-proof: index, inclusion
// proof, checkpoint). Leaf and text are all that a department has to keep:
// ReadReceipt makes the receipt of them again, and other tools for the format
// read it too.
func (r *Receipt) TlogProof() (string, error) {
	i := r.inclusion
	if i == nil {
		if r.proof == nil {
			return "", unproven("the receipt of entry %d carries no proof", r.Index)
		}
		var err error
		if i, err = r.proof.inclusion(r.place); err != nil {
			return "", unproven("entry %d: %w", r.Index, err)
		}
	}
	var b strings.Builder
	b.WriteString(tlogProof + "\nindex " + strconv.FormatUint(r.Index, 10) + "\n")
	for _, h := range i.hashes {
		b.WriteString(base64.StdEncoding.EncodeToString(h) + "\n")
	}
	b.WriteString("\n" + i.checkpoint)
	return b.String(), nil
}

// ReadReceipt makes a receipt of a leaf and its proof as TlogProof gave it. It
// says nothing about whether they are true; Verify does.
func ReadReceipt(leaf []byte, text string) (*Receipt, error) {
	malformed := fault.New(fault.Invalid, "sdk.tlog_proof", "not a %s", tlogProof)
	head, checkpoint, ok := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || lines[0] != tlogProof {
		return nil, malformed
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:] // application data; nothing here stands on it
	}
	if len(lines) == 0 {
		return nil, malformed
	}
	number, ok := strings.CutPrefix(lines[0], "index ")
	index, err := strconv.ParseUint(number, 10, 63)
	if !ok || err != nil || len(lines)-1 > 64 {
		return nil, malformed
	}
	i := &inclusion{checkpoint: checkpoint}
	for _, line := range lines[1:] {
		h, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(h) != verify.HashSize || base64.StdEncoding.EncodedLen(len(h)) != len(line) {
			return nil, malformed
		}
		i.hashes = append(i.hashes, h)
	}
	var entry ledgerv1.LedgerEntry
	if err := proto.Unmarshal(leaf, &entry); err != nil || entry.GetIndex() != index {
		return nil, fault.New(fault.Invalid, "sdk.leaf", "the leaf is not of entry %d", index)
	}
	return &Receipt{Index: index, At: time.UnixMicro(entry.GetAtUs()), Leaf: leaf, inclusion: i}, nil
}

// inclusion gives the proof of one leaf of the range alone.
//
// A range proof holds perfect subtrees; the path of RFC 6962 holds, from the
// leaf up, the sibling of each node on the way. Left siblings are perfect
// subtrees, one for each bit that is set in the leaf's index. So are right
// siblings, but the last: at the level where the leaf's way joins that of the
// tree's last leaf, it is all that is left on the right, ragged as it is.
func (p *rangeProof) inclusion(place int) (*inclusion, error) {
	checkpoint, err := verify.ParseCheckpoint(p.message.GetCheckpoint())
	if err != nil {
		return nil, err
	}
	left, right, err := p.around(place, checkpoint.Size)
	if err != nil {
		return nil, err
	}
	index := p.message.GetFirst() + uint64(place)
	inner := bits.Len64(index ^ (checkpoint.Size - 1))
	i := &inclusion{checkpoint: p.message.GetCheckpoint()}
	for level := range inner {
		if index>>level&1 == 1 {
			i.hashes = append(i.hashes, left[len(left)-1])
			left = left[:len(left)-1]
			continue
		}
		take := 1
		if level == inner-1 {
			take = len(right)
		}
		i.hashes = append(i.hashes, fold(right[:take]))
		right = right[take:]
	}
	slices.Reverse(left)
	i.hashes = append(i.hashes, left...)
	return i, nil
}

// around gives the perfect subtrees before and after one leaf of the range.
func (p *rangeProof) around(place int, size uint64) (left, right [][]byte, err error) {
	first := p.message.GetFirst()
	index, end := first+uint64(place), first+uint64(len(p.leaves))
	before, err := verify.Ranges.NewRange(0, first, slices.Clone(p.message.GetLeft()))
	if err != nil {
		return nil, nil, err
	}
	for i := range p.leaves[:place] {
		if err := before.Append(p.leaves[i][:], nil); err != nil {
			return nil, nil, err
		}
	}
	after := verify.Ranges.NewEmptyRange(index + 1)
	for i := range p.leaves[place+1:] {
		if err := after.Append(p.leaves[place+1+i][:], nil); err != nil {
			return nil, nil, err
		}
	}
	rest, err := verify.Ranges.NewRange(end, size, slices.Clone(p.message.GetRight()))
	if err != nil {
		return nil, nil, err
	}
	if err := after.AppendRange(rest, nil); err != nil {
		return nil, nil, err
	}
	return slices.Clone(before.Hashes()), after.Hashes(), nil
}

// fold hashes subtrees of falling size into the node over all of them.
func fold(hashes [][]byte) []byte {
	h := [verify.HashSize]byte(hashes[len(hashes)-1])
	for i := len(hashes) - 2; i >= 0; i-- {
		h = verify.NodeHash([verify.HashSize]byte(hashes[i]), h)
	}
	return h[:]
}
