package catalog

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Enrolment asks for a new system. Either Request or, with an outside CA,
// Certificate is given.
type Enrolment struct {
	ID          string
	Title       string
	Roles       []cataloguev1.Role
	Request     []byte
	Certificate []byte
	Days        int
}

// Enrolled is a system with the certificate that was issued or taken over.
type Enrolled struct {
	System      *cataloguev1.System
	Certificate *cataloguev1.Certificate
}

// EnrolSystem enrols a system and issues its certificate. An operator may. The
// repeat of a call, with the same key, gives the certificate of the first.
func (c *Catalogue) EnrolSystem(ctx context.Context, ch Change, e Enrolment) (*Enrolled, *journal.Commit, error) {
	name, err := identity.ParseName(e.ID)
	if err != nil {
		return nil, nil, err
	}
	if err := First(Text("system.title", e.Title, false), checkRoles(e.Roles)); err != nil {
		return nil, nil, err
	}
	certificate, err := c.certify(name, e.Request, e.Certificate, e.Days)
	if err != nil {
		return nil, nil, err
	}
	var result *Enrolled
	commit, err := c.Commit(ctx, ch, func(ctx context.Context, w *Write) (err error) {
		if result, err = w.enrol(ctx, name, e, certificate); err != nil {
			return err
		}
		return c.enrolled(ctx, w, result.System)
	})
	return result, commit, err
}

// enrolled makes what every system has.
func (c *Catalogue) enrolled(ctx context.Context, w *Write, s *cataloguev1.System) error {
	for _, makes := range c.onEnrol {
		entries, err := makes(ctx, w.Tx, w.Slot, s)
		if err != nil {
			return err
		}
		for _, e := range entries {
			w.enter(e)
		}
	}
	return nil
}

func checkRoles(roles []cataloguev1.Role) error {
	if len(roles) == 0 {
		return fault.Field("system.roles", "system.roles.required", "a system has at least one role")
	}
	for i, r := range roles {
		if RolesOf([]cataloguev1.Role{r}) == 0 || slices.Contains(roles[:i], r) {
			return fault.Field("system.roles", "system.roles.unknown", "names an unknown role, or one twice")
		}
	}
	set := RolesOf(roles)
	if set.Has(identity.Auditor, identity.Witness) && set.Has(identity.Department, identity.Operator) {
		return fault.Field("system.roles", "system.roles.separate", "who audits or witnesses neither exchanges nor operates")
	}
	return nil
}

// certify issues a certificate for a request, or checks the one that an outside
// CA issued.
func (c *Catalogue) certify(name identity.Name, request, certificate []byte, days int) (*x509.Certificate, error) {
	if len(certificate) == 0 {
		key, err := identity.ParseRequest(request)
		if err != nil {
			return nil, err
		}
		return c.Authority.Issue(name, key, days, c.Clock())
	}
	if len(request) != 0 {
		return nil, fault.Field("certificate", "certificate.either", "send a request or a certificate, not both")
	}
	if c.Authority.Issues() {
		return nil, fault.Field("certificate", "certificate.unexpected", "this exchange issues certificates itself; send a request")
	}
	parsed, err := identity.ParseCertificate(certificate)
	if err != nil {
		return nil, err
	}
	if err := c.Authority.Verify(parsed, nil, c.Clock()); err != nil {
		return nil, fault.Field("certificate", fault.RuleOf(err), "%s", fault.Status(err).Message())
	}
	if named, err := identity.NameOf(parsed); err != nil || named != name {
		return nil, fault.Field("certificate", "certificate.name", "does not name the system %s", name)
	}
	return parsed, nil
}

func (w *Write) enrol(ctx context.Context, name identity.Name, e Enrolment, certificate *x509.Certificate) (*Enrolled, error) {
	if err := w.RequireOperator(); err != nil {
		return nil, err
	}
	if p, err := w.Participant(ctx, name.Participant); err != nil || p == nil {
		if err == nil {
			err = fault.Field("system.participant", "participant.unknown", "is not registered; register it first")
		}
		return nil, err
	}
	old, err := w.System(ctx, name.String())
	if err != nil {
		return nil, err
	}
	if old != nil {
		return w.repeatEnrolment(ctx, old, e, certificate.PublicKey)
	}
	s := &cataloguev1.System{
		Id: name.String(), Participant: name.Participant, Name: name.System, Title: e.Title, Roles: e.Roles,
		State: cataloguev1.State_STATE_ACTIVE, EnrolledAt: w.At(),
	}
	if err := w.putSystem(ctx, s, "register", ""); err != nil {
		return nil, err
	}
	issued, err := w.issue(ctx, s.Id, certificate, "issue")
	return &Enrolled{s, issued}, err
}

// repeatEnrolment answers the repeat of an enrolment.
func (w *Write) repeatEnrolment(ctx context.Context, s *cataloguev1.System, e Enrolment, key crypto.PublicKey) (*Enrolled, error) {
	certificates, err := bodies[cataloguev1.Certificate](ctx, w.Tx, "SELECT body FROM certificates WHERE system = $1", s.Id)
	if err != nil {
		return nil, err
	}
	if s.Title == e.Title && slices.Equal(s.Roles, e.Roles) {
		for _, known := range certificates {
			if !known.Revoked && hasKey(known, key) {
				return &Enrolled{s, known}, errUnchanged
			}
		}
	}
	return nil, fault.New(fault.AlreadyExists, "system.exists", "a system of that name is enrolled; renew its certificate")
}

