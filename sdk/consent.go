package sdk

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Consent is a consent as the exchange keeps it.
type Consent = accessv1.RecordedConsent

// NewConsent says what somebody is asked to allow the calling system's department.
type NewConsent struct {
	// Subject is whom the data is about; without a role.
	Subject Subject
	// Topics are whose records may be read, each limited to fields if it names any.
	Topics []ConsentedTopic
	// ServiceItems are the codes of the service items that they may be read for.
	ServiceItems []string
	// From and Until are the first and last day, in Asia/Shanghai; today if From is
	// zero.
	From, Until time.Time
	// Case limits it to one case, by the department's own number.
	Case string
	// Representation is the digest of the one under which another consents.
	Representation []byte
}

// ConsentedTopic is a topic whose records may be read, and its fields; all that
// the grant names if there are none.
type ConsentedTopic struct {
	Topic  string
	Fields []string
}

// Statement is what somebody agrees to: exact bytes that are signed as they are.
// Keep them; made anew they are others.
type Statement struct {
	raw    []byte
	digest [sha256.Size]byte
}

// StatementOf takes the bytes of a statement that were kept.
func StatementOf(raw []byte) *Statement { return &Statement{raw, sha256.Sum256(raw)} }

// Bytes are what is signed.
func (s *Statement) Bytes() []byte { return s.raw }

// Digest is the SHA-256 of the bytes, by which the exchange knows the statement.
func (s *Statement) Digest() [sha256.Size]byte { return s.digest }

// Nonce is what the identity provider is asked to put into its token, as the
// claim "nonce": the digest, base64url without padding. The token's audience is
// Client.Origin.
func (s *Statement) Nonce() string { return base64.RawURLEncoding.EncodeToString(s.digest[:]) }

func statement(m proto.Message) (*Statement, error) {
	raw, err := proto.Marshal(m)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "sdk.statement", err, "the statement does not encode")
	}
	return StatementOf(raw), nil
}

func nonce() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return b
}

var shanghai = time.FixedZone("Asia/Shanghai", 8*60*60)

func date(t time.Time) string { return t.In(shanghai).Format(time.DateOnly) }

func dateOrToday(t time.Time) string {
	if t.IsZero() {
		t = time.Now()
	}
	return date(t)
}

func (s Subject) message() *ledgerv1.Subject {
	return &ledgerv1.Subject{Type: s.Type, Number: s.Number, Role: s.Role}
}

// PrepareConsent makes the statement that the subject, or who acts for it, agrees
// to.
func (c *Client) PrepareConsent(n NewConsent) (*Statement, error) {
	m := &accessv1.Consent{
		Nonce: nonce(), LedgerOrigin: c.Origin(), Subject: n.Subject.message(), Recipient: c.Participant(), ServiceItems: n.ServiceItems,
		ValidFrom: dateOrToday(n.From), ValidUntil: date(n.Until), CaseNumber: n.Case, Representation: n.Representation,
	}
	for _, t := range n.Topics {
		m.Topics = append(m.Topics, &accessv1.ConsentedTopic{Topic: t.Topic, Fields: t.Fields})
	}
	return statement(m)
}

// PrepareRevocation makes the statement by which a consent is ended.
func (c *Client) PrepareRevocation(consent []byte) (*Statement, error) {
	return statement(&accessv1.ConsentRevocation{Nonce: nonce(), LedgerOrigin: c.Origin(), Consent: consent})
}

// Agreement shows that somebody agreed to a statement; see ByToken, ByOwnKey and
// AtCounter.
type Agreement func(c *Client, s *Statement) (*accessv1.ConsentProof, error)

// ByToken shows it by a token of the identity provider: a JWT whose nonce is
// Statement.Nonce.
func ByToken(token string) Agreement {
	return func(*Client, *Statement) (*accessv1.ConsentProof, error) {
		return &accessv1.ConsentProof{Means: &accessv1.ConsentProof_Token{Token: token}}, nil
	}
}

// ByOwnKey shows it by a signature of the person's own key: a detached JWS over
// the statement's bytes, of type "huitong-consent" or
// "huitong-consent-revocation", and a token in which the identity provider
// vouches for the key.
func ByOwnKey(jws, token string) Agreement {
	return func(*Client, *Statement) (*accessv1.ConsentProof, error) {
		return &accessv1.ConsentProof{Means: &accessv1.ConsentProof_Key{Key: &accessv1.ConsentByKey{Jws: jws, Token: token}}}, nil
	}
}

// AtCounter shows it by a form that the person signed on paper: two officials of
// the department attest it, one of them a clerk. form is the SHA-256 of the scan,
// which the department keeps.
func AtCounter(form [sha256.Size]byte, first, second *PersonKey) Agreement {
	return func(c *Client, s *Statement) (*accessv1.ConsentProof, error) {
		counter := &accessv1.ConsentAtCounter{FormDigest: form[:]}
		signed := verify.ConsentStatement(c.Origin(), c.Participant(), s.digest[:], form[:])
		for _, key := range []*PersonKey{first, second} {
			a, err := attest(key, signed)
			if err != nil {
				return nil, err
			}
			counter.Attestations = append(counter.Attestations, a)
		}
		return &accessv1.ConsentProof{Means: &accessv1.ConsentProof_Counter{Counter: counter}}, nil
	}
}

func attest(key *PersonKey, signed []byte) (*accessv1.Attestation, error) {
	signature, err := key.Sign(signed)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "sdk.sign", err, "the person's key could not sign")
	}
	return &accessv1.Attestation{Person: key.fingerprint[:], Signature: signature}, nil
}

// GiveConsent records a consent. A repeat changes nothing.
func (c *Client) GiveConsent(ctx context.Context, s *Statement, agreed Agreement) (*Consent, error) {
	proof, err := agreed(c, s)
	if err != nil {
		return nil, err
	}
	resp, err := c.consents().GiveConsent(ctx, &accessv1.GiveConsentRequest{Artefact: s.raw, Proof: proof})
	return resp.GetConsent(), fault.FromStatus(err)
}

// RevokeConsent ends a consent for good: nothing that needed it is read any more.
// It gives nothing where the consent is another department's.
func (c *Client) RevokeConsent(ctx context.Context, s *Statement, agreed Agreement) (*Consent, error) {
	proof, err := agreed(c, s)
	if err != nil {
		return nil, err
	}
	resp, err := c.consents().RevokeConsent(ctx, &accessv1.RevokeConsentRequest{Revocation: s.raw, Proof: proof})
	return resp.GetConsent(), fault.FromStatus(err)
}

// Consent gives a consent to the calling system's department, by its digest.
func (c *Client) Consent(ctx context.Context, digest []byte) (*Consent, error) {
	resp, err := c.consents().GetConsent(ctx, &accessv1.GetConsentRequest{Digest: digest})
	return resp.GetConsent(), fault.FromStatus(err)
}

// Consents gives the consents of a subject of one of the department's cases, the
// newest first.
func (c *Client) Consents(ctx context.Context, number string, subject Subject) ([]*Consent, error) {
	var all []*Consent
	for token := ""; ; {
		resp, err := c.consents().ListConsents(ctx, &accessv1.ListConsentsRequest{
			CaseNumber: number, Subject: subject.message(), PageToken: token,
		})
		if err != nil {
			return nil, fault.FromStatus(err)
		}
		all = append(all, resp.GetConsents()...)
		if token = resp.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

func (c *Client) consents() accessv1.ConsentServiceClient {
	return accessv1.NewConsentServiceClient(c.Conn())
}
