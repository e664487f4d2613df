package catalog

import (
	"context"
	"crypto/x509"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// Founding is what an exchange starts with: its operator, and the contracts of
// the standard records pack.
type Founding struct {
	// ParticipantName names the operator's participant, for people.
	ParticipantName string
	Region          string
	Operator        identity.Name
	OperatorTitle   string
	Certificate     *x509.Certificate
}

// Found writes the catalogue of a new exchange, in one transaction. A catalogue
// that is there already is left as it is.
func (c *Catalogue) Found(ctx context.Context, f Founding) (*journal.Commit, error) {
	p := &cataloguev1.Participant{Code: f.Operator.Participant, Name: f.ParticipantName, Region: f.Region}
	if err := checkParticipant(p); err != nil {
		return nil, err
	}
	return c.Commit(ctx, Change{}, func(ctx context.Context, w *Write) error {
		known, err := w.System(ctx, f.Operator.String())
		if err != nil {
			return err
		}
		if known != nil {
			return errUnchanged
		}
		if _, err := w.registerParticipant(ctx, p); err != nil {
			return err
		}
		s := &cataloguev1.System{
			Id: f.Operator.String(), Participant: f.Operator.Participant, Name: f.Operator.System, Title: f.OperatorTitle,
			Roles: []cataloguev1.Role{cataloguev1.Role_ROLE_OPERATOR}, State: cataloguev1.State_STATE_ACTIVE, EnrolledAt: w.At(),
		}
		if err := w.putSystem(ctx, s, "register", ""); err != nil {
			return err
		}
		if _, err := w.issue(ctx, s.Id, f.Certificate, "issue"); err != nil {
			return err
		}
		for _, k := range contract.Standard() {
			if _, err := w.registerContract(ctx, k, cataloguev1.Compatibility_COMPATIBILITY_FULL_TRANSITIVE); err != nil {
				return err
			}
		}
		return nil
	})
}
