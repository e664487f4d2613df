package catalog

import (
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// standing is everything that a caller's right to call rests on.
type standing struct {
	participant *cataloguev1.Participant
	system      *cataloguev1.System
	revoked     bool
	notBefore   time.Time
	notAfter    time.Time
}

// check refuses a caller that may not call now.
func (s standing) check(now time.Time) error {
	switch {
	case s.revoked:
		return fault.New(fault.Unauthenticated, "certificate.revoked", "the certificate was revoked; ask the operator for another")
	case now.After(s.notAfter):
		return fault.New(fault.Unauthenticated, "certificate.expired", "the certificate expired; ask the operator to renew it")
	case now.Before(s.notBefore):
		return fault.New(fault.Unauthenticated, "certificate.not_yet_valid", "the certificate is not valid yet; compare the clocks")
	case s.system == nil || s.participant == nil:
		return fault.New(fault.Unauthenticated, "system.unknown", "the certificate's system is not in the catalogue")
	case s.system.State != cataloguev1.State_STATE_ACTIVE:
		return fault.New(fault.Unauthenticated, "system.suspended", "the system is suspended; ask the operator")
	case s.participant.State != cataloguev1.State_STATE_ACTIVE:
		return fault.New(fault.Unauthenticated, "participant.suspended", "the participant is suspended; ask the operator")
	}
	return nil
}

// Caller finds the system that a certificate belongs to, by the SHA-256 of the
// certificate. With an error it may not call now; the caller is given beside the
// error where the exchange knows it, so that the refusal can name it.
func (r *Registry) Caller(fingerprint [32]byte) (*identity.Caller, error) {
	r.mu.RLock()
	c := r.certificates[fingerprint]
	if c == nil {
		r.mu.RUnlock()
		return nil, fault.New(fault.Unauthenticated, "certificate.unknown", "the certificate is not enrolled on this exchange")
	}
	caller := c.caller // of the same moment as its standing
	s := standing{
		participant: r.participants[caller.Participant], system: r.systems[caller.System],
		revoked: c.revoked, notBefore: c.notBefore, notAfter: c.notAfter,
	}
	r.mu.RUnlock()
	return caller, s.check(r.clock())
}

// RolesOf turns the API's roles into a set.
func RolesOf(roles []cataloguev1.Role) identity.Roles {
	var set identity.Roles
	for _, r := range roles {
		switch r {
		case cataloguev1.Role_ROLE_DEPARTMENT:
			set |= identity.RolesOf(identity.Department)
		case cataloguev1.Role_ROLE_OPERATOR:
			set |= identity.RolesOf(identity.Operator)
		case cataloguev1.Role_ROLE_AUDITOR:
			set |= identity.RolesOf(identity.Auditor)
		case cataloguev1.Role_ROLE_WITNESS:
			set |= identity.RolesOf(identity.Witness)
		}
	}
	return set
}
