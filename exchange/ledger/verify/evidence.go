package verify

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// CheckPublication checks the publisher's signature of one publication alone, by
// the leaf hashes of its call's statements and the certificate that the entry names.
// That the entry is in the ledger is to be checked beside.
func CheckPublication(e *ledgerv1.LedgerEntry, statements [][]byte, signature, certificate []byte) error {
	p := e.GetPublished()
	if p == nil {
		return errors.New("publication: the entry is none, and only these are signed by their publisher")
	}
	if sum := sha256.Sum256(certificate); !bytes.Equal(sum[:], e.GetActorCertificate()) {
		return errors.New("publication: the certificate is not the one that the entry names")
	}
	parsed, err := x509.ParseCertificate(certificate)
	if err != nil {
		return fmt.Errorf("publication: the certificate does not parse: %w", err)
	}
	call := make([][HashSize]byte, len(statements))
	for i, s := range statements {
		if len(s) != HashSize {
			return fmt.Errorf("publication: statement %d has %d bytes", i, len(s))
		}
		call[i] = [HashSize]byte(s)
	}
	if at := p.GetCall().GetPosition(); int(at) >= len(call) || call[at] != StatementOf(p).LeafHash() {
		return errors.New("publication: what was signed is not what the entry says")
	}
	if err := CheckSignature(parsed.PublicKey, CallStatement(e.GetActor(), call), signature); err != nil {
		return fmt.Errorf("publication: %w", err)
	}
	return nil
}
