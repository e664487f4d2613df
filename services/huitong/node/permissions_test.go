package node_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// The roles of the matrix. A letter stands for each in the table's answers.
var matrixRoles = []struct{ letter, name string }{
	{"o", "owner of the topic"},
	{"g", "department with a grant"},
	{"s", "another system of the department whose one system has the grant"},
	{"d", "department without a grant"},
	{"M", "operator"},
	{"A", "auditor"},
	{"W", "witness"},
}

// permissions is an exchange with a system in every role, a topic that one of
// them provides, and what the others might want to reach.
type permissions struct {
	*nodetest.Exchange
	clients map[string]*sdk.Client
	systems map[string]string
	// grant is the one of g; subscription and fingerprint are of g too.
	grant, subscription string
	fingerprint         []byte
	// published is the entry of a record of o, granted that of the grant.
	published, granted uint64
	key                string
	// item is the code of a service item of o.
	item string
	// person is an official of o's department.
	person *sdk.PersonKey
	// refused are the callers, topics and rules whose refusals are counted by now.
	refused map[string]bool
}

func enrol(t *testing.T, x *nodetest.Exchange, d sample.Department, system string, role cataloguev1.Role) *sdk.Client {
	t.Helper()
	return x.Join(t, d, system, role)
}

func newPermissions(t *testing.T) *permissions {
	x := nodetest.Start(t)
	p := &permissions{Exchange: x, refused: map[string]bool{}, clients: map[string]*sdk.Client{"M": x.Client}}
	p.systems = map[string]string{"M": nodetest.Operator + "/console"}
	for _, of := range []struct {
		letter string
		d      sample.Department
		system string
		role   cataloguev1.Role
	}{
		{"o", sample.CivilAffairs, "registry", cataloguev1.Role_ROLE_DEPARTMENT},
		{"g", sample.ServiceHall, "hall", cataloguev1.Role_ROLE_DEPARTMENT},
		{"s", sample.ServiceHall, "other", cataloguev1.Role_ROLE_DEPARTMENT},
		{"d", sample.Housing, "estate", cataloguev1.Role_ROLE_DEPARTMENT},
		{"A", sample.Audit, "audit", cataloguev1.Role_ROLE_AUDITOR},
		{"W", sample.PublicSecurity, "witness", cataloguev1.Role_ROLE_WITNESS},
	} {
		p.clients[of.letter], p.systems[of.letter] = enrol(t, x, of.d, of.system, of.role), of.d.Code+"/"+of.system
	}
	marriageTopic(t, x)
	publisher := p.clients["o"].Publisher(sdk.PublisherConfig{})
	m := marriages(60)[0]
	receipt, err := publisher.Publish(t.Context(), "marriage", m)
	if err != nil {
		t.Fatal(err)
	}
	p.item = subsidyItem().ImplementationCode
	if err := x.CreateTopic(t.Context(), unconditional("service-items", "ServiceItem", sample.CivilAffairs)); err != nil {
		t.Fatal(err)
	}
	if _, err := publisher.Publish(t.Context(), "service-items", subsidyItem()); err != nil {
		t.Fatal(err)
	}
	if err := publisher.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.published, p.key = receipt.Index, m.CertificateNumber
	for _, of := range []string{"o", "g", "d"} {
		x.OpenCase(t, p.clients[of], acting.Case, acting.Purpose, sdk.Subject{Type: "111", Number: m.PartyANumber}, sdk.Subject{Type: "111", Number: earner})
	}
	p.granted = x.Node.Journal.Head().Size
	_, err = x.CreateGrant(t.Context(), &accessv1.Grant{
		Topic: "marriage", Consumer: p.systems["g"], Basis: "办法第五条", Fields: []string{"party_a_name"},
		ServiceItems: []string{acting.Purpose}, StandingPurpose: "SUBSIDY-01", StandingLegalBasis: "办法第五条",
	})
	if err == nil {
		t.Fatal("a grant without delivery modes was made")
	}
	g, err := x.CreateGrant(t.Context(), &accessv1.Grant{
		Topic: "marriage", Consumer: p.systems["g"], Basis: "办法第五条", Fields: []string{"party_a_name"},
		ServiceItems: []string{acting.Purpose}, StandingPurpose: "SUBSIDY-01", StandingLegalBasis: "办法第五条",
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE, cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.grant = g.Id
	if _, err := p.clients["g"].CreateSubscription(t.Context(), sdk.NewSubscription{Name: "marriages", Topic: "marriage"}); err != nil {
		t.Fatal(err)
	}
	p.subscription = p.systems["g"] + "/marriages"
	list, err := x.Catalogue.ListCertificates(t.Context(), &cataloguev1.ListCertificatesRequest{System: p.systems["g"]})
	if err != nil || len(list.Certificates) != 1 {
		t.Fatal(list, err)
	}
	p.fingerprint = list.Certificates[0].Fingerprint
	if p.person, err = sdk.NewPersonKey(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.clients["o"].EnrolPerson(t.Context(), sdk.NewPerson{Reference: "MZ-01", Name: "王建国", Capacities: []cataloguev1.Capacity{sdk.AsHandler}, Key: p.person}); err != nil {
		t.Fatal(err)
	}
	return p
}

// clientsOf are the services over one connection.
type clientsOf struct {
	exchangev1.ExchangeServiceClient
	cataloguev1.CatalogueServiceClient
	accessv1.AccessServiceClient
	accessv1.AllowedServiceClient
	accessv1.CaseServiceClient
	accessv1.AgreementServiceClient
	exchangev1.EnrolmentServiceClient
	accessv1.ConsentServiceClient
	accessv1.RepresentationServiceClient
	accessv1.IdentityProviderServiceClient
	ledgerv1.LedgerServiceClient
	exchangev1.SnapshotServiceClient
	exchangev1.CorrectionServiceClient
	exchangev1.StatusServiceClient
	exchangev1.FanOutServiceClient
	accessv1.DeadlineServiceClient
	cataloguev1.PersonServiceClient
	cataloguev1.GroupServiceClient
	exchangev1.DocumentServiceClient
	exchangev1.ReuseServiceClient
	exchangev1.ItemServiceClient
}

func over(c grpc.ClientConnInterface) clientsOf {
	return clientsOf{
		exchangev1.NewExchangeServiceClient(c), cataloguev1.NewCatalogueServiceClient(c),
		accessv1.NewAccessServiceClient(c), accessv1.NewAllowedServiceClient(c), accessv1.NewCaseServiceClient(c), accessv1.NewAgreementServiceClient(c), exchangev1.NewEnrolmentServiceClient(c),
		accessv1.NewConsentServiceClient(c), accessv1.NewRepresentationServiceClient(c), accessv1.NewIdentityProviderServiceClient(c), ledgerv1.NewLedgerServiceClient(c),
		exchangev1.NewSnapshotServiceClient(c),
		exchangev1.NewCorrectionServiceClient(c),
		exchangev1.NewStatusServiceClient(c),
		exchangev1.NewFanOutServiceClient(c),
		accessv1.NewDeadlineServiceClient(c),
		cataloguev1.NewPersonServiceClient(c), cataloguev1.NewGroupServiceClient(c), exchangev1.NewDocumentServiceClient(c), exchangev1.NewReuseServiceClient(c), exchangev1.NewItemServiceClient(c),
	}
}

// tried turns a unary call into one whose error alone matters.
func tried[A any](_ A, err error) error { return err }

// received gives the error of a stream's first message; its end is none.
func received[A any](stream grpc.ServerStreamingClient[A], err error) error {
	if err == nil {
		_, err = stream.Recv()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func exchanged[Q, A any](stream grpc.BidiStreamingClient[Q, A], err error, first *Q, bad func(*A) *exchangev1.Problem) error {
	if err != nil {
		return err
	}
	_ = stream.Send(first)
	_ = stream.CloseSend()
	answer, err := stream.Recv()
	if err != nil {
		return err
	}
	if p := bad(answer); p != nil {
		return fault.New(fault.ParseKind(p.Kind), p.Rule, "%s", p.Message)
	}
	return nil
}

func problemIn(r *exchangev1.PublishResponse) *exchangev1.Problem {
	if r == nil || len(r.Results) == 0 {
		return nil
	}
	return r.Results[0].GetProblem()
}

// methodsOf lists the methods of the services, as the table names them.
func methodsOf(t *testing.T) []string {
	var all []string
	for _, name := range []string{
		"exchange.v1.ExchangeService", "catalogue.v1.CatalogueService", "access.v1.AccessService", "ledger.v1.LedgerService",
		"exchange.v1.SnapshotService", "exchange.v1.CorrectionService", "exchange.v1.StatusService", "exchange.v1.EnrolmentService", "access.v1.DeadlineService",
		"catalogue.v1.PersonService", "access.v1.AllowedService", "access.v1.CaseService", "access.v1.AgreementService",
		"access.v1.ConsentService", "access.v1.RepresentationService", "access.v1.IdentityProviderService", "exchange.v1.FanOutService", "catalogue.v1.GroupService", "exchange.v1.DocumentService", "exchange.v1.ReuseService", "exchange.v1.ItemService",
	} {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName("huitong." + name))
		if err != nil {
			t.Fatal(err)
		}
		methods := d.(protoreflect.ServiceDescriptor).Methods()
		for i := range methods.Len() {
			word, _, _ := strings.Cut(name, ".")
			all = append(all, word+"."+string(methods.Get(i).Name()))
		}
	}
	slices.Sort(all)
	return all
}

// TestWhoMayCallWhat calls every method of every service in every role. Nothing
// that is refused leaves anything but its refusal, which is an entry.
func TestWhoMayCallWhat(t *testing.T) {
	p := newPermissions(t)
	rows := p.rows()
	var named []string
	for _, row := range rows {
		named = append(named, row.method)
	}
	slices.Sort(named)
	if all := methodsOf(t); !slices.Equal(named, all) {
		t.Fatalf("the table has %v, the services have %v", named, all)
	}
	for _, row := range rows {
		for _, role := range matrixRoles {
			want, ok := row.want[role.letter]
			if !ok {
				want = row.want[""]
			}
			t.Run(row.method+"/"+role.name, func(t *testing.T) { p.call(t, row, role.letter, want) })
		}
	}
}

// call makes one call and compares its answer and what it left in the ledger.
func (p *permissions) call(t *testing.T, row matrixRow, role, want string) {
	before := p.Node.Journal.Head().Size
	err := fault.FromStatus(row.call(t.Context(), over(p.clients[role].Conn())))
	got := "ok"
	if err != nil {
		got = fault.KindOf(err).String() + " " + fault.RuleOf(err)
	}
	answer, entry, _ := strings.Cut(want, " + ")
	if got != answer {
		t.Errorf("answered %s, not %s: %v", got, answer, err)
	}
	if err != nil {
		p.discreet(t, err)
	}
	var kinds []string
	for _, e := range entriesFrom(t, p.Exchange, before) {
		kind := kindOf(e)
		if r := e.GetRefused(); r != nil {
			p.checkRefusal(t, r, e.Actor, role)
		}
		kinds = append(kinds, kind)
	}
	// A refusal is one entry a minute for each caller, topic and rule.
	if entry == "refused" && len(kinds) == 0 && p.refused[p.systems[role]+" "+answer] {
		return
	}
	if entry == "refused" {
		p.refused[p.systems[role]+" "+answer] = true
	}
	if left := strings.Join(kinds, " "); left != entry {
		t.Errorf("left %q in the ledger, not %q", left, entry)
	}
}

// discreet fails for an error that tells of what the caller did not name itself.
func (p *permissions) discreet(t *testing.T, err error) {
	t.Helper()
	for _, secret := range []string{p.key, p.grant, p.systems["g"], sample.CivilAffairs.Code} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the answer tells %q: %v", secret, err)
		}
	}
}

func (p *permissions) checkRefusal(t *testing.T, r *ledgerv1.AccessRefused, actor, role string) {
	t.Helper()
	if actor != p.systems[role] || r.Count != 1 {
		t.Errorf("%d refusals of %s", r.Count, actor)
	}
}

// refusalsFrom gives what was refused from an entry on: "action topic rule", sorted.
func refusalsFrom(t *testing.T, x *nodetest.Exchange, from uint64) (all []string) {
	t.Helper()
	for _, e := range entriesFrom(t, x, from) {
		if r := e.GetRefused(); r != nil {
			all = append(all, strings.TrimSpace(r.Action+" "+r.Topic)+" "+r.Rule)
		}
	}
	slices.Sort(all)
	return all
}

// entriesFrom reads the ledger from an entry on.
func entriesFrom(t *testing.T, x *nodetest.Exchange, from uint64) []*ledgerv1.LedgerEntry {
	t.Helper()
	rows, err := x.Node.DB.Reader().QueryContext(t.Context(), "SELECT leaf FROM ledger WHERE idx >= $1 ORDER BY idx", int64(from))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []*ledgerv1.LedgerEntry
	for rows.Next() {
		var leaf []byte
		e := &ledgerv1.LedgerEntry{}
		if err := errors.Join(rows.Scan(&leaf), proto.Unmarshal(leaf, e)); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func kindOf(e *ledgerv1.LedgerEntry) string {
	m := e.ProtoReflect()
	body := m.Descriptor().Oneofs().ByName("body")
	return string(m.WhichOneof(body).Name())
}

// TestWhoMayCallNoMore: a system that is suspended, of a suspended participant,
// or whose certificate was revoked is told so by every method, and one entry
// says that it tried. A stranger leaves none.
func TestWhoMayCallNoMore(t *testing.T) {
	p := newPermissions(t)
	ended := map[string]string{"g": "system.suspended", "o": "participant.suspended", "d": "certificate.revoked", "": "certificate.required"}
	rows := p.rows()
	list, err := p.Catalogue.ListCertificates(t.Context(), &cataloguev1.ListCertificatesRequest{System: p.systems["d"]})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Catalogue.SuspendSystem(t.Context(), &cataloguev1.SuspendSystemRequest{Id: p.systems["g"], Reason: "r"}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Catalogue.SuspendParticipant(t.Context(), &cataloguev1.SuspendParticipantRequest{Code: sample.CivilAffairs.Code, Reason: "r"}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Catalogue.RevokeCertificate(t.Context(), &cataloguev1.RevokeCertificateRequest{Fingerprint: list.Certificates[0].Fingerprint, Reason: "r"}); err != nil {
		t.Fatal(err)
	}
	for _, role := range slices.Sorted(maps.Keys(ended)) {
		conn := grpc.ClientConnInterface(nil)
		if c := p.clients[role]; c != nil {
			conn = c.Conn()
		} else {
			stranger, err := grpc.NewClient(p.Node.Address(), grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})))
			if err != nil {
				t.Fatal(err)
			}
			defer stranger.Close()
			conn = stranger
		}
		before := p.Node.Journal.Head().Size
		for _, row := range rows {
			err := fault.FromStatus(row.call(t.Context(), over(conn)))
			if fault.KindOf(err) != fault.Unauthenticated || fault.RuleOf(err) != ended[role] {
				t.Errorf("%s of %q answered %v", row.method, role, err)
			}
		}
		var tried []string
		for _, e := range entriesFrom(t, p.Exchange, before) {
			tried = append(tried, fmt.Sprint(e.Actor, " ", e.GetRefused().GetAction(), " ", e.GetRefused().GetRule()))
		}
		want := []string{p.systems[role] + " connect " + ended[role]}
		if role == "" {
			want = nil
		}
		if !slices.Equal(tried, want) {
			t.Errorf("%q left %v", role, tried)
		}
	}
}
