package agreement

import (
	"crypto/sha256"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const (
	maxStatement = 16 << 10
	maxNote      = 300
	maxMissing   = 50
	// MaxSkew is how far the time that a statement is signed at may be from that
	// of its entry.
	MaxSkew = 5 * time.Minute
)

// asked is a step that was asked for.
type asked struct {
	*accessv1.TakeStepRequest
	says *ledgerv1.StepStatement
	// signed are the bytes that system and person sign.
	signed []byte
}

// read checks what needs no look at the agreement.
func (a *Agreements) read(by *identity.Caller, r *accessv1.TakeStepRequest) (*asked, error) {
	if len(r.Statement) == 0 || len(r.Statement) > maxStatement {
		return nil, fault.Field("statement", "step.statement.size", "has 1 to %d bytes: a marshalled StepStatement", maxStatement)
	}
	s := &ledgerv1.StepStatement{}
	if err := proto.Unmarshal(r.Statement, s); err != nil || len(s.ProtoReflect().GetUnknown()) > 0 {
		return nil, fault.Field("statement", "step.statement.format", "is no marshalled StepStatement")
	}
	if err := checkWords(s); err != nil {
		return nil, err
	}
	q := &asked{TakeStepRequest: r, says: s, signed: verify.GrantStepStatement(by.System, r.Statement)}
	switch {
	case s.LedgerOrigin != a.Origin:
		return nil, fault.New(fault.Denied, "step.origin", "the statement is for another ledger than %s", a.Origin)
	case verify.CheckSignature(by.PublicKey, q.signed, r.Signature) != nil:
		return nil, fault.New(fault.Denied, "step.signature", "the statement is not signed by the calling system's certificate key")
	case s.Step != "request" && len(r.Terms) > 0:
		return nil, fault.Field("terms", "grant.terms.step", "come with the step request only")
	}
	return q, nil
}

// checkWords checks the texts, which stand in the ledger for good.
func checkWords(s *ledgerv1.StepStatement) error {
	if len(s.Note) > maxNote {
		return fault.Field("statement.note", "step.note.size", "has more than %d bytes", maxNote)
	}
	if err := catalog.Text("statement.note", s.Note, false); err != nil {
		return err
	}
	if (s.Step == "return") != (len(s.Missing) > 0) || len(s.Missing) > maxMissing {
		return fault.Field("statement.missing", "step.missing", "a return names all that is missing, at most %d things; no other step does", maxMissing)
	}
	for _, m := range s.Missing {
		if len(m) > maxNote {
			return fault.Field("statement.missing", "step.missing.size", "has more than %d bytes", maxNote)
		}
		if err := catalog.Text("statement.missing", m, true); err != nil {
			return err
		}
	}
	return nil
}

// fits checks that a statement is made for where the version stands, now.
func (q *asked) fits(g *accessv1.Grant, at int64) error {
	terms := sha256.Sum256(g.Terms)
	var before []byte
	if n := len(g.Steps); n > 0 {
		before = g.Steps[n-1].Statement
	}
	switch {
	case string(q.says.TermsDigest) != string(terms[:]):
		return fault.New(fault.Denied, "step.terms", "the statement is about other terms than the version's")
	case string(q.says.Previous) != string(digest(before)):
		return fault.New(fault.Denied, "step.previous", "the statement does not follow the last step; read the agreement anew")
	case time.Duration(abs(q.says.SignedAtUs-at))*time.Microsecond > MaxSkew:
		return fault.New(fault.Denied, "step.time", "the statement was signed more than %v from now; sign it anew", MaxSkew)
	}
	return nil
}

// digest is the SHA-256 of a statement; nil of none.
func digest(statement []byte) []byte {
	if len(statement) == 0 {
		return nil
	}
	d := sha256.Sum256(statement)
	return d[:]
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
