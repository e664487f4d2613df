package sdk_test

import (
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// registry is civil affairs' system.
func registry() *cataloguev1.System {
	return &cataloguev1.System{
		Participant: sample.CivilAffairs.Code, Name: "registry", Title: "婚姻登记",
		Roles: []cataloguev1.Role{cataloguev1.Role_ROLE_DEPARTMENT},
	}
}

// certified makes a key and has an authority certify it for a system, as of a
// time.
func certified(t *testing.T, a *identity.Authority, system string, at time.Time) *tls.Certificate {
	t.Helper()
	k, err := sdk.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Issue(identity.Name{Participant: sample.CivilAffairs.Code, System: system}, k.Signer().Public(), 30, at)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: k.Signer(), Leaf: c}
}

// TestCertificatesThatAreRefused: each is told by which rule.
func TestCertificatesThatAreRefused(t *testing.T) {
	x, other := open(t), nodetest.Start(t)
	config, err := x.Certify(t.Context(), registry())
	if err != nil {
		t.Fatal(err)
	}
	ours := x.Node.Identity.Authority
	for rule, c := range map[string]*tls.Certificate{
		"certificate.expired":       certified(t, ours, "registry", time.Now().AddDate(-1, 0, 0)),
		"certificate.not_yet_valid": certified(t, ours, "registry", time.Now().AddDate(0, 1, 0)),
		"certificate.unknown":       certified(t, ours, "registry", time.Now()),
		"certificate.foreign":       certified(t, other.Node.Identity.Authority, "registry", time.Now()),
	} {
		wrong := *config
		wrong.Certificate = c
		before := x.Node.Journal.Head().Size
		client, err := sdk.Connect(soon(t), wrong)
		if err == nil {
			t.Errorf("%s: connected", rule)
			err = client.Close()
		}
		if !errors.Is(err, &fault.Error{Kind: fault.Unauthenticated, Rule: rule}) {
			t.Errorf("%s: %v", rule, err)
		}
		if after := x.Node.Journal.Head().Size; after != before {
			t.Errorf("%s: a stranger wrote %d entries", rule, after-before)
		}
	}
}

