package inspect

import (
	"bytes"
	"errors"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

var (
	errConsents = errors.New("the consents are not those that the entry commits to")
	errSubjects = errors.New("the subjects are not those that the entry commits to")
	errCases    = errors.New("the cases are not those that the entry commits to")
	errAnswer   = errors.New("the answer is not the one that the entry commits to")
	errReason   = errors.New("the reason is not the one that the entry commits to")
	errProof    = errors.New("the proof is not the one that the entry commits to")
)

// permission compares the opening of an entry of permissions, cases and consents
// with the entry, and gives what that says of person and case.
func (c *checker) permission(e *ledgerv1.LedgerEntry, o *ledgerv1.ReadOpening) (person, number []byte, err error) {
	switch b := e.Body.(type) {
	case *ledgerv1.LedgerEntry_CaseOpened:
		return b.CaseOpened.PersonCommitment, b.CaseOpened.CaseCommitment, errors.Join(
			subjects(o, b.CaseOpened.SubjectCommitments...), text(errReason, verify.Reason, o.Secret, o.Reason, b.CaseOpened.ReasonCommitment))
	case *ledgerv1.LedgerEntry_CaseClosed:
		return b.CaseClosed.PersonCommitment, b.CaseClosed.CaseCommitment,
			text(errReason, verify.Reason, o.Secret, o.Reason, b.CaseClosed.OutcomeCommitment)
	case *ledgerv1.LedgerEntry_ConsentGiven:
		g := b.ConsentGiven
		return nil, nil, errors.Join(consents(o, [][]byte{g.ConsentCommitment}), subjects(o, g.SubjectCommitment))
	case *ledgerv1.LedgerEntry_ConsentRevoked:
		r := b.ConsentRevoked
		return nil, nil, errors.Join(consents(o, [][]byte{r.ConsentCommitment}), subjects(o, r.SubjectCommitment))
	case *ledgerv1.LedgerEntry_Representation:
		r := b.Representation
		return r.PersonCommitment, nil, errors.Join(
			subjects(o, r.PrincipalCommitment, r.RepresentativeCommitment), consents(o, [][]byte{r.RepresentationCommitment}),
			text(errProof, verify.Proof, o.Secret, string(o.Proof), r.ProofCommitment))
	case *ledgerv1.LedgerEntry_Checked:
		k := b.Checked
		if !bytes.Equal(k.SubjectCommitment, question(o)) {
			return nil, nil, errQuestion
		}
		return k.PersonCommitment, k.CaseCommitment, errors.Join(
			consents(o, k.ConsentCommitments), text(errAnswer, verify.Answer, o.Secret, o.Answer, k.AnswerCommitment),
			c.lookedAt(e.Index, o, k.DetailsCommitment))
	case *ledgerv1.LedgerEntry_StatusAsked:
		a := b.StatusAsked
		if !bytes.Equal(a.QuestionCommitment, question(o)) {
			return nil, nil, errQuestion
		}
		return nil, nil, text(errAnswer, verify.Answer, o.Secret, o.Answer, a.AnswerCommitment)
	case *ledgerv1.LedgerEntry_Enrolled:
		n := b.Enrolled
		return n.PersonCommitment, nil, errors.Join(subjects(o, n.SubjectCommitments...), cases(o, n.CaseCommitments))
	case *ledgerv1.LedgerEntry_Disputed:
		d := b.Disputed
		return d.PersonCommitment, d.CaseCommitment, c.reason(e.Index, o, d.ReasonCommitment)
	case *ledgerv1.LedgerEntry_DisputeAnswered:
		d := b.DisputeAnswered
		return d.PersonCommitment, nil, c.reason(e.Index, o, d.ReasonCommitment)
	}
	if m := materialsOf(e); m != nil {
		if !bytes.Equal(m.GetSubjectCommitment(), question(o)) {
			return nil, nil, errQuestion
		}
		return m.GetPersonCommitment(), m.GetCaseCommitment(), nil
	}
	return nil, nil, nil
}

func text(otherwise error, kind verify.Kind, secret []byte, value string, want []byte) error {
	if !bytes.Equal(verify.CommitText(kind, 0, secret, value), want) {
		return otherwise
	}
	return nil
}

func consents(o *ledgerv1.ReadOpening, want [][]byte) error {
	return commitsTo(errConsents, len(o.Consents), want, func(i int) [verify.HashSize]byte {
		return verify.Commit(verify.Consent, uint32(i), o.Secret, o.Consents[i])
	})
}

func subjects(o *ledgerv1.ReadOpening, want ...[]byte) error {
	return commitsTo(errSubjects, len(o.Subjects), want, func(i int) [verify.HashSize]byte {
		return verify.CommitSubject(verify.Subject, uint32(i), o.Secret, o.Subjects[i])
	})
}

func cases(o *ledgerv1.ReadOpening, want [][]byte) error {
	return commitsTo(errCases, len(o.Cases), want, func(i int) [verify.HashSize]byte {
		return verify.Commit(verify.Case, uint32(i), o.Secret, []byte(o.Cases[i]))
	})
}

func commitsTo(otherwise error, n int, want [][]byte, of func(i int) [verify.HashSize]byte) error {
	if n != len(want) {
		return otherwise
	}
	for i := range n {
		if h := of(i); !bytes.Equal(h[:], want[i]) {
			return otherwise
		}
	}
	return nil
}
