package verify

import (
	"bytes"
	"errors"
	"fmt"

	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// CheckRecordOpening checks that an opening, with its secret or shown in part with
// salts, is what a publication commits to: key, reason, successor, subjects and
// documents. The payload is for Layout.Commitment or CheckCut; warnings, and whether
// it came as JSON, are committed to by nothing.
func CheckRecordOpening(p *ledgerv1.RecordPublished, o *ledgerv1.RecordOpening) error {
	s, err := salterOf(o.GetSecret(), o.GetSalts())
	if err != nil {
		return err
	}
	switch {
	case !bytes.Equal(p.GetKeyCommitment(), s.text(Key, o.GetKey())):
		return errors.New("the key is not what the entry commits to")
	case !bytes.Equal(p.GetReasonCommitment(), s.text(Reason, o.GetReason())):
		return errors.New("the reason is not what the entry commits to")
	case !bytes.Equal(p.GetSuccessorCommitment(), s.text(Successor, o.GetSuccessor())):
		return errors.New("the successor is not what the entry commits to")
	case len(p.GetSubjectCommitments()) != len(o.GetSubjects()):
		return fmt.Errorf("the entry commits to %d subjects, the opening has %d", len(p.GetSubjectCommitments()), len(o.GetSubjects()))
	}
	for i, subject := range o.GetSubjects() {
		if !bytes.Equal(s.commit(Subject, uint32(i), subjectBytes(subject)), p.GetSubjectCommitments()[i]) {
			return fmt.Errorf("subject %d is not what the entry commits to", i)
		}
	}
	switch {
	case s.secret != nil:
		if !bytes.Equal(p.GetDocumentsCommitment(), CommitDocuments(s.secret, o.GetDocuments())) {
			return errors.New("the documents are not what the entry commits to")
		}
	case len(o.GetDocuments()) > 0 || len(o.GetPayload()) > 0:
		return errors.New("payload and documents are shown with the secret only")
	}
	return nil
}

// salter gives the salts of an opening: all by its secret, or those that came with it.
type salter struct {
	secret []byte
	salts  *ledgerv1.OpeningSalts
}

func salterOf(secret []byte, salts *ledgerv1.OpeningSalts) (salter, error) {
	switch {
	case salts == nil && len(secret) != SecretSize:
		return salter{}, fmt.Errorf("the opening's secret has %d bytes, not %d", len(secret), SecretSize)
	case salts != nil && len(secret) != 0:
		return salter{}, errors.New("an opening has its secret or salts, not both")
	}
	return salter{secret, salts}, nil
}

func (s salter) text(kind Kind, value string) []byte {
	if value == "" {
		return nil
	}
	return s.commit(kind, 0, []byte(value))
}

// commit makes a commitment; without its salt one that is no entry's.
func (s salter) commit(kind Kind, n uint32, value []byte) []byte {
	salt := s.given(kind, n)
	if s.secret != nil {
		derived := Salt(kind, n, s.secret)
		salt = derived[:]
	}
	if len(salt) != SaltSize {
		return []byte("no salt")
	}
	c := CommitWith(kind, n, [SaltSize]byte(salt), value)
	return c[:]
}

func (s salter) given(kind Kind, n uint32) []byte {
	switch kind {
	case Key:
		return s.salts.GetKey()
	case Reason:
		return s.salts.GetReason()
	case Successor:
		return s.salts.GetSuccessor()
	case Details:
		return s.salts.GetDetails()
	case Subject:
		if of := s.salts.GetSubjects(); int(n) < len(of) {
			return of[n]
		}
	}
	return nil
}

// PartOfRecord gives what an auditor sees of a publication's opening: neither payload
// nor documents, nor the secret by which they could be guessed and tried, but the
// salts that prove the rest.
func PartOfRecord(o *ledgerv1.RecordOpening) *ledgerv1.RecordOpening {
	salts := &ledgerv1.OpeningSalts{
		Key: saltOf(Key, 0, o.Secret, o.Key != ""), Reason: saltOf(Reason, 0, o.Secret, o.Reason != ""),
		Successor: saltOf(Successor, 0, o.Secret, o.Successor != ""),
	}
	for i := range o.Subjects {
		salts.Subjects = append(salts.Subjects, saltOf(Subject, uint32(i), o.Secret, true))
	}
	return &ledgerv1.RecordOpening{
		Key: o.Key, Subjects: o.Subjects, Reason: o.Reason, Successor: o.Successor, Warnings: o.Warnings, FromJson: o.FromJson, Salts: salts,
	}
}

func saltOf(kind Kind, n uint32, secret []byte, shown bool) []byte {
	if !shown {
		return nil
	}
	salt := Salt(kind, n, secret)
	return salt[:]
}
