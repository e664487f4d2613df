package node_test

import (
	"context"

	"google.golang.org/protobuf/proto"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// consentRows are what each role gets; what counts as consent is tested with
// exchange/consent.
func (p *permissions) consentRows() []matrixRow {
	departments := func(answer string) map[string]string {
		return map[string]string{"M": notDepartment, "A": notDepartment, "W": notDepartment, "": answer}
	}
	// What is malformed is answered alike to everybody, and entered.
	malformed := func(rule string) map[string]string { return map[string]string{"": "INVALID " + rule + " + refused"} }
	artefact, err := proto.Marshal(&accessv1.Consent{
		Nonce: make([]byte, 32), LedgerOrigin: p.Node.Identity.Keyring.Origin(), Subject: &ledgerv1.Subject{Type: "111", Number: earner},
		Topics: []*accessv1.ConsentedTopic{{Topic: "marriage"}}, Recipient: sample.ServiceHall.Code, ServiceItems: []string{acting.Purpose},
		ValidFrom: "2026-01-01", ValidUntil: "2099-12-31",
	})
	if err != nil {
		panic(err)
	}
	proof := &accessv1.ConsentProof{Means: &accessv1.ConsentProof_Token{Token: "x"}}
	somebody := &ledgerv1.Subject{Type: "111", Number: earner}
	operators := map[string]string{"M": "ok", "": notOperator}
	unknown := map[string]string{"M": "NOT_FOUND identity_provider.unknown + refused", "": notOperator}
	provider := &accessv1.IdentityProvider{Issuer: "https://id.example", SubjectType: "111", Title: "身份认证", Jwks: `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`}
	return []matrixRow{
		{"access.GiveConsent", func(ctx context.Context, c clientsOf) error {
			return tried(c.GiveConsent(ctx, &accessv1.GiveConsentRequest{Artefact: artefact, Proof: proof, ValidateOnly: true}))
		}, map[string]string{
			"g": "INVALID consent.token.broken + refused", "s": "INVALID consent.token.broken + refused", "o": "DENIED consent.recipient + refused",
			"d": "DENIED consent.recipient + refused", "": notDepartment,
		}},
		{"access.RevokeConsent", func(ctx context.Context, c clientsOf) error {
			return tried(c.RevokeConsent(ctx, &accessv1.RevokeConsentRequest{ValidateOnly: true}))
		}, malformed("revocation.required")},
		{"access.GetConsent", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetConsent(ctx, &accessv1.GetConsentRequest{Digest: make([]byte, 32)}))
		}, departments("NOT_FOUND consent.unknown")},
		{"access.ListConsents", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListConsents(ctx, &accessv1.ListConsentsRequest{CaseNumber: acting.Case, Subject: somebody}))
		}, departments("ok")},
		{"access.RegisterRepresentation", func(ctx context.Context, c clientsOf) error {
			return tried(c.RegisterRepresentation(ctx, &accessv1.RegisterRepresentationRequest{ValidateOnly: true}))
		}, malformed("representation.required")},
		{"access.EndRepresentation", func(ctx context.Context, c clientsOf) error {
			return tried(c.EndRepresentation(ctx, &accessv1.EndRepresentationRequest{ValidateOnly: true}))
		}, malformed("end.required")},
		{"access.GetRepresentation", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetRepresentation(ctx, &accessv1.GetRepresentationRequest{Digest: make([]byte, 32)}))
		}, departments("NOT_FOUND representation.unknown")},
		{"access.ListRepresentations", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListRepresentations(ctx, &accessv1.ListRepresentationsRequest{Principal: somebody}))
		}, departments("ok")},
		{"access.PutIdentityProvider", func(ctx context.Context, c clientsOf) error {
			return tried(c.PutIdentityProvider(ctx, &accessv1.PutIdentityProviderRequest{Provider: provider, ValidateOnly: true}))
		}, operators},
		{"access.SuspendIdentityProvider", func(ctx context.Context, c clientsOf) error {
			return tried(c.SuspendIdentityProvider(ctx, &accessv1.SuspendIdentityProviderRequest{Issuer: "https://id.example", Reason: "r", ValidateOnly: true}))
		}, unknown},
		{"access.ResumeIdentityProvider", func(ctx context.Context, c clientsOf) error {
			return tried(c.ResumeIdentityProvider(ctx, &accessv1.ResumeIdentityProviderRequest{Issuer: "https://id.example", ValidateOnly: true}))
		}, unknown},
		{"access.ListIdentityProviders", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListIdentityProviders(ctx, &accessv1.ListIdentityProvidersRequest{}))
		}, map[string]string{"": "ok", "W": noCatalogue}},
	}
}
