// Package authority acts as the data authority, an exchange's operator, over
// gRPC: it registers departments, enrols their systems, lists topics and makes
// grants. The demo, the benchmark and tests set an exchange up by it, the way an
// operator would.
package authority

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/huitong-bus/huitong/exchange/identity"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// Authority is the operator's side of a running exchange.
type Authority struct {
	// Client is the operator's connection.
	Client    *sdk.Client
	Catalogue cataloguev1.CatalogueServiceClient
	Access    accessv1.AccessServiceClient
	address   string
}

// Connect connects as the operator of a data directory to its exchange.
func Connect(ctx context.Context, dir, address, ledgerKey string) (*Authority, error) {
	client, err := sdk.Connect(ctx, sdk.Config{
		Address:  address,
		CertFile: filepath.Join(dir, identity.OperatorFile), KeyFile: filepath.Join(dir, identity.OperatorKey),
		CAFile: filepath.Join(dir, identity.CAFile), LedgerKey: ledgerKey,
	})
	if err != nil {
		return nil, err
	}
	return New(client, address), nil
}

// New acts over an operator's connection.
func New(client *sdk.Client, address string) *Authority {
	return &Authority{
		Client: client, address: address,
		Catalogue: cataloguev1.NewCatalogueServiceClient(client.Conn()),
		Access:    accessv1.NewAccessServiceClient(client.Conn()),
	}
}

// Close closes the operator's connection.
func (a *Authority) Close() error { return a.Client.Close() }

// Register makes a department a participant.
func (a *Authority) Register(ctx context.Context, p *cataloguev1.Participant) error {
	if _, err := a.Catalogue.RegisterParticipant(ctx, &cataloguev1.RegisterParticipantRequest{Participant: p}); err != nil {
		return fmt.Errorf("register %s: %w", p.Name, err)
	}
	return nil
}

// Enrol enrols a system of a participant and connects as it. The key is made
// here, where the department is; the exchange sees the request alone.
func (a *Authority) Enrol(ctx context.Context, s *cataloguev1.System, more ...func(*sdk.Config)) (*sdk.Client, error) {
	config, err := a.Certify(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, set := range more {
		set(config)
	}
	return sdk.Connect(ctx, *config)
}

// Certify enrols a system of a participant and gives what it connects with.
func (a *Authority) Certify(ctx context.Context, s *cataloguev1.System) (*sdk.Config, error) {
	key, request, err := sdk.NewCertificateRequest(s.Participant, s.Name)
	if err != nil {
		return nil, err
	}
	answer, err := a.Catalogue.EnrolSystem(ctx, &cataloguev1.EnrolSystemRequest{System: s, CertificateRequest: request})
	if err != nil {
		return nil, fmt.Errorf("enrol %s/%s: %w", s.Participant, s.Name, err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: answer.GetCertificate().GetDer()})
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("enrol %s/%s: %w", s.Participant, s.Name, err)
	}
	cas := x509.NewCertPool()
	if !cas.AppendCertsFromPEM(answer.GetCaPem()) {
		return nil, errors.New("the exchange named no CA to trust")
	}
	return &sdk.Config{Address: a.address, Certificate: &pair, CAs: cas, LedgerKey: a.Client.LedgerKey()}, nil
}

// CreateTopic puts a topic into the catalogue.
func (a *Authority) CreateTopic(ctx context.Context, t *cataloguev1.Topic) error {
	if _, err := a.Catalogue.CreateTopic(ctx, &cataloguev1.CreateTopicRequest{Topic: t}); err != nil {
		return fmt.Errorf("create topic %s: %w", t.Name, err)
	}
	return nil
}

// CreateGrant gives a consumer a permission on a topic.
func (a *Authority) CreateGrant(ctx context.Context, g *accessv1.Grant) (*accessv1.Grant, error) {
	answer, err := a.Access.CreateGrant(ctx, &accessv1.CreateGrantRequest{Grant: g})
	if err != nil {
		return nil, fmt.Errorf("grant %s: %w", g.Topic, err)
	}
	return answer.Grant, nil
}
