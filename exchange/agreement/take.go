package agreement

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

func errUnknown() error {
	return fault.New(fault.NotFound, "grant.unknown", "there is no such version of a grant")
}

// Take takes a step. A repeat of the last step changes nothing.
func (a *Agreements) Take(ctx context.Context, by *identity.Caller, r *accessv1.TakeStepRequest) (*accessv1.Grant, *journal.Commit, error) {
	q, err := a.read(by, r)
	if err != nil {
		return nil, nil, err
	}
	side := access.Side(q.says.Side)
	ch := catalog.Change{Actor: by, ValidateOnly: r.ValidateOnly, Quiet: !binds(q.says.Step, side)}
	var terms *accessv1.Grant
	if q.says.Step == "request" {
		if err := a.roomFor(ctx, by); err != nil {
			return nil, nil, err
		}
		if terms, err = a.Policy.Terms(r.Terms); err != nil {
			return nil, nil, err
		}
	}
	var result *accessv1.Grant
	commit, err := a.Policy.Commit(ctx, ch, func(ctx context.Context, w *catalog.Write) error {
		var err error
		if terms != nil {
			result, err = a.request(ctx, w, q, proto.CloneOf(terms))
		} else {
			result, err = a.take(ctx, w, q)
		}
		return err
	})
	return result, commit, err
}

// roomFor refuses a participant that has too many requests open, before any of
// its requests costs a transaction.
func (a *Agreements) roomFor(ctx context.Context, by *identity.Caller) error {
	var open, limit = 0, a.Policy.Catalogue.Settings().MaxOpenRequests
	err := a.DB.Reader().QueryRowContext(ctx, "SELECT count(*) FROM grants WHERE applicant = $1 AND pending = 1", by.Participant).Scan(&open)
	if err == nil && open >= limit {
		return fault.New(fault.Denied, "grant.requests.limit", "your department has %d requests that are not answered; %d is the limit", open, limit)
	}
	return err
}

// request begins a version: the first of a grant, or the next.
func (a *Agreements) request(ctx context.Context, w *catalog.Write, q *asked, g *accessv1.Grant) (*accessv1.Grant, error) {
	g.Id, g.Version, g.CreatedAt = q.says.Grant, uint64(q.says.Version), w.At()
	if g.Id == "" {
		// By its statement: a request that is sent twice is one.
		id := sha256.Sum256(q.Statement)
		g.Id = hex.EncodeToString(id[:10])
	}
	before, err := access.Newest(ctx, w.Tx, g.Id)
	if err != nil {
		return nil, err
	}
	if before != nil && isLast(before, q) {
		return before, w.Unchanged()
	}
	if err := access.CheckSides(ctx, w, g); err != nil {
		return nil, err
	}
	if err := a.follows(ctx, w, q, g, before); err != nil {
		return nil, err
	}
	return g, a.settle(ctx, w, q, g, lineOf("request", access.Consumer, none))
}

// follows checks that a version may follow the one before.
func (a *Agreements) follows(ctx context.Context, w *catalog.Write, q *asked, g, before *accessv1.Grant) error {
	side, err := access.SideIn(ctx, w, g)
	if err != nil {
		return err
	}
	if side != access.Consumer || q.says.Side != string(access.Consumer) {
		return fault.New(fault.Denied, "grant.side", "a grant is requested by the department that is to use it")
	}
	if before == nil {
		if q.says.Grant != "" {
			return errUnknown()
		}
		if q.says.Version != 1 {
			return fault.Field("statement.version", "grant.version", "the first version of a grant is 1")
		}
		return nil
	}
	switch {
	case before.Topic != g.Topic || before.Consumer != g.Consumer:
		return fault.Field("terms.topic", "grant.version.sides", "topic and consumer of a grant do not change; request another grant")
	case access.Pending(before.State):
		return fault.New(fault.Conflict, "grant.pending", "version %d is not answered yet", before.Version)
	case before.State == suspended || before.State == terminated || before.State == disposed:
		return fault.New(fault.Conflict, "grant.state", "a grant that is suspended or ended has no next version; request another grant")
	case g.Version != before.Version+1:
		return fault.Field("statement.version", "grant.version", "the next version is %d", before.Version+1)
	}
	g.Resubmitted = before.State == returned
	return nil
}

