package sdk

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// Representation says who may act for whom, as the exchange keeps it.
type Representation = accessv1.RecordedRepresentation

// Who acts for another.
const (
	Guardian            = accessv1.RepresentationKind_REPRESENTATION_KIND_GUARDIAN
	Agent               = accessv1.RepresentationKind_REPRESENTATION_KIND_AGENT
	LegalRepresentative = accessv1.RepresentationKind_REPRESENTATION_KIND_LEGAL_REPRESENTATIVE
)

// NewRepresentation says who is to act for whom.
type NewRepresentation struct {
	Principal, Representative Subject
	Kind                      accessv1.RepresentationKind
	// Incapacity: the principal is grown up and without capacity.
	Incapacity bool
	// Document is the kind of document that was seen, and Scan the SHA-256 of its
	// scan; or Topic and Index name a record of the exchange that says so.
	Document string
	Scan     [sha256.Size]byte
	Topic    string
	Index    uint64
	// Topics and ServiceItems are what it covers; all if empty.
	Topics, ServiceItems []string
	// From and Until are the first and last day, in Asia/Shanghai; today if From is
	// zero.
	From, Until time.Time
}

func (n *NewRepresentation) message(origin string) *accessv1.Representation {
	m := &accessv1.Representation{
		Nonce: nonce(), LedgerOrigin: origin, Principal: n.Principal.message(), Representative: n.Representative.message(),
		Kind: n.Kind, Incapacity: n.Incapacity, Topics: n.Topics, ServiceItems: n.ServiceItems,
		ValidFrom: dateOrToday(n.From), ValidUntil: date(n.Until),
	}
	if n.Topic != "" {
		m.Proof = &accessv1.RepresentationProof{Topic: n.Topic, Index: n.Index}
	} else {
		m.Proof = &accessv1.RepresentationProof{Document: n.Document, Digest: n.Scan[:]}
	}
	return m
}

// RecordRepresentation records who may act for whom, under the signature of an
// official of the department who saw the proof. A consent that the representative
// gives names it by its digest.
func (c *Client) RecordRepresentation(ctx context.Context, n NewRepresentation, by *PersonKey) (*Representation, error) {
	s, err := statement(n.message(c.Origin()))
	if err != nil {
		return nil, err
	}
	a, err := attest(by, verify.RepresentationStatement(c.Origin(), c.Participant(), s.raw))
	if err != nil {
		return nil, err
	}
	resp, err := c.representations().RegisterRepresentation(ctx, &accessv1.RegisterRepresentationRequest{Representation: s.raw, Attestation: a})
	return resp.GetRepresentation(), fault.FromStatus(err)
}

// EndRepresentation ends a representation that the department recorded: consents
// that were given under it stand no more.
func (c *Client) EndRepresentation(ctx context.Context, digest []byte, reason string, by *PersonKey) (*Representation, error) {
	s, err := statement(&accessv1.RepresentationEnd{Nonce: nonce(), LedgerOrigin: c.Origin(), Representation: digest, Reason: reason})
	if err != nil {
		return nil, err
	}
	a, err := attest(by, verify.RepresentationStatement(c.Origin(), c.Participant(), s.raw))
	if err != nil {
		return nil, err
	}
	resp, err := c.representations().EndRepresentation(ctx, &accessv1.EndRepresentationRequest{End: s.raw, Attestation: a})
	return resp.GetRepresentation(), fault.FromStatus(err)
}

// Representations gives those that the department recorded, the newest first; of
// one principal, if it is not nil.
func (c *Client) Representations(ctx context.Context, principal *Subject) ([]*Representation, error) {
	request := &accessv1.ListRepresentationsRequest{}
	if principal != nil {
		request.Principal = principal.message()
	}
	var all []*Representation
	for {
		resp, err := c.representations().ListRepresentations(ctx, request)
		if err != nil {
			return nil, fault.FromStatus(err)
		}
		all = append(all, resp.GetRepresentations()...)
		if request.PageToken = resp.GetNextPageToken(); request.PageToken == "" {
			return all, nil
		}
	}
}

func (c *Client) representations() accessv1.RepresentationServiceClient {
	return accessv1.NewRepresentationServiceClient(c.Conn())
}
