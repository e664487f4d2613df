package catalog

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// maxCertificates bounds the certificates of a system that have not expired,
// revoked ones too: a system that renews without end would make every reader of
// them slow. An operator may go past it.
const maxCertificates = 64

// renewRepeat is how long a renewal with the same key counts as the repeat of
// the one before.
const renewRepeat = 10 * time.Minute

// RenewCertificate issues a further certificate to an enrolled system: its own
// if system is empty. The system itself may ask, and an operator. The
// certificates before stay valid, so that the system can change over.
func (c *Catalogue) RenewCertificate(ctx context.Context, ch Change, system string, request []byte, days int) (*cataloguev1.Certificate, *journal.Commit, error) {
	if system == "" && ch.Actor != nil {
		system = ch.Actor.System
	}
	name, err := identity.ParseName(system)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := c.certify(name, request, nil, days)
	if err != nil {
		return nil, nil, err
	}
	var result *cataloguev1.Certificate
	commit, err := c.Commit(ctx, ch, func(ctx context.Context, w *Write) (err error) {
		result, err = w.renew(ctx, system, certificate, c.Clock())
		return err
	})
	return result, commit, err
}

func (w *Write) renew(ctx context.Context, system string, certificate *x509.Certificate, now time.Time) (*cataloguev1.Certificate, error) {
	if w.Actor() != system {
		if err := w.RequireOperator(); err != nil {
			return nil, err
		}
	}
	s, err := w.System(ctx, system)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, fault.New(fault.NotFound, "system.unknown", "the catalogue has no such system")
	}
	certificates, err := bodies[cataloguev1.Certificate](ctx, w.Tx, "SELECT body FROM certificates WHERE system = $1", system)
	if err != nil {
		return nil, err
	}
	current := 0
	for _, known := range certificates {
		if known.NotAfter.AsTime().After(now) {
			current++
		}
		recent := now.Sub(known.NotBefore.AsTime()) < renewRepeat
		same := known.NotAfter.AsTime().Sub(known.NotBefore.AsTime()).Round(24*time.Hour) == certificate.NotAfter.Sub(certificate.NotBefore).Round(24*time.Hour)
		if recent && same && !known.Revoked && hasKey(known, certificate.PublicKey) {
			return known, errUnchanged
		}
	}
	if current >= maxCertificates && w.RequireOperator() != nil {
		return nil, fault.New(fault.TooLarge, "certificate.number",
			"the system has %d certificates that have not expired; use one of them, or ask the operator", current)
	}
	return w.issue(ctx, system, certificate, "renew")
}

// RevokeCertificate revokes a certificate: it is refused within a second, on
// open connections too. An operator may, and any system one of its own, but
// nobody the one that it calls by.
func (c *Catalogue) RevokeCertificate(ctx context.Context, ch Change, fingerprint []byte, reason string) (*cataloguev1.Certificate, *journal.Commit, error) {
	if len(fingerprint) != 32 {
		return nil, nil, fault.Field("fingerprint", "fingerprint.size", "is the certificate's SHA-256, 32 bytes")
	}
	if err := Reason(reason); err != nil {
		return nil, nil, err
	}
	var result *cataloguev1.Certificate
	commit, err := c.Commit(ctx, ch, func(ctx context.Context, w *Write) (err error) {
		result, err = w.revoke(ctx, fingerprint, reason)
		return err
	})
	return result, commit, err
}

func (w *Write) revoke(ctx context.Context, fingerprint []byte, reason string) (*cataloguev1.Certificate, error) {
	m, err := row[cataloguev1.Certificate](ctx, w.Tx, "SELECT body FROM certificates WHERE fingerprint = $1", fingerprint)
	if err != nil {
		return nil, err
	}
	if m == nil || m.System != w.Actor() {
		if err := w.RequireOperator(); err != nil {
			return nil, err
		}
	}
	switch {
	case m == nil:
		return nil, fault.New(fault.NotFound, "certificate.unknown", "no such certificate is enrolled")
	case sameFingerprint(w.actor, fingerprint):
		return nil, errSelf()
	case m.Revoked:
		return m, errUnchanged
	}
	m.Revoked, m.Reason = true, reason
	if err := w.putCertificate(ctx, m); err != nil {
		return nil, err
	}
	w.add(&ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Certificate{Certificate: &ledgerv1.CertificateChanged{
		System: m.System, Change: "revoke", Fingerprint: fingerprint, Reason: reason, Policy: w.Slot.Policy,
	}}})
	return m, nil
}
