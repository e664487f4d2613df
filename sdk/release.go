package sdk

import (
	"crypto/sha256"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

func readRecord(r *Record, in *exchangev1.ReleasedRecord) {
	*r = Record{
		Index: in.GetIndex(), Topic: in.GetTopic(), Operation: in.GetOperation(), Status: in.GetStatus(), Version: in.GetVersion(),
		Contract: in.GetContract(), ContractVersion: in.GetContractVersion(),
		Payload: in.GetPayload(), JSON: in.GetJson(), Withheld: in.GetWithheld(), Leaf: in.GetLeaf(),
		At: in.GetAt().AsTime(), Reason: in.GetReason(),
		Notice: in.GetSupersededByLaterVersion(), Erased: in.GetErased(), Expired: in.GetExpired(),
		Disputed: in.GetDisputed(), DisputedFields: in.GetDisputedFields(),
		Key: in.GetKey(), Successor: in.GetSuccessor(), Token: in.GetRecord(), cut: in.GetCut(),
		Documents: in.GetDocuments(), documentsSalt: in.GetDocumentsSalt(),
	}
	if in.GetEffectiveAt() != nil {
		r.EffectiveAt = in.GetEffectiveAt().AsTime()
	}
}

// check proves a record: its leaf is of this publication, and the payload is
// part of what the leaf commits to.
func (r *Record) check() error {
	var entry ledgerv1.LedgerEntry
	if err := proto.Unmarshal(r.Leaf, &entry); err != nil {
		return unproven("the leaf of entry %d does not decode", r.Index)
	}
	p := entry.GetPublished()
	switch {
	case p == nil || entry.GetIndex() != r.Index || p.GetTopic() != r.Topic || p.GetOperation() != r.Operation ||
		!time.UnixMicro(entry.GetAtUs()).Equal(r.At):
		return unproven("entry %d is not of the record that came with it", r.Index)
	case r.cut == nil && len(r.Payload) > 0:
		return unproven("the record of entry %d has a payload without proof", r.Index)
	case r.cut == nil && len(r.Documents) > 0:
		return unproven("the record of entry %d has documents and no payload", r.Index)
	case r.cut == nil:
		return nil
	case p.GetContract() != r.Contract || p.GetContractVersion() != r.ContractVersion:
		return unproven("entry %d is of another contract than its record", r.Index)
	}
	withheld, err := verify.CheckCut(r.Contract, r.ContractVersion, r.Payload, r.cut, p.GetPayloadCommitment())
	if err != nil {
		return unproven("the record of entry %d: %w", r.Index, err)
	}
	if err := verify.CheckDocuments(r.documentsSalt, r.Documents, p.GetDocumentsCommitment()); err != nil {
		return unproven("the record of entry %d: %w", r.Index, err)
	}
	if !slices.Equal(withheld, r.Withheld) {
		return unproven("the record of entry %d withholds other fields than it says", r.Index)
	}
	return nil
}

// detailHash gives the leaf hash of a record's ReleaseDetail, from what was
// received.
func detailHash(in *exchangev1.ReleasedRecord, sequence uint64, attempt uint32) [verify.HashSize]byte {
	var room [256]byte
	return verify.LeafHash(appendDetail(room[:0], in, sequence, attempt))
}

// appendDetail marshals a ReleaseDetail: fields in ascending order, defaults
// left out, withheld packed, as deterministic protobuf has it.
func appendDetail(b []byte, in *exchangev1.ReleasedRecord, sequence uint64, attempt uint32) []byte {
	b = appendUint(b, 1, in.GetIndex())
	if in.GetCut() != nil {
		digest := sha256.Sum256(in.GetPayload())
		b = protowire.AppendTag(b, 2, protowire.BytesType)
		b = protowire.AppendBytes(b, digest[:])
	}
	if withheld := in.GetWithheld(); len(withheld) > 0 {
		size := 0
		for _, n := range withheld {
			size += protowire.SizeVarint(uint64(n))
		}
		b = protowire.AppendTag(b, 3, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(size))
		for _, n := range withheld {
			b = protowire.AppendVarint(b, uint64(n))
		}
	}
	b = appendUint(b, 4, sequence)
	return appendUint(b, 5, uint64(attempt))
}

func appendUint(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

// release checks the receipt of a release and gives its entry: it is in the tree
// of a checkpoint that the ledger signed.
func (l *ledgerView) release(in *exchangev1.Receipt, p *exchangev1.RangeProof) (*Receipt, *ledgerv1.LedgerEntry, error) {
	r, entry := &Receipt{}, &ledgerv1.LedgerEntry{}
	fillReceipt(r, in)
	r.proof = &rangeProof{message: p, leaves: [][verify.HashSize]byte{verify.LeafHash(r.Leaf)}}
	if err := proto.Unmarshal(r.Leaf, entry); err != nil {
		return nil, nil, unproven("the leaf of release %d does not decode", r.Index)
	}
	if entry.GetIndex() != r.Index || p.GetFirst() != r.Index {
		return nil, nil, unproven("the leaf of release %d is of another entry", r.Index)
	}
	return r, entry, l.checkRange(r.proof)
}

// covers checks that a release entry is over exactly these records.
func covers(records uint32, root []byte, details [][verify.HashSize]byte) error {
	if sum := verify.Root(details); int(records) != len(details) || string(root) != string(sum[:]) {
		return unproven("the release entry is over other records than came")
	}
	return nil
}
