package sdk

import (
	"crypto"
	"crypto/x509"
	"io"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Audit is what an offline check of a whole ledger found.
type Audit struct {
	Entries uint64
	// Kinds counts entries by what they say: "published", "released", …
	Kinds map[string]uint64
	// SignedCalls had the publisher's signature, which was checked against the
	// certificate that the ledger says was issued to it; UnsignedCalls had none.
	SignedCalls, UnsignedCalls uint64
	// OwnCalls are the exchange's own, on its own topics or of what a restored
	// backup brought back: the signed checkpoint stands for them.
	OwnCalls uint64
	// SnapshotCalls are removals that the end of a full load asks for, whose
	// signature was checked if it has one.
	SnapshotCalls uint64
	// Certificates is how many were issued or renewed.
	Certificates uint64
	// Persons is how many officials were enrolled, each with a proof that it holds
	// its key, which was checked.
	Persons uint64
	// Steps is how many steps of agreements there are, each checked by the
	// signatures of its system and its official and against the step before.
	Steps uint64
}

// AuditExport verifies an exported ledger as VerifyExport does and, beyond the
// tree, every publisher's signature over every call, by the certificates whose
// issue the ledger itself records. It needs neither the exchange nor any secret.
func AuditExport(r io.Reader, checkpoint, ledgerKey string) (*Audit, error) {
	v, err := verify.NewCheckpointVerifier(ledgerKey)
	if err != nil {
		return nil, err
	}
	a := &auditor{audit: Audit{Kinds: map[string]uint64{}}, keys: map[string]crypto.PublicKey{}, origin: v.Origin()}
	a.steps = verify.Steps{Origin: v.Origin(), Persons: &a.persons, Key: func(f []byte) crypto.PublicKey { return a.keys[string(f)] }}
	a.snapshots = verify.Snapshots{Origin: a.origin, Key: func(fingerprint []byte) crypto.PublicKey { return a.keys[string(fingerprint)] }}
	if _, err := VerifyExport(r, checkpoint, ledgerKey, a.entry); err != nil {
		return nil, err
	}
	return &a.audit, a.endCall()
}

type auditor struct {
	audit Audit
	// keys has the public key of each certificate by its fingerprint.
	keys      map[string]crypto.PublicKey
	snapshots verify.Snapshots
	origin    string
	persons   verify.Persons
	steps     verify.Steps
	// call has the entries of the call being read, and who made it.
	call        []*ledgerv1.RecordPublished
	first       uint64
	actor       string
	certificate string
}

func (a *auditor) entry(e *ledgerv1.LedgerEntry) error {
	m := e.ProtoReflect()
	body := m.WhichOneof(m.Descriptor().Oneofs().ByName("body"))
	if body == nil {
		return unproven("entry %d says nothing", e.GetIndex())
	}
	a.audit.Entries++
	a.audit.Kinds[string(body.Name())]++
	published := e.GetPublished()
	if published == nil || published.GetCall().GetBack() == 0 {
		if err := a.endCall(); err != nil {
			return err
		}
	}
	if err := a.snapshots.Entry(e); err != nil {
		return unproven("entry %d: %w", e.GetIndex(), err)
	}
	switch {
	case published != nil:
		return a.published(e, published)
	case e.GetCertificate() != nil:
		return a.issued(e.GetCertificate())
	case e.GetStepped() != nil:
		if err := a.steps.Entry(e); err != nil {
			return unproven("entry %d: %w", e.GetIndex(), err)
		}
		a.audit.Steps++
	case e.GetPerson() != nil:
		if err := a.persons.Enter(a.origin, e.GetPerson()); err != nil {
			return unproven("%w", err)
		}
		if e.GetPerson().GetChange() == "enrol" {
			a.audit.Persons++
		}
	}
	return nil
}

func (a *auditor) published(e *ledgerv1.LedgerEntry, p *ledgerv1.RecordPublished) error {
	if p.GetCall().GetBack() == 0 {
		a.first, a.actor, a.certificate = e.GetIndex(), e.GetActor(), string(e.GetActorCertificate())
	}
	if int(p.GetCall().GetBack()) != len(a.call) || e.GetActor() != a.actor || string(e.GetActorCertificate()) != a.certificate {
		return unproven("the entry is not part of the call before it")
	}
	if err := verify.CheckPublisher(e, p); err != nil {
		return unproven("entry %d: %w", e.GetIndex(), err)
	}
	a.call = append(a.call, p)
	return nil
}

// endCall checks the signature of the call that was read.
func (a *auditor) endCall() error {
	if len(a.call) == 0 {
		return nil
	}
	statements, signature, err := verify.CallOf(a.call)
	removals := verify.BySnapshot(a.call)
	a.call = a.call[:0]
	if err != nil {
		return unproven("the call of entry %d: %w", a.first, err)
	}
	if len(signature) == 0 && removals {
		a.audit.SnapshotCalls++
		return nil
	}
	if len(signature) == 0 {
		if a.actor == "" {
			a.audit.OwnCalls++
			return nil
		}
		a.audit.UnsignedCalls++
		return nil
	}
	key := a.keys[a.certificate]
	if key == nil {
		return unproven("the call of entry %d is by a certificate that was never issued", a.first)
	}
	if err := verify.CheckSignature(key, verify.CallStatement(a.actor, statements), signature); err != nil {
		return unproven("the call of entry %d: %w", a.first, err)
	}
	a.audit.SignedCalls++
	return nil
}

// issued notes the key of a certificate.
func (a *auditor) issued(c *ledgerv1.CertificateChanged) error {
	if len(c.GetCertificate()) == 0 {
		return nil
	}
	parsed, err := x509.ParseCertificate(c.GetCertificate())
	if err != nil {
		return unproven("the certificate of %s does not parse", c.GetSystem())
	}
	a.audit.Certificates++
	a.keys[string(c.GetFingerprint())] = parsed.PublicKey
	return nil
}