// take takes a step on a version that exists.
func (a *Agreements) take(ctx context.Context, w *catalog.Write, q *asked) (*accessv1.Grant, error) {
	g, err := version(ctx, w.Tx, q.says.Grant, uint64(q.says.Version))
	if err != nil {
		return nil, err
	}
	if g == nil {
		return nil, errUnknown()
	}
	side, err := access.SideIn(ctx, w, g)
	if err != nil {
		return nil, err
	}
	switch {
	case side == "":
		return nil, errUnknown() // who is on no side learns nothing of it
	case string(side) != q.says.Side:
		return nil, fault.New(fault.Denied, "grant.side", "your system is on the side of the %s, and the statement says %q", side, q.says.Side)
	case isLast(g, q):
		return g, w.Unchanged()
	case g.RecordedOutside:
		return nil, fault.New(fault.Conflict, "grant.recorded_outside", "the grant was agreed outside the exchange: nobody signed it here; suspend and resume it, or request its next version")
	}
	if err := a.newest(ctx, w, g); err != nil {
		return nil, err
	}
	line := lineOf(q.says.Step, side, a.state(g))
	if line == nil {
		return nil, fault.New(fault.Conflict, "grant.state", "the %s cannot %s a version that is %s", side, clean(q.says.Step), stateName(a.state(g)))
	}
	return g, a.settle(ctx, w, q, g, line)
}

// newest refuses steps on a version that another has replaced.
func (a *Agreements) newest(ctx context.Context, w *catalog.Write, g *accessv1.Grant) error {
	force, err := access.InForce(ctx, w.Tx, g.Id)
	if err == nil && force != nil && force.Version > g.Version {
		return fault.New(fault.Conflict, "grant.superseded", "version %d is in force", force.Version)
	}
	return err
}

// isLast says whether a step is the one taken last: the call is a repeat.
func isLast(g *accessv1.Grant, q *asked) bool {
	n := len(g.Steps)
	return n > 0 && string(g.Steps[n-1].Statement) == string(q.Statement)
}

// state is a version's, with what follows from its dates.
func (a *Agreements) state(g *accessv1.Grant) State {
	if (g.State == active || g.State == suspended) && access.Ended(g, access.DayOf(a.Clock())) {
		return expired
	}
	return g.State
}

// settle checks the statement and who signed it, moves the version and writes it
// with the step's entry.
func (a *Agreements) settle(ctx context.Context, w *catalog.Write, q *asked, g *accessv1.Grant, line *step) error {
	if err := q.fits(g, w.Slot.At); err != nil {
		return err
	}
	if line.note && q.says.Note == "" {
		return fault.Field("statement.note", "step.note.required", "say why")
	}
	applicant, err := access.Applicant(ctx, w, g.Consumer)
	if err != nil {
		return err
	}
	if err := a.signer(ctx, w, q, g, line); err != nil {
		return err
	}
	late, err := a.move(ctx, w, q, g, line, applicant)
	if err != nil {
		return err
	}
	s := &accessv1.GrantStep{
		Side: string(line.side), Step: line.name, System: w.Actor(), Person: hex.EncodeToString(q.says.Person), Note: q.says.Note, At: w.At(),
		Signature: q.Signature, Statement: q.Statement, PersonSignature: q.PersonSignature, Missing: q.says.Missing, Late: late, Entry: w.Slot.Index,
	}
	if len(line.by) > 0 {
		s.Capacity = string(line.by[0])
	}
	g.Steps = append(g.Steps, s)
	body, err := access.Put(ctx, w, g, applicant)
	if err != nil {
		return err
	}
	stands := sha256.Sum256(body)
	entry := &ledgerv1.GrantStepped{
		Grant: g.Id, Version: uint32(g.Version), Topic: g.Topic, Provider: g.Provider, Consumer: g.Consumer, Side: string(line.side), Step: line.name,
		Statement: q.Statement, Signature: q.Signature, Person: q.says.Person, PersonSignature: q.PersonSignature,
		Digest: stands[:], State: uint32(g.State),
	}
	if binds(line.name, line.side) {
		entry.Policy = w.Slot.Policy
	}
	w.Enter(&ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Stepped{Stepped: entry}})
	return nil
}

// signer checks the person who signs a step: enrolled, able, and another than
// who took the step that it approves.
func (a *Agreements) signer(ctx context.Context, w *catalog.Write, q *asked, g *accessv1.Grant, line *step) error {
	if len(line.by) == 0 {
		if len(q.says.Person)+len(q.PersonSignature) > 0 {
			return fault.Field("statement.person", "step.person", "no person signs this step")
		}
		return nil
	}
	p, err := catalog.PersonIn(ctx, w.Tx, q.says.Person)
	if err != nil {
		return err
	}
	if err := catalog.Signed(p, a.Verifier, w.Caller().Participant, q.signed, q.PersonSignature, line.by...); err != nil {
		return err
	}
	for i := len(g.Steps) - 1; i >= 0 && len(line.after) > 0; i-- {
		s := g.Steps[i]
		if s.Side != string(line.side) || s.Step != line.after[0] {
			continue
		}
		fingerprint, err := hex.DecodeString(s.Person)
		if err != nil {
			return err
		}
		first, err := catalog.PersonIn(ctx, w.Tx, fingerprint)
		if err != nil {
			return err
		}
		if first == nil || first.Fingerprint == p.Fingerprint || first.Reference == p.Reference {
			return fault.New(fault.Denied, "approval.same_person", "who approves is another person than who prepared it")
		}
		return nil
	}
	return nil
}
