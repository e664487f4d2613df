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
	_, err = checkPublisher(e)
	return e, err
}

// Proven is what evidence proves.
type Proven struct {
	Receipt *Receipt
	Entry   *ledgerv1.LedgerEntry
	// Signed: the publisher's signature is in the evidence, and right. What nobody
	// signed has none; a holder may have left it out too.
	Signed bool
}

// VerifyEvidence checks one entry alone and offline: that it is in the ledger, by
// the ledger's key, and the publisher's signature, by the certificate whose hash the
// entry holds. It says nothing about openings.
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
	out.Signed, err = checkPublisher(e)
	return out, err
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