// TestExchangeIsRecognised: a client does not talk to an exchange of another CA.
func TestExchangeIsRecognised(t *testing.T) {
	x, other := open(t), nodetest.Start(t)
	config, err := x.Certify(t.Context(), registry())
	if err != nil {
		t.Fatal(err)
	}
	config.CAs = other.Node.Identity.Authority.Pool()
	if client, err := sdk.Connect(soon(t), *config); err == nil {
		t.Error("connected")
		_ = client.Close()
	} else if fault.KindOf(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
}

// TestRefusalTakesEffectWithinOneSecond: once its certificate is revoked, or its
// system or participant suspended, a publisher with an open stream is refused.
func TestRefusalTakesEffectWithinOneSecond(t *testing.T) {
	x := open(t)
	for _, c := range []struct {
		rule, system string
		refuse       func(*sdk.Config) error
	}{
		{"certificate.revoked", "first", func(c *sdk.Config) error {
			sum := sha256.Sum256(c.Certificate.Certificate[0])
			_, err := x.Catalogue.RevokeCertificate(t.Context(), &cataloguev1.RevokeCertificateRequest{Fingerprint: sum[:], Reason: "key lost"})
			return err
		}},
		{"system.suspended", "second", func(*sdk.Config) error {
			_, err := x.Catalogue.SuspendSystem(t.Context(), &cataloguev1.SuspendSystemRequest{Id: sample.CivilAffairs.Code + "/second", Reason: "audit"})
			return err
		}},
		{"participant.suspended", "third", func(*sdk.Config) error {
			_, err := x.Catalogue.SuspendParticipant(t.Context(), &cataloguev1.SuspendParticipantRequest{Code: sample.CivilAffairs.Code, Reason: "audit"})
			return err
		}},
	} {
		system := registry()
		system.Name = c.system
		config, err := x.Certify(t.Context(), system)
		if err != nil {
			t.Fatal(err)
		}
		client, err := sdk.Connect(soon(t), *config)
		if err != nil {
			t.Fatal(err)
		}
		p := client.Publisher(sdk.PublisherConfig{})
		m := some(1)[0]
		if _, err := p.Publish(soon(t), marriages, m); err != nil {
			t.Fatal(err)
		}
		if err := c.refuse(config); err != nil {
			t.Fatal(err)
		}
		since := time.Now()
		await(t, c.rule, func() bool {
			_, err = p.Publish(soon(t), marriages, m)
			return err != nil
		})
		if took := time.Since(since); took > time.Second {
			t.Errorf("%s: it took %v", c.rule, took)
		}
		if !errors.Is(err, &fault.Error{Kind: fault.Unauthenticated, Rule: c.rule}) {
			t.Errorf("%s: %v", c.rule, err)
		}
		// The stream ended; whoever tries again makes an entry.
		if _, err := p.Publish(soon(t), marriages, m); !errors.Is(err, &fault.Error{Kind: fault.Unauthenticated, Rule: c.rule}) {
			t.Errorf("%s, again: %v", c.rule, err)
		}
		closePublisher(t, p)
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		refused := 0
		for _, e := range leaves(t, x) {
			if e.GetRefused().GetRule() == c.rule {
				refused++
			}
		}
		if refused != 1 {
			t.Errorf("%s: %d entries of the refusal", c.rule, refused)
		}
	}
}

// TestRenewedCertificateWorksAtOnce: a system renews its own certificate and
// connects with it, while the old one still holds.
func TestRenewedCertificateWorksAtOnce(t *testing.T) {
	x := open(t)
	config, err := x.Certify(t.Context(), registry())
	if err != nil {
		t.Fatal(err)
	}
	old, err := sdk.Connect(soon(t), *config)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	k, err := sdk.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	certificate, _, err := old.RenewCertificate(soon(t), k, 90)
	if err != nil {
		t.Fatal(err)
	}
	key, err := k.PEM()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	config.Certificate = &pair
	renewed, err := sdk.Connect(soon(t), *config)
	if err != nil {
		t.Fatal(err)
	}
	defer renewed.Close()
	if renewed.System() != old.System() {
		t.Errorf("%s is not %s", renewed.System(), old.System())
	}
	for _, c := range []*sdk.Client{old, renewed} {
		p := c.Publisher(sdk.PublisherConfig{})
		if _, err := p.Publish(soon(t), marriages, some(1)[0]); err != nil {
			t.Error(err)
		}
		closePublisher(t, p)
	}
}

// TestSignaturesThatAreRefused: none where the topic requires one, a wrong one,
// one of another system's key, and one over another system's call.
func TestSignaturesThatAreRefused(t *testing.T) {
	x := open(t)
	config, err := x.Certify(t.Context(), registry())
	if err != nil {
		t.Fatal(err)
	}
	client, err := sdk.Connect(soon(t), *config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	p := client.Publisher(sdk.PublisherConfig{Unsigned: true})
	defer closePublisher(t, p)
	if _, err := p.Publish(soon(t), marriages, some(1)[0]); !errors.Is(err, &fault.Error{Kind: fault.Denied, Rule: "signature.required"}) {
		t.Errorf("unsigned: %v", err)
	}
	another, err := sdk.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	own := config.Certificate.PrivateKey.(crypto.Signer)
	call, statements := signable(t)
	before := x.Node.Journal.Head().Size
	for name, sign := range map[string]func() ([]byte, error){
		"noise": func() ([]byte, error) { return make([]byte, 70), nil },
		"another's key": func() ([]byte, error) {
			return verify.Sign(another.Signer(), verify.CallStatement(client.System(), statements))
		},
		"another's call": func() ([]byte, error) { return verify.Sign(own, verify.CallStatement(client.System()+"2", statements)) },
		"fewer records":  func() ([]byte, error) { return verify.Sign(own, verify.CallStatement(client.System(), statements[:1])) },
		"records swapped": func() ([]byte, error) {
			return verify.Sign(own, verify.CallStatement(client.System(), [][verify.HashSize]byte{statements[1], statements[0]}))
		},
	} {
		signature, err := sign()
		if err != nil {
			t.Fatal(err)
		}
		call.Signature = signature
		_, err = exchangev1.NewExchangeServiceClient(client.Conn()).Publish(soon(t), call)
		if !errors.Is(fault.FromStatus(err), &fault.Error{Kind: fault.Invalid, Rule: "signature.wrong"}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := x.Node.Journal.Head().Size; after != before+1 {
		t.Errorf("%d entries were written, not that of the refusal alone", after-before)
	}
	if call.Signature, err = verify.Sign(own, verify.CallStatement(client.System(), statements)); err != nil {
		t.Fatal(err)
	}
	answer, err := exchangev1.NewExchangeServiceClient(client.Conn()).Publish(soon(t), call)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range answer.Results {
		if r.GetReceipt() == nil {
			t.Errorf("rightly signed: %v", r.GetProblem())
		}
	}
}

// signable makes a call of two records by hand, and what its signature covers.
func signable(t *testing.T) (*exchangev1.PublishRequest, [][verify.HashSize]byte) {
	t.Helper()
	call := &exchangev1.PublishRequest{}
	var statements [][verify.HashSize]byte
	for i, m := range some(2) {
		payload, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		key, secret := make([]byte, verify.KeySize), make([]byte, verify.SecretSize)
		key[0], secret[0] = byte(i), byte(i)
		layout := verify.Layout{Contract: "huitong.records.v1.Marriage", Version: 1}
		fields := m.ProtoReflect().Descriptor().Fields()
		for f := range fields.Len() {
			layout.Fields = append(layout.Fields, uint32(fields.Get(f).Number()))
		}
		commitment, err := layout.Commitment(secret, payload)
		if err != nil {
			t.Fatal(err)
		}
		s := verify.Statement{IdempotencyKey: key, Topic: marriages, Operation: sdk.Put, PayloadCommitment: commitment[:]}
		hash := s.LeafHash()
		statements = append(statements, hash)
		call.Records = append(call.Records, &exchangev1.Publication{
			IdempotencyKey: key, Topic: marriages, Secret: secret, Statement: hash[:],
			Content: &exchangev1.Publication_Protobuf{Protobuf: payload},
		})
	}
	return call, statements
}

// TestIssuedCertificatesAreInTheLedger: its bytes are, so that nobody can be
// enrolled unseen.
func TestIssuedCertificatesAreInTheLedger(t *testing.T) {
	x := open(t)
	config, err := x.Certify(t.Context(), registry())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range leaves(t, x) {
		c := e.GetCertificate()
		if c == nil || string(c.GetCertificate()) != string(config.Certificate.Certificate[0]) {
			continue
		}
		parsed, err := x509.ParseCertificate(c.GetCertificate())
		if err != nil || c.GetSystem() != sample.CivilAffairs.Code+"/registry" || len(parsed.URIs) != 1 {
			t.Errorf("%v, %v", c, err)
		}
		return
	}
	t.Error("the certificate is not in the ledger")
}
