package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// authority acts as the data authority, the exchange's operator.
type authority struct {
	catalogue cataloguev1.CatalogueServiceClient
	access    accessv1.AccessServiceClient
	address   string
	ledgerKey string
}

func newAuthority(client *sdk.Client, address string) *authority {
	return &authority{
		catalogue: cataloguev1.NewCatalogueServiceClient(client.Conn()),
		access:    accessv1.NewAccessServiceClient(client.Conn()),
		address:   address,
		ledgerKey: client.LedgerKey(),
	}
}

// register makes a department a participant.
func (a *authority) register(ctx context.Context, d sample.Department) error {
	_, err := a.catalogue.RegisterParticipant(ctx, &cataloguev1.RegisterParticipantRequest{
		Participant: &cataloguev1.Participant{Code: d.Code, Name: d.Name, Region: sample.Region},
	})
	if err != nil {
		return fmt.Errorf("register %s: %w", d.Name, err)
	}
	return nil
}

// enrol enrols a system of a department and connects as it. The key is made
// here, where the department is; the authority sees the request alone.
func (a *authority) enrol(ctx context.Context, d sample.Department, system string, role cataloguev1.Role) (*sdk.Client, error) {
	key, request, err := sdk.NewCertificateRequest(d.Code, system)
	if err != nil {
		return nil, err
	}
	answer, err := a.catalogue.EnrolSystem(ctx, &cataloguev1.EnrolSystemRequest{
		System: &cataloguev1.System{
			Participant: d.Code, Name: system, Title: d.Name, Roles: []cataloguev1.Role{role},
		},
		CertificateRequest: request,
	})
	if err != nil {
		return nil, fmt.Errorf("enrol %s/%s: %w", d.Name, system, err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: answer.GetCertificate().GetDer()})
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("enrol %s/%s: %w", d.Name, system, err)
	}
	cas := x509.NewCertPool()
	if !cas.AppendCertsFromPEM(answer.GetCaPem()) {
		return nil, errors.New("the exchange named no CA to trust")
	}
	return sdk.Connect(ctx, sdk.Config{
		Address: a.address, Certificate: &pair, CAs: cas, LedgerKey: a.ledgerKey,
	})
}