func hasKey(c *cataloguev1.Certificate, key crypto.PublicKey) bool {
	parsed, err := x509.ParseCertificate(c.Der)
	if err != nil {
		return false
	}
	k, ok := parsed.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(key)
}

// SuspendSystem suspends a system. An operator may, but not itself.
func (c *Catalogue) SuspendSystem(ctx context.Context, ch Change, id, reason string) (*cataloguev1.System, *journal.Commit, error) {
	if err := Reason(reason); err != nil {
		return nil, nil, err
	}
	return c.moveSystem(ctx, ch, id, cataloguev1.State_STATE_SUSPENDED, "suspend", reason)
}

// ResumeSystem ends a suspension. An operator may.
func (c *Catalogue) ResumeSystem(ctx context.Context, ch Change, id string) (*cataloguev1.System, *journal.Commit, error) {
	return c.moveSystem(ctx, ch, id, cataloguev1.State_STATE_ACTIVE, "resume", "")
}

func (c *Catalogue) moveSystem(ctx context.Context, ch Change, id string, to cataloguev1.State, change, reason string) (*cataloguev1.System, *journal.Commit, error) {
	var result *cataloguev1.System
	commit, err := c.Commit(ctx, ch, func(ctx context.Context, w *Write) error {
		if err := w.RequireOperator(); err != nil {
			return err
		}
		if w.Actor() == id && to != cataloguev1.State_STATE_ACTIVE {
			return errSelf()
		}
		s, err := w.System(ctx, id)
		if err != nil {
			return err
		}
		if s == nil {
			return fault.New(fault.NotFound, "system.unknown", "the catalogue has no such system")
		}
		result = s
		if s.State == to {
			return errUnchanged
		}
		s.State = to
		return w.putSystem(ctx, s, change, reason)
	})
	return result, commit, err
}

// System reads a system; nil if there is none.
func (w *Write) System(ctx context.Context, id string) (*cataloguev1.System, error) {
	return row[cataloguev1.System](ctx, w.Tx, "SELECT body FROM systems WHERE id = $1", id)
}

func (w *Write) putSystem(ctx context.Context, s *cataloguev1.System, change, reason string) error {
	body, err := Encode(s)
	if err != nil {
		return err
	}
	var version int64
	err = w.Tx.QueryRowContext(ctx, `INSERT INTO systems (id, participant, version, changed, body) VALUES ($1, $2, 1, $3, $4)
		ON CONFLICT (id) DO UPDATE SET version = systems.version + 1, changed = excluded.changed, body = excluded.body
		RETURNING version`, s.Id, s.Participant, int64(w.Slot.Policy), body).Scan(&version)
	if err != nil {
		return err
	}
	w.Changed(&ledgerv1.ObjectChanged{
		Object: "system", Id: s.Id, Change: change, Version: uint64(version), Parties: []string{s.Participant}, Reason: reason,
	}, body)
	return nil
}

// issue stores a certificate with its entry, which holds its bytes.
func (w *Write) issue(ctx context.Context, system string, c *x509.Certificate, change string) (*cataloguev1.Certificate, error) {
	fingerprint := sha256.Sum256(c.Raw)
	m := &cataloguev1.Certificate{
		Fingerprint: fingerprint[:], System: system, Serial: c.SerialNumber.Text(16),
		NotBefore: timestamppb.New(c.NotBefore), NotAfter: timestamppb.New(c.NotAfter), Der: c.Raw,
	}
	known, err := row[cataloguev1.Certificate](ctx, w.Tx, "SELECT body FROM certificates WHERE fingerprint = $1", fingerprint[:])
	if err != nil {
		return nil, err
	}
	if known != nil {
		return nil, fault.Field("certificate", "certificate.exists", "is enrolled already")
	}
	if err := w.putCertificate(ctx, m); err != nil {
		return nil, err
	}
	w.add(&ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Certificate{Certificate: &ledgerv1.CertificateChanged{
		System: system, Change: change, Certificate: c.Raw, Fingerprint: fingerprint[:], Policy: w.Slot.Policy,
	}}})
	return m, nil
}

func (w *Write) putCertificate(ctx context.Context, m *cataloguev1.Certificate) error {
	body, err := Encode(m)
	if err != nil {
		return err
	}
	_, err = w.Tx.ExecContext(ctx, `INSERT INTO certificates (fingerprint, system, changed, body) VALUES ($1, $2, $3, $4)
		ON CONFLICT (fingerprint) DO UPDATE SET changed = excluded.changed, body = excluded.body`,
		m.Fingerprint, m.System, int64(w.Slot.Policy), body)
	return err
}

// sameFingerprint says whether a caller calls by a certificate.
func sameFingerprint(a *identity.Caller, fingerprint []byte) bool {
	return a != nil && bytes.Equal(a.Fingerprint[:], fingerprint)
}
