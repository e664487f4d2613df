package inspect

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Signature gives what the publisher's signature of an entry is checked by; nil if
// nobody signed. Of the call's other records it holds hashes alone, which tell
// nothing of them.
func (l *Ledger) Signature(ctx context.Context, e *ledgerv1.LedgerEntry) (*ledgerv1.CallSignature, error) {
	if e.GetPublished() == nil || len(e.ActorCertificate) == 0 {
		return nil, nil
	}
	call, err := l.callOf(ctx, e.Index-uint64(e.GetPublished().GetCall().GetBack()))
	if err != nil {
		return nil, err
	}
	statements, signature, err := verify.CallOf(call)
	if err != nil {
		return nil, fmt.Errorf("the call of entry %d: %w", e.Index, err)
	}
	if len(signature) == 0 {
		return nil, nil
	}
	var body []byte
	if err := l.DB.Reader().QueryRowContext(ctx, "SELECT body FROM certificates WHERE fingerprint = $1", e.ActorCertificate).Scan(&body); err != nil {
		return nil, fmt.Errorf("the certificate of entry %d: %w", e.Index, err)
	}
	certificate := &cataloguev1.Certificate{}
	if err := proto.Unmarshal(body, certificate); err != nil {
		return nil, err
	}
	signed := &ledgerv1.CallSignature{Signature: signature, Certificate: certificate.Der}
	for _, s := range statements {
		signed.Statements = append(signed.Statements, s[:])
	}
	return signed, nil
}

// callOf reads the publications of a call by its first entry.
func (l *Ledger) callOf(ctx context.Context, first uint64) ([]*ledgerv1.RecordPublished, error) {
	var call []*ledgerv1.RecordPublished
	for at, count := first, 1; len(call) < count; at++ {
		leaf, err := l.leaf(ctx, at)
		if err != nil {
			return nil, err
		}
		e, err := decode(leaf)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", at, err)
		}
		call = append(call, e.GetPublished())
		if at == first {
			head := e.GetPublished().GetCall()
			count = int(head.GetStatements()) - len(head.GetOmitted())
		}
	}
	return call, nil
}
