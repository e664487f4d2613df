package sdk

import (
	"context"
	"crypto/sha256"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Grant is a permission that two departments agreed on, or are about to.
type Grant = accessv1.Grant

// GrantVersion is a version of a grant with whose turn it is and by when.
type GrantVersion = accessv1.Agreement

// Step is a step of an agreement, as the package of the exchange that keeps
// agreements lists them: "request", "approve", "accept", "return", "refuse", …
type Step struct {
	// Side is "consumer", "provider" or "operator".
	Side string
	Name string
	// Note says why, where the step needs it; Missing all that is missing (return).
	Note    string
	Missing []string
	// Person signs, where an official takes the step.
	Person *PersonKey
	// At is when it is signed; now if zero.
	At time.Time
}

// RequestGrant requests a grant on these terms, as a handler of the consumer; of
// a grant's terms only what both sides agree on may be filled in. With an id it
// requests that grant's next version: what was missing, a change, an extension.
func (c *Client) RequestGrant(ctx context.Context, id string, terms *Grant, person *PersonKey) (*Grant, error) {
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(terms)
	if err != nil {
		return nil, err
	}
	version := uint64(1)
	if id != "" {
		newest, err := c.newest(ctx, id)
		if err != nil {
			return nil, err
		}
		version = newest.Version + 1
	}
	return c.step(ctx, &Grant{Id: id, Version: version, Terms: bytes}, Step{Side: "consumer", Name: "request", Person: person})
}

// TakeStep takes a step on the newest version of a grant, signed by the key of
// the system's certificate and by the official.
func (c *Client) TakeStep(ctx context.Context, id string, s Step) (*Grant, error) {
	g, err := c.newest(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.step(ctx, g, s)
}

// GrantVersions gives all versions of a grant, the first one first.
func (c *Client) GrantVersions(ctx context.Context, id string) ([]*GrantVersion, error) {
	answer, err := c.agreements().GetAgreement(ctx, &accessv1.GetAgreementRequest{Id: id})
	return answer.GetVersions(), fault.FromStatus(err)
}

func (c *Client) newest(ctx context.Context, id string) (*Grant, error) {
	all, err := c.GrantVersions(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fault.New(fault.NotFound, "grant.unknown", "there is no such grant")
	}
	return all[len(all)-1].Grant, nil
}

func (c *Client) agreements() accessv1.AgreementServiceClient {
	return accessv1.NewAgreementServiceClient(c.Conn())
}

// step states, signs and takes a step that follows the last one of g.
func (c *Client) step(ctx context.Context, g *Grant, s Step) (*Grant, error) {
	if s.At.IsZero() {
		s.At = time.Now()
	}
	digest := sha256.Sum256(g.Terms)
	says := &ledgerv1.StepStatement{
		LedgerOrigin: c.Origin(), Grant: g.Id, Version: uint32(g.Version), Side: s.Side, Step: s.Name, TermsDigest: digest[:],
		Note: s.Note, Missing: s.Missing, SignedAtUs: s.At.UnixMicro(),
	}
	if n := len(g.Steps); n > 0 && len(g.Steps[n-1].Statement) > 0 {
		before := sha256.Sum256(g.Steps[n-1].Statement)
		says.Previous = before[:]
	}
	if s.Person != nil {
		person := s.Person.Fingerprint()
		says.Person = person[:]
	}
	r := &accessv1.TakeStepRequest{}
	var err error
	if r.Statement, err = proto.Marshal(says); err != nil {
		return nil, err
	}
	signed := verify.GrantStepStatement(c.System(), r.Statement)
	if r.Signature, err = c.Sign(signed); err != nil {
		return nil, err
	}
	if s.Person != nil {
		if r.PersonSignature, err = s.Person.Sign(signed); err != nil {
			return nil, err
		}
	}
	if s.Name == "request" {
		r.Terms = g.Terms
	}
	answer, err := c.agreements().TakeStep(ctx, r)
	return answer.GetGrant(), fault.FromStatus(err)
}
