package catalog_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	contractv1 "github.com/huitong-bus/huitong/proto/gen/huitong/contract/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const conditional = cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL

// entries decodes the leaves of a commit.
func entries(t *testing.T, c *journal.Commit) []*ledgerv1.LedgerEntry {
	t.Helper()
	var all []*ledgerv1.LedgerEntry
	for _, leaf := range c.Leaves {
		e := &ledgerv1.LedgerEntry{}
		if err := proto.Unmarshal(leaf, e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func wantRule(t *testing.T, err error, kind fault.Kind, rule string) {
	t.Helper()
	if fault.KindOf(err) != kind || fault.RuleOf(err) != rule {
		t.Errorf("got %v %q (%v), want %v %q", fault.KindOf(err), fault.RuleOf(err), err, kind, rule)
	}
}

func TestFoundingIsInTheLedgerOnce(t *testing.T) {
	x := catalogtest.New(t)
	size := x.Journal.Head().Size
	if want := uint64(3 + len(contract.Standard())); size != want {
		t.Errorf("%d entries, want %d", size, want)
	}
	again, err := x.Catalogue.Found(t.Context(), catalog.Founding{
		ParticipantName: "x", Operator: x.Identity.Operator, Certificate: x.Identity.OperatorCertificate,
	})
	if err != nil || again != nil {
		t.Errorf("founding again gave %v, %v", again, err)
	}
	if !x.Operator.Roles.Has(identity.Operator) || x.Operator.System != catalogtest.Authority+"/console" {
		t.Errorf("the operator is %+v", x.Operator)
	}
	x.Topic("person", catalogtest.Authority, conditional)
	topic, err := x.Catalogue.Topic("person")
	if err != nil {
		t.Fatal(err)
	}
	if k, err := topic.Contract(0); err != nil || k.Version() != 1 || k.Name() != "huitong.records.v1.Person" {
		t.Errorf("got %v, %v", k, err)
	}
	if _, err := topic.Contract(2); fault.RuleOf(err) != "contract.version" {
		t.Errorf("got %v", err)
	}
}

func TestEnrolledCertificateIsInTheLedgerAndCalls(t *testing.T) {
	x := catalogtest.New(t)
	_, commit, err := x.Catalogue.RegisterParticipant(t.Context(), x.ByOperator(), &cataloguev1.Participant{Code: catalogtest.Civil, Name: "民政局", Region: "110105"})
	if err != nil {
		t.Fatal(err)
	}
	changed := entries(t, commit)[0].GetChanged()
	if changed.Object != "participant" || changed.Policy != commit.Policy || changed.Version != 1 {
		t.Errorf("entry %v", changed)
	}
	p, err := x.Catalogue.Participant(catalogtest.Civil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := catalog.Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	if digest := sha256.Sum256(body); !bytes.Equal(digest[:], changed.Digest) {
		t.Error("the entry's digest is not over the object")
	}

	name := identity.Name{Participant: catalogtest.Civil, System: "relief"}
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	request, err := identity.NewRequest(name, key)
	if err != nil {
		t.Fatal(err)
	}
	enrolment := catalog.Enrolment{ID: name.String(), Roles: []cataloguev1.Role{cataloguev1.Role_ROLE_DEPARTMENT}, Request: request}
	dry, commit, err := x.Catalogue.EnrolSystem(t.Context(), catalog.Change{Actor: x.Operator, ValidateOnly: true}, enrolment)
	if err != nil || len(commit.Leaves) != 0 || dry.System.Id != name.String() {
		t.Fatalf("dry run gave %v, %v", commit, err)
	}
	size := x.Journal.Head().Size
	e, commit, err := x.Catalogue.EnrolSystem(t.Context(), x.ByOperator(), enrolment)
	if err != nil {
		t.Fatal(err)
	}
	if commit.Index != size {
		t.Errorf("the dry run wrote %d entries", commit.Index-size)
	}
	issued := entries(t, commit)[1].GetCertificate()
	if issued.Change != "issue" || !bytes.Equal(issued.Certificate, e.Certificate.Der) || !bytes.Equal(issued.Fingerprint, e.Certificate.Fingerprint) {
		t.Errorf("entry %v", issued)
	}
	caller, err := x.Catalogue.Caller([32]byte(e.Certificate.Fingerprint))
	if err != nil || caller.System != name.String() || !caller.Roles.Has(identity.Department) {
		t.Fatalf("caller %+v, %v", caller, err)
	}
	repeat, commit, err := x.Catalogue.EnrolSystem(t.Context(), x.ByOperator(), enrolment)
	if err != nil || commit != nil || !bytes.Equal(repeat.Certificate.Der, e.Certificate.Der) {
		t.Errorf("the repeat gave %v, %v", commit, err)
	}
	other, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if enrolment.Request, err = identity.NewRequest(name, other); err != nil {
		t.Fatal(err)
	}
	_, _, err = x.Catalogue.EnrolSystem(t.Context(), x.ByOperator(), enrolment)
	wantRule(t, err, fault.AlreadyExists, "system.exists")
}

func TestRevokeAndSuspendReachEveryProcessWithinASecond(t *testing.T) {
	db := storetest.Open(t)
	x := catalogtest.On(t, db)
	other := catalogtest.Join(t, db, x.Identity)
	ctx := t.Context()
	relief := x.Enrol(catalogtest.Civil, "relief")
	fingerprint := relief.Caller.Fingerprint
	state := func(want string) {
		t.Helper()
		_, err := x.Catalogue.Caller(fingerprint)
		if got := fault.RuleOf(err); got != want {
			t.Errorf("here: %q at once, want %q", got, want)
		}
		catalogtest.Within(t, time.Second, "the other process says "+want, func() bool {
			_, err := other.Catalogue.Caller(fingerprint)
			return fault.RuleOf(err) == want
		})
	}
	state("")
	for _, step := range []struct {
		rule string
		do   func() error
	}{
		{"system.suspended", func() error {
			_, _, err := x.Catalogue.SuspendSystem(ctx, x.ByOperator(), relief.Caller.System, "test")
			return err
		}},
		{"", func() error {
			_, _, err := x.Catalogue.ResumeSystem(ctx, x.ByOperator(), relief.Caller.System)
			return err
		}},
		{"participant.suspended", func() error {
			_, _, err := x.Catalogue.SuspendParticipant(ctx, x.ByOperator(), catalogtest.Civil, "test")
			return err
		}},
		{"", func() error {
			_, _, err := x.Catalogue.ResumeParticipant(ctx, x.ByOperator(), catalogtest.Civil)
			return err
		}},
		{"certificate.revoked", func() error {
			_, _, err := x.Catalogue.RevokeCertificate(ctx, x.ByOperator(), fingerprint[:], "key lost")
			return err
		}},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		state(step.rule)
	}
	// The transaction itself refuses who has just lost the right, whatever a
	// process still believes.
	_, _, err := x.Catalogue.CreateTopic(ctx, catalog.Change{Actor: relief.Caller}, &cataloguev1.Topic{
		Name: "late", Title: "late", Contract: "huitong.records.v1.Person", SharingClass: conditional,
	})
	wantRule(t, err, fault.Unauthenticated, "certificate.revoked")
}

func TestRenewal(t *testing.T) {
	x := catalogtest.New(t)
	relief := x.Enrol(catalogtest.Civil, "relief")
	housing := x.Enrol(catalogtest.Housing, "fund")
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	request, err := identity.NewRequest(identity.Name{Participant: "whatever", System: "is passed over"}, key)
	if err != nil {
		t.Fatal(err)
	}
	own := catalog.Change{Actor: relief.Caller}
	renewed, commit, err := x.Catalogue.RenewCertificate(t.Context(), own, "", request, 30)
	if err != nil {
		t.Fatal(err)
	}
	if e := entries(t, commit)[0].GetCertificate(); e.Change != "renew" || e.System != relief.Caller.System {
		t.Errorf("entry %v", e)
	}
	for _, f := range [][32]byte{relief.Caller.Fingerprint, [32]byte(renewed.Fingerprint)} {
		if c, err := x.Catalogue.Caller(f); err != nil || c.System != relief.Caller.System {
			t.Errorf("caller %v, %v", c, err)
		}
	}
	if repeat, commit, err := x.Catalogue.RenewCertificate(t.Context(), own, "", request, 30); err != nil || commit != nil || !bytes.Equal(repeat.Der, renewed.Der) {
		t.Errorf("the repeat gave %v, %v", commit, err)
	}
	_, _, err = x.Catalogue.RenewCertificate(t.Context(), catalog.Change{Actor: housing.Caller}, relief.Caller.System, request, 30)
	wantRule(t, err, fault.Denied, "role.operator")
}

func TestWhatIsRefused(t *testing.T) {
	x := catalogtest.New(t)
	ctx := t.Context()
	civil := catalog.Change{Actor: x.Enrol(catalogtest.Civil, "relief").Caller}
	x.Topic("taken", catalogtest.Civil, conditional)
	topic := func(change func(*cataloguev1.Topic)) error {
		m := &cataloguev1.Topic{Name: "t", Title: "t", Provider: catalogtest.Civil, Contract: "huitong.records.v1.Person", SharingClass: conditional}
		change(m)
		_, _, err := x.Catalogue.CreateTopic(ctx, civil, m)
		return err
	}
	participant := func(code, name, region string) error {
		_, _, err := x.Catalogue.RegisterParticipant(ctx, x.ByOperator(), &cataloguev1.Participant{Code: code, Name: name, Region: region})
		return err
	}
	enrol := func(id string, roles ...cataloguev1.Role) error {
		key, err := identity.NewKey()
		if err != nil {
			return err
		}
		request, err := identity.NewRequest(identity.Name{}, key)
		if err != nil {
			return err
		}
		_, _, err = x.Catalogue.EnrolSystem(ctx, x.ByOperator(), catalog.Enrolment{ID: id, Roles: roles, Request: request})
		return err
	}
	department := cataloguev1.Role_ROLE_DEPARTMENT
	revoke := func(f []byte, reason string) error {
		_, _, err := x.Catalogue.RevokeCertificate(ctx, x.ByOperator(), f, reason)
		return err
	}
	for name, c := range map[string]struct {
		err  error
		kind fault.Kind
		rule string
	}{
		"topic name":          {topic(func(m *cataloguev1.Topic) { m.Name = "Bad Name" }), fault.Invalid, "topic.name"},
		"topic title":         {topic(func(m *cataloguev1.Topic) { m.Title = " " }), fault.Invalid, "topic.title.required"},
		"topic class":         {topic(func(m *cataloguev1.Topic) { m.SharingClass = 0 }), fault.Invalid, "topic.sharing_class.required"},
		"topic foreign":       {topic(func(m *cataloguev1.Topic) { m.Provider = catalogtest.Authority }), fault.Denied, "topic.owner"},
		"topic contract":      {topic(func(m *cataloguev1.Topic) { m.Contract = "x.Y" }), fault.Invalid, "contract.unknown"},
		"topic mode":          {topic(func(m *cataloguev1.Topic) { m.DeliveryModes = []cataloguev1.DeliveryMode{4} }), fault.Invalid, "topic.delivery_modes.unknown"},
		"topic taken":         {topic(func(m *cataloguev1.Topic) { m.Name = "taken" }), fault.AlreadyExists, "topic.exists"},
		"topic secret":        {topic(func(m *cataloguev1.Topic) { m.Secrecy = cataloguev1.Secrecy_SECRECY_WORK_SECRET }), fault.Denied, "topic.secret"},
		"participant code":    {participant("11999900MB0000019E", "x", ""), fault.Invalid, "identifier.credit_code"},
		"participant's lines": {participant(catalogtest.Audit, "审计\n局", ""), fault.Invalid, "participant.name.text"},
		"participant name":    {participant(catalogtest.Audit, "", ""), fault.Invalid, "participant.name.required"},
		"participant region":  {participant(catalogtest.Audit, "x", "1"), fault.Invalid, "identifier.region"},
		"system participant":  {enrol(catalogtest.Audit+"/x", department), fault.Invalid, "participant.unknown"},
		"system name":         {enrol(catalogtest.Civil+"/X", department), fault.Invalid, "system.name"},
		"system roles":        {enrol(catalogtest.Civil + "/x"), fault.Invalid, "system.roles.required"},
		"system mixed":        {enrol(catalogtest.Civil+"/x", department, cataloguev1.Role_ROLE_AUDITOR), fault.Invalid, "system.roles.separate"},
		"revoke size":         {revoke([]byte("x"), "x"), fault.Invalid, "fingerprint.size"},
		"revoke reason":       {revoke(make([]byte, 32), ""), fault.Invalid, "reason.required"},
		"revoke unknown":      {revoke(make([]byte, 32), "x"), fault.NotFound, "certificate.unknown"},
		"revoke self":         {revoke(x.Operator.Fingerprint[:], "x"), fault.Denied, "operator.self"},
		"suspend self system": {second(x.Catalogue.SuspendSystem(ctx, x.ByOperator(), x.Operator.System, "x")), fault.Denied, "operator.self"},
		"suspend self":        {second(x.Catalogue.SuspendParticipant(ctx, x.ByOperator(), catalogtest.Authority, "x")), fault.Denied, "operator.self"},
	} {
		t.Run(name, func(t *testing.T) { wantRule(t, c.err, c.kind, c.rule) })
	}
	if _, commit, err := x.Catalogue.CreateTopic(ctx, x.ByOperator(), &cataloguev1.Topic{
		Name: "taken", Title: "taken", Provider: catalogtest.Civil, Contract: "huitong.records.v1.Person", SharingClass: conditional,
		Conditions: "按授权使用", LegalBasis: "《政务数据共享条例》第十四条",
	}); err != nil || commit != nil {
		t.Errorf("the repeat of a topic gave %v, %v", commit, err)
	}
}

func second[T any](_ T, _ *journal.Commit, err error) error { return err }

// ownContract gives a descriptor set of a department's contract: the standard
// pack's person under another package, with more fields if asked for.
func ownContract(t *testing.T, more ...string) []byte {
	t.Helper()
	set := &descriptorpb.FileDescriptorSet{}
	for _, k := range contract.Standard() {
		if k.Name() != "huitong.records.v1.Person" {
			continue
		}
		if err := proto.Unmarshal(k.DescriptorSet(), set); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range set.File {
		if f.GetPackage() != "huitong.records.v1" {
			continue
		}
		raw, err := proto.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		// The same length, so that the wire form stays whole.
		raw = bytes.ReplaceAll(raw, []byte("huitong.records.v1"), []byte("example.people.v1x"))
		proto.Reset(f)
		if err := proto.Unmarshal(raw, f); err != nil {
			t.Fatal(err)
		}
		for _, m := range f.MessageType {
			if m.GetName() != "Person" {
				continue
			}
			for i, name := range more {
				m.Field = append(m.Field, &descriptorpb.FieldDescriptorProto{
					Name: proto.String(name), JsonName: proto.String(name), Number: proto.Int32(int32(900 + i)),
					Type:  descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
					Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
				})
				options := &descriptorpb.FieldOptions{}
				proto.SetExtension(options, contractv1.E_Item, &contractv1.DataItemOptions{Title: name, Sensitivity: 1})
				m.Field[len(m.Field)-1].Options = options
			}
		}
	}
	raw, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestContractsAreRegisteredAtRunTime(t *testing.T) {
	x := catalogtest.New(t)
	ctx := t.Context()
	civil := catalog.Change{Actor: x.Enrol(catalogtest.Civil, "relief").Caller}
	housing := catalog.Change{Actor: x.Enrol(catalogtest.Housing, "fund").Caller}
	const name = "example.people.v1x.Person"
	register := func(ch catalog.Change, set []byte) (*catalog.Verdict, *journal.Commit) {
		t.Helper()
		v, commit, err := x.Catalogue.RegisterContract(ctx, ch, catalog.Registration{Name: name, DescriptorSet: set})
		if err != nil {
			t.Fatal(err)
		}
		return v, commit
	}
	v, commit := register(civil, ownContract(t))
	if len(v.Findings) > 0 || commit == nil || v.Contract.Owner != catalogtest.Civil || v.Contract.Version != 1 {
		t.Fatalf("%+v", v)
	}
	if v, commit := register(civil, ownContract(t)); !v.Unchanged || commit != nil || v.Contract.Version != 1 {
		t.Errorf("the repeat gave %+v", v)
	}
	if _, _, err := x.Catalogue.CreateTopic(ctx, civil, &cataloguev1.Topic{Name: "people", Title: "人", Contract: name, SharingClass: conditional}); err != nil {
		t.Fatal(err)
	}
	if v, _ := register(civil, ownContract(t, "nickname")); len(v.Findings) > 0 || v.Contract.Version != 2 {
		t.Fatalf("%+v", v)
	}
	if v, commit := register(civil, ownContract(t)); len(v.Findings) == 0 || commit != nil {
		t.Errorf("taking a field away gave %+v", v)
	}
	topic, err := x.Catalogue.Topic("people")
	if err != nil {
		t.Fatal(err)
	}
	if k, err := topic.Contract(0); err != nil || k.Version() != 2 {
		t.Errorf("the newest is %v, %v", k, err)
	}
	if mask := topic.Mask([]string{"nickname", "name"}); len(mask) != 2 || mask[1] != 900 {
		t.Errorf("mask %v", mask)
	}
	_, _, err = x.Catalogue.RegisterContract(ctx, housing, catalog.Registration{Name: name, DescriptorSet: ownContract(t, "nickname", "other")})
	wantRule(t, err, fault.Denied, "contract.owner")
	_, _, err = x.Catalogue.RegisterContract(ctx, housing, catalog.Registration{Name: "huitong.records.v1.Person", DescriptorSet: ownContract(t)})
	wantRule(t, err, fault.Denied, "contract.reserved")
	_, _, err = x.Catalogue.RegisterContract(ctx, housing, catalog.Registration{Name: name, DescriptorSet: []byte("\xff")})
	wantRule(t, err, fault.Invalid, "descriptor_set.broken")
	whole, err := x.Catalogue.Contract(ctx, name, 2)
	if err != nil || len(whole.DescriptorSet) == 0 || len(whole.Items) == 0 {
		t.Errorf("got %v", err)
	}
	listed, err := x.Catalogue.Contracts(ctx, housing.Actor, catalog.Page{Limit: 1})
	if err != nil || len(listed) != 1 || listed[0].Name != name || listed[0].Version != 2 {
		t.Errorf("listed %v, %v", listed, err)
	}
}

func TestAMaskGrantsNoOtherNameInAnyVersion(t *testing.T) {
	x := catalogtest.New(t)
	ctx := t.Context()
	civil := catalog.Change{Actor: x.Enrol(catalogtest.Civil, "relief").Caller}
	const name = "example.people.v1x.Person"
	for _, field := range []string{"income", "nickname"} {
		v, _, err := x.Catalogue.RegisterContract(ctx, civil, catalog.Registration{
			Name: name, DescriptorSet: ownContract(t, field), Compatibility: cataloguev1.Compatibility_COMPATIBILITY_NONE,
		})
		if err != nil || len(v.Findings) > 0 {
			t.Fatal(v, err)
		}
	}
	if _, _, err := x.Catalogue.CreateTopic(ctx, civil, &cataloguev1.Topic{Name: "people", Title: "人", Contract: name, SharingClass: conditional}); err != nil {
		t.Fatal(err)
	}
	topic, err := x.Catalogue.Topic("people")
	if err != nil {
		t.Fatal(err)
	}
	if mask := topic.Mask([]string{"nickname"}); len(mask) != 0 || mask == nil {
		t.Errorf("number 900 was income before it was nickname, and is granted: %v", mask)
	}
}

func TestTenThousandTopicsCostAChangeNothing(t *testing.T) {
	x := catalogtest.New(t)
	n := 10_000
	if testing.Short() {
		n = 1_000
	}
	work := make(chan int)
	errs := make(chan error, 32)
	for range cap(errs) {
		go func() {
			var last error
			for i := range work {
				_, _, err := x.Catalogue.CreateTopic(t.Context(), x.ByOperator(), &cataloguev1.Topic{
					Name: fmt.Sprintf("topic-%05d", i), Title: "t", Provider: catalogtest.Authority,
					Contract: "huitong.records.v1.Person", SharingClass: conditional, Conditions: "按授权使用",
				})
				if err != nil {
					last = err
				}
			}
			errs <- last
		}()
	}
	began := time.Now()
	for i := range n {
		work <- i
	}
	close(work)
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d topics in %v", n, time.Since(began))
	began = time.Now()
	fresh := catalogtest.Join(t, x.DB, x.Identity)
	t.Logf("loaded in %v", time.Since(began))
	began = time.Now()
	if _, _, err := x.Catalogue.WithdrawTopic(t.Context(), x.ByOperator(), "topic-00007", "test"); err != nil {
		t.Fatal(err)
	}
	t.Logf("one change in %v", time.Since(began))
	catalogtest.Within(t, time.Second, "the other process knows", func() bool {
		topic, err := fresh.Catalogue.Topic("topic-00007")
		return err == nil && !topic.Active()
	})
	page, seen := catalog.Page{Limit: 1000}, 0
	for {
		list, err := x.Catalogue.Topics(t.Context(), x.Operator, catalog.TopicFilter{}, page)
		if err != nil {
			t.Fatal(err)
		}
		seen += len(list)
		if len(list) < 1000 {
			break
		}
		page.After = list[999].Name
	}
	if seen != n {
		t.Errorf("listed %d", seen)
	}
}
