package verify

import (
	"bytes"
	"fmt"

	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// CheckReadOpening checks that an opening, with its secret or shown in part, is what
// an entry that publishes nothing commits to, and has nothing besides. What is
// left out is no fault where it is not for everybody who sees the rest: the details
// of a check, the reason of a dispute whose record was erased, and whatever is not
// in a part.
func CheckReadOpening(e *ledgerv1.LedgerEntry, o *ledgerv1.ReadOpening) error {
	want, part, s := committedOf(e), o.GetSalts() != nil, salter{}
	if part || len(o.GetSecret()) > 0 { // some entries commit to nothing under a salt
		var err error
		if s, err = salterOf(o.GetSecret(), o.GetSalts()); err != nil {
			return err
		}
	}
	dispute := e.GetDisputed() != nil || e.GetDisputeAnswered() != nil
	for _, c := range []struct {
		what      string
		got, want []byte
		// mayMiss says that the opening may leave it out.
		mayMiss bool
	}{
		{"the person", s.text(Person, o.GetPerson()), want.person, part},
		{"the case", s.text(Case, o.GetCaseNumber()), want.number, part},
		{"what was asked for", question(s, o), want.question, part},
		{"the filter", filter(s, o, want.filter != nil), want.filter, part},
		{"the reason", s.text(Reason, o.GetReason()), want.reason, part || dispute},
		{"the answer", s.text(Answer, o.GetAnswer()), want.answer, part},
		{"the proof", s.text(Proof, string(o.GetProof())), want.proof, part},
		{"the document", document(s, o), want.document, part},
		{"what a check looked at", checked(s, e, o), want.details, true},
		{"the details", leaves(details(e, o), want.detailsRoot != nil), want.detailsRoot, false},
		{"the acknowledgements", leaves(o.GetAcknowledgements(), want.acknowledgementsRoot != nil), want.acknowledgementsRoot, false},
	} {
		if !bytes.Equal(c.got, c.want) && !(c.mayMiss && c.got == nil) {
			return fmt.Errorf("%s is not what the entry commits to", c.what)
		}
	}
	for _, c := range []struct {
		what string
		n    int
		of   func(i int) []byte
		want [][]byte
	}{
		{"consents", len(o.GetConsents()), func(i int) []byte { return s.commit(Consent, uint32(i), o.Consents[i]) }, want.consents},
		{"subjects", len(o.GetSubjects()), func(i int) []byte { return s.commit(Subject, uint32(i), subjectBytes(o.Subjects[i])) }, want.subjects},
		{"cases", len(o.GetCases()), func(i int) []byte { return s.commit(Case, uint32(i), []byte(o.Cases[i])) }, want.cases},
	} {
		if part && c.n == 0 {
			continue
		}
		if c.n != len(c.want) {
			return fmt.Errorf("the entry commits to %d %s, the opening has %d", len(c.want), c.what, c.n)
		}
		for i := range c.n {
			if !bytes.Equal(c.of(i), c.want[i]) {
				return fmt.Errorf("the %s are not those that the entry commits to", c.what)
			}
		}
	}
	return nil
}

// committed is what an entry commits to.
type committed struct {
	person, number, question, filter, reason, answer, proof, document, details []byte
	// Roots without salt.
	detailsRoot, acknowledgementsRoot []byte
	consents, subjects, cases         [][]byte
}

func committedOf(e *ledgerv1.LedgerEntry) committed {
	switch b := e.GetBody().(type) {
	case *ledgerv1.LedgerEntry_Refused:
		return committed{person: b.Refused.PersonCommitment, number: b.Refused.CaseCommitment}
	case *ledgerv1.LedgerEntry_Queried:
		q := b.Queried
		return committed{
			person: q.PersonCommitment, number: q.CaseCommitment, question: q.SubjectCommitment,
			detailsRoot: q.DetailsRoot, consents: q.ConsentCommitments,
		}
	case *ledgerv1.LedgerEntry_Released:
		return committed{person: b.Released.PersonCommitment, number: b.Released.CaseCommitment, detailsRoot: b.Released.DetailsRoot}
	case *ledgerv1.LedgerEntry_Received:
		return committed{acknowledgementsRoot: b.Received.Root}
	case *ledgerv1.LedgerEntry_Read:
		return committed{person: b.Read.PersonCommitment, filter: b.Read.FilterDigest}
	case *ledgerv1.LedgerEntry_CaseOpened:
		o := b.CaseOpened
		return committed{person: o.PersonCommitment, number: o.CaseCommitment, reason: o.ReasonCommitment, subjects: o.SubjectCommitments}
	case *ledgerv1.LedgerEntry_CaseClosed:
		return committed{person: b.CaseClosed.PersonCommitment, number: b.CaseClosed.CaseCommitment, reason: b.CaseClosed.OutcomeCommitment}
	case *ledgerv1.LedgerEntry_ConsentGiven:
		return committed{consents: [][]byte{b.ConsentGiven.ConsentCommitment}, subjects: [][]byte{b.ConsentGiven.SubjectCommitment}}
	case *ledgerv1.LedgerEntry_ConsentRevoked:
		return committed{consents: [][]byte{b.ConsentRevoked.ConsentCommitment}, subjects: [][]byte{b.ConsentRevoked.SubjectCommitment}}
	case *ledgerv1.LedgerEntry_Representation:
		r := b.Representation
		return committed{
			person: r.PersonCommitment, proof: r.ProofCommitment, consents: [][]byte{r.RepresentationCommitment},
			subjects: [][]byte{r.PrincipalCommitment, r.RepresentativeCommitment},
		}
	case *ledgerv1.LedgerEntry_Checked:
		k := b.Checked
		return committed{
			person: k.PersonCommitment, number: k.CaseCommitment, question: k.SubjectCommitment,
			answer: k.AnswerCommitment, details: k.DetailsCommitment, consents: k.ConsentCommitments,
		}
	case *ledgerv1.LedgerEntry_StatusAsked:
		return committed{question: b.StatusAsked.QuestionCommitment, answer: b.StatusAsked.AnswerCommitment}
	case *ledgerv1.LedgerEntry_Enrolled:
		return committed{person: b.Enrolled.PersonCommitment, subjects: b.Enrolled.SubjectCommitments, cases: b.Enrolled.CaseCommitments}
	}
	return committedOfOthers(e)
}

// forMaterials is an entry of the once-only step.
type forMaterials interface {
	GetPersonCommitment() []byte
	GetCaseCommitment() []byte
	GetSubjectCommitment() []byte
}

func committedOfOthers(e *ledgerv1.LedgerEntry) committed {
	var m forMaterials
	switch b := e.GetBody().(type) {
	case *ledgerv1.LedgerEntry_Disputed:
		return committed{person: b.Disputed.PersonCommitment, number: b.Disputed.CaseCommitment, reason: b.Disputed.ReasonCommitment}
	case *ledgerv1.LedgerEntry_DisputeAnswered:
		return committed{person: b.DisputeAnswered.PersonCommitment, reason: b.DisputeAnswered.ReasonCommitment}
	case *ledgerv1.LedgerEntry_DocumentStored:
		return committed{document: b.DocumentStored.DocumentCommitment}
	case *ledgerv1.LedgerEntry_DocumentReturned:
		return committed{document: b.DocumentReturned.DocumentCommitment}
	case *ledgerv1.LedgerEntry_Prepared:
		m = b.Prepared
	case *ledgerv1.LedgerEntry_Collected:
		m = b.Collected
	case *ledgerv1.LedgerEntry_Submitted:
		m = b.Submitted
	case *ledgerv1.LedgerEntry_Papers:
		m = b.Papers
	default:
		return committed{}
	}
	return committed{person: m.GetPersonCommitment(), number: m.GetCaseCommitment(), question: m.GetSubjectCommitment()}
}

// question commits to what was asked for: a subject or a record's key. One beside
// the other is committed to by nothing.
func question(s salter, o *ledgerv1.ReadOpening) []byte {
	switch {
	case o.GetSubject() != nil && o.GetKey() != "":
		return []byte("two questions")
	case o.GetSubject() != nil:
		return s.commit(Question, 0, subjectBytes(o.Subject))
	}
	return s.text(Question, o.GetKey())
}

// filter commits to a filter, which may be empty.
func filter(s salter, o *ledgerv1.ReadOpening, committed bool) []byte {
	if !committed {
		return s.text(Question, o.GetFilter())
	}
	return s.commit(Question, 0, []byte(o.GetFilter()))
}

func document(s salter, o *ledgerv1.ReadOpening) []byte {
	if o.GetDocument() == nil {
		return nil
	}
	return s.commit(Document, 0, DocumentBytes(o.Document))
}

// checked commits to what a check looked at.
func checked(s salter, e *ledgerv1.LedgerEntry, o *ledgerv1.ReadOpening) []byte {
	if e.GetChecked() == nil || len(o.GetDetails()) == 0 {
		return nil
	}
	root := rootOf(o.Details)
	return s.commit(Details, 0, root[:])
}

// details gives what left. What a check looked at did not.
func details(e *ledgerv1.LedgerEntry, o *ledgerv1.ReadOpening) [][]byte {
	if e.GetChecked() != nil {
		return nil
	}
	return o.GetDetails()
}

// leaves gives the root over leaves where an entry has one.
func leaves(list [][]byte, committed bool) []byte {
	if len(list) == 0 && !committed {
		return nil
	}
	root := rootOf(list)
	return root[:]
}

// PartOfRead gives what the other side of a read sees of its opening: the details,
// the acknowledgements and the reason, and the salts that prove them.
func PartOfRead(e *ledgerv1.LedgerEntry, o *ledgerv1.ReadOpening) *ledgerv1.ReadOpening {
	return &ledgerv1.ReadOpening{
		Details: o.Details, Acknowledgements: o.Acknowledgements, Reason: o.Reason,
		Salts: &ledgerv1.OpeningSalts{
			Reason: saltOf(Reason, 0, o.Secret, o.Reason != ""), Details: saltOf(Details, 0, o.Secret, e.GetChecked() != nil && len(o.Details) > 0),
		},
	}
}
