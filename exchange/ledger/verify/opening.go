package verify

import (
	"bytes"
	"errors"
	"fmt"

	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// CheckRecordOpening checks that an opening, with its secret, is what a publication
// commits to: key, reason, successor, subjects and documents. The payload is for
// Layout.Commitment or CheckCut; warnings, and whether it came as JSON, are
// committed to by nothing.
func CheckRecordOpening(p *ledgerv1.RecordPublished, o *ledgerv1.RecordOpening) error {
	secret := o.GetSecret()
	switch {
	case len(secret) != SecretSize:
		return fmt.Errorf("the opening's secret has %d bytes, not %d", len(secret), SecretSize)
	case !bytes.Equal(p.GetKeyCommitment(), CommitText(Key, 0, secret, o.GetKey())):
		return errors.New("the key is not what the entry commits to")
	case !bytes.Equal(p.GetReasonCommitment(), CommitText(Reason, 0, secret, o.GetReason())):
		return errors.New("the reason is not what the entry commits to")
	case !bytes.Equal(p.GetSuccessorCommitment(), CommitText(Successor, 0, secret, o.GetSuccessor())):
		return errors.New("the successor is not what the entry commits to")
	case !bytes.Equal(p.GetDocumentsCommitment(), CommitDocuments(secret, o.GetDocuments())):
		return errors.New("the documents are not what the entry commits to")
	case len(p.GetSubjectCommitments()) != len(o.GetSubjects()):
		return fmt.Errorf("the entry commits to %d subjects, the opening has %d", len(p.GetSubjectCommitments()), len(o.GetSubjects()))
	}
	for i, s := range o.GetSubjects() {
		if h := CommitSubject(Subject, uint32(i), secret, s); !bytes.Equal(h[:], p.GetSubjectCommitments()[i]) {
			return fmt.Errorf("subject %d is not what the entry commits to", i)
		}
	}
	return nil
}
