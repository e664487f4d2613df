package node_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

const certificates = "disability-certificate"

// certificateID is an identifier of a certificate of disability, by serial and
// version.
func certificateID(serial, version int) string {
	return sample.CertificateID("11999900MB0000019D001", sample.DisabledPersons.Code, fmt.Sprintf("202500%04d", serial), version)
}

func certificateOf(id string) *recordsv1.Certificate {
	return &recordsv1.Certificate{
		Identifier: id, TypeCode: "11999900MB0000019D001", TypeName: "残疾人证", Name: "残疾人证", Number: "99999919900101001643",
		IssuerCode: sample.DisabledPersons.Code, IssuerName: sample.DisabledPersons.Name, IssueDate: "2025-01-10",
		HolderType: "111", HolderNumber: earner, HolderName: "王小明", ValidFrom: "2025-01-10", ValidUntil: "2034-12-31",
	}
}

// issuing is an exchange with an issuer of certificates and a hall that is shown
// them and has no grant for them.
type issuing struct {
	*nodetest.Exchange
	issuer, hall *sdk.Client
	publisher    *sdk.Publisher
}

func newIssuing(t *testing.T, configs ...node.Config) *issuing {
	x := nodetest.Start(t, configs...)
	in := &issuing{Exchange: x, issuer: x.Join(t, sample.DisabledPersons, "cards"), hall: x.Join(t, sample.ServiceHall, "hall")}
	topic := unconditional(certificates, "Certificate", sample.DisabledPersons)
	topic.SharingClass, topic.Conditions, topic.SignatureRequired = cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, "社会救助核对", true
	if err := x.CreateTopic(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	in.publisher = in.issuer.Publisher(sdk.PublisherConfig{})
	t.Cleanup(func() { _ = in.publisher.Close(t.Context()) })
	return in
}

func (in *issuing) issue(t *testing.T, m *recordsv1.Certificate) *sdk.Receipt {
	t.Helper()
	r, err := in.publisher.Publish(t.Context(), certificates, m)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (in *issuing) status(t *testing.T, want sdk.Standing, id string) *sdk.CertificateStatus {
	t.Helper()
	s, err := in.hall.Status(t.Context(), certificates, id)
	if err != nil {
		t.Fatal(err)
	}
	if s.Standing != want {
		t.Fatalf("%s, not %s", s.Standing, want)
	}
	return s
}

// TestAStatusTellsNothingElse: the answer says how the certificate stands, and
// its entry names neither identifier nor holder.
func TestAStatusTellsNothingElse(t *testing.T) {
	in := newIssuing(t)
	id := certificateID(1, 1)
	issued := in.issue(t, certificateOf(id))
	s := in.status(t, sdk.StandingActive, id)
	if !s.Since.Equal(issued.At) || s.SupersededByVersion != 0 || !s.Receipt.Proven() {
		t.Errorf("%+v of a certificate issued at %v", s, issued.At)
	}
	answer, err := exchangev1.NewStatusServiceClient(in.hall.Conn()).GetStatus(t.Context(), &exchangev1.GetStatusRequest{Topic: certificates, Key: id})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := proto.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{id, earner, "王小明", "99999919900101001643"} {
		if strings.Contains(string(raw), secret) {
			t.Errorf("the answer tells %q", secret)
		}
	}
	client := ledgerv1.NewLedgerServiceClient(in.issuer.Conn())
	entry, err := client.GetEntry(t.Context(), &ledgerv1.GetEntryRequest{Index: s.Receipt.Index, WithOpening: true})
	if err != nil || entry.Entry.ReadOpening != nil {
		t.Errorf("the issuer sees that it was asked, and not of which certificate: %v, %v", entry.GetEntry().GetReadOpening(), err)
	}
	fsck(t, in.Exchange)
}

// TestGuessingIsLimited: of many questions at once no more are answered than the
// setting allows in an hour, whichever system of the participant asks.
func TestGuessingIsLimited(t *testing.T) {
	clock := &movable{}
	clock.put(beforeNationalDay())
	in := newIssuing(t, node.Config{Clock: clock.Now, Database: "sqlite:" + t.TempDir()})
	deadlines := accessv1.NewDeadlineServiceClient(in.Client.Conn())
	got, err := deadlines.GetSettings(t.Context(), &accessv1.GetSettingsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	got.Settings.MaxStatusQuestions = 10
	if _, err := deadlines.SetSettings(t.Context(), &accessv1.SetSettingsRequest{Settings: got.Settings}); err != nil {
		t.Fatal(err)
	}
	other := in.Join(t, sample.ServiceHall, "other")
	id := certificateID(1, 1)
	in.issue(t, certificateOf(id))
	var wait sync.WaitGroup
	answers := make(chan error, 20)
	for i := range 20 {
		client := []*sdk.Client{in.hall, other}[i%2]
		wait.Go(func() {
			_, err := client.Status(t.Context(), certificates, certificateID(i, 1))
			answers <- err
		})
	}
	wait.Wait()
	close(answers)
	refused := 0
	for err := range answers {
		if err != nil {
			wantRule(t, err, fault.Denied, "status.limit")
			refused++
		}
	}
	if refused != 10 {
		t.Errorf("%d of 20 questions were refused, not 10", refused)
	}
	if _, err := in.issuer.Status(t.Context(), certificates, id); err != nil {
		t.Errorf("another participant is refused: %v", err)
	}
	clock.put(clock.Now().Add(time.Hour))
	in.status(t, sdk.StandingActive, id)
	fsck(t, in.Exchange)
}
