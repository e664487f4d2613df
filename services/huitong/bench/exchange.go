package bench

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"time"

	"github.com/huitong-bus/huitong/exchange/identity"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/authority"
	"github.com/huitong-bus/huitong/services/huitong/node"
)

const (
	topic   = "disability-certificate"
	purpose = "000711004000"
	basis   = "社会救助暂行办法第五十八条"
)

// holdsCertificate is the check that the hall may ask.
var holdsCertificate = &accessv1.GrantCheck{
	Name: "holds-certificate", Title: "持有残疾人证", Fields: []string{"type_name", "valid_until"},
	Predicate: `records.exists(r, r.type_name == "残疾人证" && r.valid_until >= "2026-01-01")`,
}

// connections is how many connections plain calls are spread over.
const connections = 8

// stopWithin bounds the end of an installation.
const stopWithin = time.Minute

// installation is an exchange of its own, served in this process, with one
// department that publishes, one that receives, and an auditor.
type installation struct {
	dir    string
	node   *node.Node
	end    context.CancelFunc
	served chan error
	// source, hall and audit are what the departments connect with.
	source, hall, audit *sdk.Config
	clients             []*sdk.Client
}

// install makes an exchange on the disk of dir.
func install(ctx context.Context, dir string) (in *installation, err error) {
	in = &installation{served: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, in.close())
		}
	}()
	if in.dir, err = os.MkdirTemp(dir, "exchange-*"); err != nil {
		return in, err
	}
	_, err = node.Init(ctx, node.InitOptions{
		Dir:             in.dir,
		Identity:        identity.Options{Operator: identity.Name{Participant: sample.DataAuthority.Code, System: "bench"}},
		ParticipantName: sample.DataAuthority.Name, Region: sample.Region, OperatorTitle: "bench",
	})
	if err != nil {
		return in, err
	}
	if err := in.start(ctx); err != nil {
		return in, err
	}
	return in, in.prepare(ctx)
}

// start serves the exchange of the directory.
func (in *installation) start(ctx context.Context) (err error) {
	if in.node, err = node.Open(ctx, node.Config{Dir: in.dir, Listen: "127.0.0.1:0"}); err != nil {
		return err
	}
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	in.end = end
	go func() { in.served <- in.node.Serve(serving) }()
	return nil
}

// halt stops the exchange; its directory stays.
func (in *installation) halt() error {
	var errs []error
	for _, c := range in.clients {
		errs = append(errs, c.Close())
	}
	in.clients = nil
	if in.end != nil {
		in.end()
		in.end = nil
		select {
		case err := <-in.served:
			errs = append(errs, err)
		case <-time.After(stopWithin):
			errs = append(errs, errors.New("the exchange did not stop"))
		}
	}
	return errors.Join(errs...)
}

// close stops the exchange and removes its directory.
func (in *installation) close() error {
	err := in.halt()
	if in.dir == "" {
		return err
	}
	return errors.Join(err, os.RemoveAll(in.dir))
}

// connect connects as a department, over so many connections.
func (in *installation) connect(ctx context.Context, as *sdk.Config, connections int) (*sdk.Client, error) {
	config := *as
	config.Address, config.Connections = in.node.Address(), connections
	c, err := sdk.Connect(ctx, config)
	if err == nil {
		in.clients = append(in.clients, c)
	}
	return c, err
}

// callerOf is a department's system as the exchange knows it.
func (in *installation) callerOf(as *sdk.Config) (*identity.Caller, error) {
	return in.node.Catalogue.Caller(sha256.Sum256(as.Certificate.Certificate[0]))
}

// prepare enrols the departments, lists the topic and grants it.
func (in *installation) prepare(ctx context.Context) error {
	operator, err := authority.Connect(ctx, in.dir, in.node.Address(), in.node.LedgerKey())
	if err != nil {
		return err
	}
	in.clients = append(in.clients, operator.Client)
	if in.source, err = enrol(ctx, operator, issuer, "certificates", cataloguev1.Role_ROLE_DEPARTMENT); err != nil {
		return err
	}
	if in.hall, err = enrol(ctx, operator, sample.ServiceHall, "hall", cataloguev1.Role_ROLE_DEPARTMENT); err != nil {
		return err
	}
	if in.audit, err = enrol(ctx, operator, sample.Audit, "audit", cataloguev1.Role_ROLE_AUDITOR); err != nil {
		return err
	}
	modes := []cataloguev1.DeliveryMode{
		cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY, cataloguev1.DeliveryMode_DELIVERY_MODE_CHECK, cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE,
	}
	err = operator.CreateTopic(ctx, &cataloguev1.Topic{
		Name: topic, Title: model.TypeName, Provider: issuer.Code, Contract: "huitong.records.v1.Certificate",
		SharingClass: cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, Conditions: "社会救助家庭经济状况核对",
		DeliveryModes: modes, SignatureRequired: true,
	})
	if err != nil {
		return err
	}
	_, err = operator.CreateGrant(ctx, &accessv1.Grant{
		Topic: topic, Consumer: sample.ServiceHall.Code, Basis: basis, Scenario: "困难残疾人生活补贴审核",
		// All but what a hall does not need: holder_type, holder_number, signer.
		Fields: []string{
			"identifier", "type_code", "type_name", "name", "number", "issuer_code", "issuer_name", "issue_date",
			"holder_name", "co_holders", "valid_from", "valid_until", "region", "face_items", "remarks",
		},
		ServiceItems: []string{purpose}, Checks: []*accessv1.GrantCheck{holdsCertificate}, DeliveryModes: modes, Scope: accessv1.GrantScope_GRANT_SCOPE_ALL_SUBJECTS,
		StandingPurpose: purpose, StandingLegalBasis: basis,
	})
	return err
}

// enrol registers a department and gives what a system of it connects with.
func enrol(ctx context.Context, operator *authority.Authority, d sample.Department, system string, role cataloguev1.Role) (*sdk.Config, error) {
	if err := operator.Register(ctx, &cataloguev1.Participant{Code: d.Code, Name: d.Name, Region: sample.Region}); err != nil {
		return nil, err
	}
	return operator.Certify(ctx, &cataloguev1.System{
		Participant: d.Code, Name: system, Title: d.Name, Roles: []cataloguev1.Role{role},
	})
}

// settled waits until everything committed is relayed, so that one case's rest
// is not counted against the next.
func (in *installation) settled(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for in.node.Bus.Relayed(0) < in.node.Journal.Head().Size {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
