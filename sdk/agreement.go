package sdk

import (
	"context"
	"crypto/sha256"
	"slices"
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
	// ValidateOnly has the step checked and not taken.
	ValidateOnly bool
}

// ofAgreed are the steps that are about what both sides agreed on, whatever was
// requested since.
var ofAgreed = []string{"suspend", "resume", "terminate", "dispose", "supply"}

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
		answer, err := c.agreement(ctx, id)
		if err != nil {
			return nil, err
		}
		newest := newestOf(answer)
		if newest == nil {
			return nil, errNoGrant()
		}
		version = newest.Version + 1
	}
	return c.step(ctx, &Grant{Id: id, Version: version, Terms: bytes}, Step{Side: "consumer", Name: "request", Person: person})
}

// TakeStep takes a step on a grant, signed by the key of the system's certificate
// and by the official. A step that suspends, resumes, ends or supplies what is
// agreed is taken on the version in force, even while the next one is requested;
// every other on the newest version.
func (c *Client) TakeStep(ctx context.Context, id string, s Step) (*Grant, error) {
	answer, err := c.agreement(ctx, id)
	if err != nil {
		return nil, err
	}
	g := newestOf(answer)
	if force := answer.GetInForce(); force > 0 && slices.Contains(ofAgreed, s.Name) {
		g = versionOf(answer, force)
	}
	if g == nil {
		return nil, errNoGrant()
	}
	return c.step(ctx, g, s)
}

// GrantVersions gives all versions of a grant, the first one first.
func (c *Client) GrantVersions(ctx context.Context, id string) ([]*GrantVersion, error) {
	answer, err := c.agreement(ctx, id)
	return answer.GetVersions(), err
}

func (c *Client) agreement(ctx context.Context, id string) (*accessv1.GetAgreementResponse, error) {
	answer, err := c.agreements().GetAgreement(ctx, &accessv1.GetAgreementRequest{Id: id})
	return answer, fault.FromStatus(err)
}

// newestOf gives the newest version; nil if there is none.
func newestOf(answer *accessv1.GetAgreementResponse) *Grant {
	all := answer.GetVersions()
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1].GetGrant()
}

func versionOf(answer *accessv1.GetAgreementResponse, number uint64) *Grant {
	for _, one := range answer.GetVersions() {
		if one.GetGrant().GetVersion() == number {
			return one.GetGrant()
		}
	}
	return nil
}

func errNoGrant() error { return fault.New(fault.NotFound, "grant.unknown", "there is no such grant") }

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
	r := &accessv1.TakeStepRequest{ValidateOnly: s.ValidateOnly}
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
