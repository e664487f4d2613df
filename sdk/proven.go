package sdk

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Evidence is one entry with all that proves it: to be kept, and to be checked by
// anybody with VerifyEvidence.
type Evidence = ledgerv1.Evidence

// Evidence fetches an entry with its inclusion proof and, of a publication, the
// publisher's signature, and checks them. An opening comes as far as this system may
// see it; looking at one is an entry.
func (c *Client) Evidence(ctx context.Context, index uint64, opening bool) (*Evidence, error) {
	resp, err := ledgerv1.NewLedgerServiceClient(c.Conn()).GetEntry(ctx, &ledgerv1.GetEntryRequest{
		Index: index, WithOpening: opening, WithSignature: true,
	})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	in, signed := resp.GetEntry(), resp.GetSignature()
	r := &Receipt{Index: index, Leaf: in.GetLeaf()}
	if err := c.ProveReceipt(ctx, r); err != nil {
		return nil, err
	}
	e := &Evidence{
		Leaf: in.GetLeaf(), RecordOpening: in.GetRecordOpening(), ReadOpening: in.GetReadOpening(),
		Statements: signed.GetStatements(), Signature: signed.GetSignature(), Certificate: signed.GetCertificate(),
	}
	if e.Proof, err = r.TlogProof(); err != nil {
		return nil, err
	}
	if _, err = checkPublisher(e); err != nil {
		return nil, err
	}
	if e.Cut, err = c.payloadProof(ctx, in.GetEntry().GetPublished(), e.RecordOpening); err != nil {
		return nil, err
	}
	_, err = checkOpening(e)
	return e, err
}

// payloadProof makes what proves an opened payload to who does not have its contract.
func (c *Client) payloadProof(ctx context.Context, p *ledgerv1.RecordPublished, o *ledgerv1.RecordOpening) (*ledgerv1.CutProof, error) {
	if len(o.GetPayload()) == 0 || len(p.GetPayloadCommitment()) == 0 {
		return nil, nil
	}
	contract, err := c.book.version(ctx, p.GetContract(), p.GetContractVersion())
	if err != nil {
		return nil, err
	}
	_, proof, err := contract.layout.Cut(o.GetSecret(), o.GetPayload(), contract.layout.Fields)
	if err != nil {
		return nil, unproven("the opening's payload: %w", err)
	}
	return proof, nil
}

// Proven is what evidence proves.
type Proven struct {
	Receipt *Receipt
	Entry   *ledgerv1.LedgerEntry
	// Signed: the publisher's signature is in the evidence, and right. What nobody
	// signed has none; a holder may have left it out too.
	Signed bool
	// Opened: an opening is in the evidence, and what it shows is what the entry
	// commits to. One that is shown in part has salts in place of its secret; with
	// neither nothing ties it to the entry. Warnings, and whether a record came as
	// JSON, are committed to by nothing.
	Opened bool
}

// VerifyEvidence checks one entry alone and offline: that it is in the ledger, by
// the ledger's key, the publisher's signature, by the certificate whose hash the
// entry holds, and the opening, by the entry's commitments.
func VerifyEvidence(e *Evidence, ledgerKey string) (*Proven, error) {
	receipt, err := ReadReceipt(e.GetLeaf(), e.GetProof())
	if err != nil {
		return nil, err
	}
	if err := receipt.Verify(ledgerKey); err != nil {
		return nil, err
	}
	out := &Proven{Receipt: receipt, Entry: &ledgerv1.LedgerEntry{}}
	if err := proto.Unmarshal(e.GetLeaf(), out.Entry); err != nil {
		return nil, unproven("the leaf of entry %d does not decode", receipt.Index)
	}
	if out.Signed, err = checkPublisher(e); err != nil {
		return nil, err
	}
	if out.Opened, err = checkOpening(e); err != nil {
		return nil, err
	}
	return out, nil
}

// checkOpening checks an opening, and says whether one is there that something ties
// to its entry.
func checkOpening(e *Evidence) (bool, error) {
	entry := &ledgerv1.LedgerEntry{}
	if err := proto.Unmarshal(e.GetLeaf(), entry); err != nil {
		return false, unproven("the leaf does not decode")
	}
	record, read := e.GetRecordOpening(), e.GetReadOpening()
	switch {
	case record != nil && read != nil:
		return false, unproven("entry %d has one opening, the evidence two", entry.GetIndex())
	case read != nil:
		return checkReadOpening(entry, read)
	case record == nil:
		return false, nil
	case len(record.GetSecret()) == 0 && record.GetSalts() == nil:
		return false, nil
	}
	return checkRecordOpening(entry, record, e.GetCut())
}

func checkReadOpening(entry *ledgerv1.LedgerEntry, o *ledgerv1.ReadOpening) (bool, error) {
	if entry.GetPublished() != nil {
		return false, unproven("entry %d is a publication, and has no opening of a read", entry.GetIndex())
	}
	rooted := entry.GetReleased() != nil || entry.GetReceived() != nil // tied without any salt
	if len(o.GetSecret()) == 0 && o.GetSalts() == nil && !rooted {
		return false, nil
	}
	if err := verify.CheckReadOpening(entry, o); err != nil {
		return false, unproven("the opening of entry %d: %w", entry.GetIndex(), err)
	}
	return true, nil
}

func checkRecordOpening(entry *ledgerv1.LedgerEntry, o *ledgerv1.RecordOpening, cut *ledgerv1.CutProof) (bool, error) {
	p := entry.GetPublished()
	if p == nil {
		return false, unproven("entry %d is no publication, and has no opening of one", entry.GetIndex())
	}
	if err := verify.CheckRecordOpening(p, o); err != nil {
		return false, unproven("the opening of entry %d: %w", entry.GetIndex(), err)
	}
	if len(o.GetPayload()) == 0 {
		return true, nil
	}
	withheld, err := verify.CheckCut(p.GetContract(), p.GetContractVersion(), o.GetPayload(), cut, p.GetPayloadCommitment())
	if err != nil {
		return false, unproven("the opening of entry %d: %w", entry.GetIndex(), err)
	}
	if len(withheld) > 0 {
		return false, unproven("the opening of entry %d leaves out %d fields of the record", entry.GetIndex(), len(withheld))
	}
	return true, nil
}

// checkPublisher checks the publisher's signature, and says whether there is one.
func checkPublisher(e *Evidence) (bool, error) {
	if len(e.GetSignature()) == 0 && len(e.GetCertificate()) == 0 && len(e.GetStatements()) == 0 {
		return false, nil
	}
	entry := &ledgerv1.LedgerEntry{}
	if err := proto.Unmarshal(e.GetLeaf(), entry); err != nil {
		return false, unproven("the leaf does not decode")
	}
	if err := verify.CheckPublication(entry, e.GetStatements(), e.GetSignature(), e.GetCertificate()); err != nil {
		return false, unproven("entry %d: %w", entry.GetIndex(), err)
	}
	return true, nil
}
