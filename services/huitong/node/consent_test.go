package node_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

const (
	issuer = "https://id.example.gov"
	spouse = "999999198506150028"
)

// family is an exchange on which reading incomes needs consents, with a hall that
// may query and check them.
type family struct {
	*nodetest.Exchange
	hall, other *sdk.Client
	key         *ecdsa.PrivateKey // of the identity provider
	clerk, head *sdk.PersonKey
}

func newFamily(t *testing.T, needs cataloguev1.Consent) *family {
	x := nodetest.Start(t)
	f := &family{Exchange: x, hall: x.Join(t, sample.ServiceHall, "hall"), other: x.Join(t, sample.Housing, "estate")}
	tax := x.Join(t, sample.HumanResources, "payroll")
	topic := unconditional("income", "Income", sample.HumanResources)
	topic.Conditions, topic.Consent = "社会救助家庭经济状况核对", needs
	topic.SharingClass = cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL
	topic.DeliveryModes = checkModes(cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY)
	ok(t, x.CreateTopic(t.Context(), topic))
	_, err := x.CreateGrant(t.Context(), &accessv1.Grant{
		Topic: "income", Consumer: sample.ServiceHall.Code, Basis: "社会救助暂行办法第五十八条", Scenario: "补贴审核",
		Fields: []string{"id_type", "id_number", "net_fen", "source"}, ServiceItems: []string{acting.Purpose},
		DeliveryModes: checkModes(cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY), Checks: incomeChecks(),
	})
	ok(t, err)
	publisher := tax.Publisher(sdk.PublisherConfig{})
	for i, number := range []string{earner, spouse} {
		_, err := publisher.Publish(t.Context(), "income", income(number, i))
		ok(t, err)
	}
	ok(t, publisher.Close(t.Context()))
	x.OpenCase(t, f.hall, acting.Case, acting.Purpose, person(earner), person(spouse))
	f.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ok(t, err)
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: f.key.Public(), KeyID: "k1"}}})
	ok(t, err)
	_, err = accessv1.NewIdentityProviderServiceClient(x.Client.Conn()).PutIdentityProvider(t.Context(), &accessv1.PutIdentityProviderRequest{
		Provider: &accessv1.IdentityProvider{Issuer: issuer, Title: "样例统一身份认证", Jwks: string(keys), SubjectType: "111"},
	})
	ok(t, err)
	f.clerk, f.head = official(t, f.hall, "CK-17", sdk.AsClerk), official(t, f.hall, "CK-18", sdk.AsHead)
	return f
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// publishOne publishes a record by a publisher of its own.
func publishOne(t *testing.T, c *sdk.Client, topic string, m proto.Message) *sdk.Receipt {
	t.Helper()
	publisher := c.Publisher(sdk.PublisherConfig{})
	receipt, err := publisher.Publish(t.Context(), topic, m)
	ok(t, err)
	ok(t, publisher.Close(t.Context()))
	return receipt
}

func person(number string) sdk.Subject { return sdk.Subject{Type: "111", Number: number} }

func income(number string, n int) *recordsv1.Income {
	return &recordsv1.Income{
		RecordNumber: fmt.Sprintf("SR-F%d", n), IdType: "111", IdNumber: number, Name: "王小明", Source: recordsv1.IncomeSource_INCOME_SOURCE_WAGE,
		PeriodFrom: "2026-01-01", PeriodUntil: "2026-01-31", GrossFen: 600_000, NetFen: 500_000,
	}
}

// official enrols an official of a system's department.
func official(t *testing.T, of *sdk.Client, reference string, as cataloguev1.Capacity) *sdk.PersonKey {
	t.Helper()
	key, err := sdk.NewPersonKey()
	ok(t, err)
	_, err = of.EnrolPerson(t.Context(), sdk.NewPerson{Reference: reference, Name: reference, Capacities: []cataloguev1.Capacity{as}, Key: key})
	ok(t, err)
	return key
}

// prepare is what a person is asked to allow the hall.
func (f *family) prepare(t *testing.T, number string, fields ...string) *sdk.Statement {
	t.Helper()
	s, err := f.hall.PrepareConsent(sdk.NewConsent{
		Subject: person(number), Topics: []sdk.ConsentedTopic{{Topic: "income", Fields: fields}},
		ServiceItems: []string{acting.Purpose}, Until: time.Now().AddDate(0, 1, 0), Case: acting.Case,
	})
	ok(t, err)
	return s
}

// token is what the identity provider says of a person and a statement.
func (f *family) token(t *testing.T, number string, s *sdk.Statement) sdk.Agreement {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: f.key, KeyID: "k1"}}, nil)
	ok(t, err)
	claims, err := json.Marshal(map[string]any{
		"iss": issuer, "aud": f.hall.Origin(), "sub": number, "nonce": s.Nonce(), "exp": time.Now().Add(time.Minute).Unix(),
	})
	ok(t, err)
	signed, err := signer.Sign(claims)
	ok(t, err)
	text, err := signed.CompactSerialize()
	ok(t, err)
	return sdk.ByToken(text)
}

func (f *family) give(t *testing.T, number string, fields ...string) *sdk.Consent {
	t.Helper()
	s := f.prepare(t, number, fields...)
	c, err := f.hall.GiveConsent(t.Context(), s, f.token(t, number, s))
	ok(t, err)
	return c
}

func (f *family) ask(t *testing.T, by sdk.QueryBy) (*sdk.Answer, error) {
	return f.hall.Query(t.Context(), sdk.Query{Topic: "income", Acting: acting, By: by})
}

// lastRefusal gives the newest refusal in the ledger.
func (f *family) lastRefusal(t *testing.T, since uint64) *ledgerv1.AccessRefused {
	t.Helper()
	var last *ledgerv1.AccessRefused
	for _, e := range entriesFrom(t, f.Exchange, since) {
		if r := e.GetRefused(); r != nil {
			last = r
		}
	}
	return last
}

// A means test is answered once every adult of the case consents, one by a token,
// one on paper; the entry commits to both consents, and each consent limits what
// leaves.
func TestAMeansTestNeedsEveryAdult(t *testing.T) {
	f := newFamily(t, cataloguev1.Consent_CONSENT_EVERY_ADULT)
	before := f.Node.Journal.Head().Size
	_, err := f.ask(t, sdk.BySubject(person(earner)))
	wantRule(t, err, fault.Denied, "consent.required")
	if r := f.lastRefusal(t, before); r.GetRule() != "consent.required" || r.GetTopic() != "income" {
		t.Errorf("the ledger has %v", r)
	}
	first := f.give(t, earner, "id_type", "id_number", "net_fen")
	_, err = f.ask(t, sdk.BySubject(person(earner)))
	wantRule(t, err, fault.Denied, "consent.every_adult")
	_, err = f.ask(t, sdk.BySubject(person(spouse)))
	wantRule(t, err, fault.Denied, "consent.required")
	onPaper := f.prepare(t, spouse)
	second, err := f.hall.GiveConsent(t.Context(), onPaper, sdk.AtCounter(sha256.Sum256([]byte("扫描件")), f.clerk, f.head))
	ok(t, err)
	if first.Weaker || !second.Weaker {
		t.Error("which of the two is weaker?")
	}
	answer, err := f.ask(t, sdk.BySubject(person(earner)))
	ok(t, err)
	if len(answer.Records) != 1 {
		t.Fatalf("%d records", len(answer.Records))
	}
	seen, err := sdk.As[*recordsv1.Income](&answer.Records[0])
	ok(t, err)
	if seen.NetFen == 0 || seen.Source != 0 {
		t.Errorf("consented to net_fen and not to source, %v left", seen)
	}
	entry := entriesFrom(t, f.Exchange, answer.Release.Index)[0].GetQueried()
	if len(entry.ConsentCommitments) != 2 || slices.Equal(entry.ConsentCommitments[0], entry.ConsentCommitments[1]) {
		t.Errorf("the entry commits to %d consents", len(entry.ConsentCommitments))
	}
	// A check looks at no field that one of them did not agree to.
	_, err = f.hall.Check(t.Context(), sdk.Check{Topic: "income", Name: "has-wage", Subject: person(earner), Acting: acting})
	wantRule(t, err, fault.Denied, "consent.elsewhere")
	_, err = f.hall.Check(t.Context(), sdk.Check{Topic: "income", Name: "income-under", Threshold: "t1", Subject: person(earner), Acting: acting})
	ok(t, err)
	// The hall lists them for its case; nobody else learns of them.
	list, err := f.hall.Consents(t.Context(), acting.Case, person(spouse))
	if err != nil || len(list) != 1 || !slices.Equal(list[0].Digest, second.Digest) {
		t.Errorf("%v, %v", list, err)
	}
	_, err = f.hall.Consents(t.Context(), acting.Case, person("999999195003010038"))
	wantRule(t, err, fault.Denied, "case.subject")
	_, err = f.other.Consents(t.Context(), acting.Case, person(spouse))
	wantRule(t, err, fault.NotFound, "case.unknown")
	_, err = f.other.Consent(t.Context(), first.Digest)
	wantRule(t, err, fault.NotFound, "consent.unknown")
}

// What shows nothing is refused with an entry by its rule, over the wire too.
func TestForgedConsentsLeaveARefusal(t *testing.T) {
	f := newFamily(t, cataloguev1.Consent_CONSENT_SUBJECT)
	s := f.prepare(t, earner)
	for rule, agreed := range map[string]sdk.Agreement{
		"consent.token.artefact":      f.token(t, earner, f.prepare(t, earner)),
		"consent.token.subject":       f.token(t, spouse, s),
		"consent.counter.same_person": sdk.AtCounter(sha256.Sum256(nil), f.clerk, f.clerk),
	} {
		before := f.Node.Journal.Head().Size
		_, err := f.hall.GiveConsent(t.Context(), s, agreed)
		wantRule(t, err, fault.Denied, rule)
		if r := f.lastRefusal(t, before); r.GetRule() != rule {
			t.Errorf("%s: the ledger has %v", rule, r)
		}
	}
	before := f.Node.Journal.Head().Size
	_, err := f.other.GiveConsent(t.Context(), s, f.token(t, earner, s))
	wantRule(t, err, fault.Denied, "consent.recipient")
	if r := f.lastRefusal(t, before); r.GetRule() != "consent.recipient" {
		t.Errorf("the ledger has %v", r)
	}
}

// While many callers query, a consent is revoked, and then the case is closed:
// nothing is answered behind either entry.
func TestNothingIsAnsweredBehindARevocationOrAClosing(t *testing.T) {
	f := newFamily(t, cataloguev1.Consent_CONSENT_SUBJECT)
	for _, end := range []struct {
		rule string
		end  func(c *sdk.Consent)
	}{
		{"consent.revoked", func(c *sdk.Consent) {
			s, err := f.hall.PrepareRevocation(c.Digest)
			ok(t, err)
			_, err = f.hall.RevokeConsent(t.Context(), s, f.token(t, earner, s))
			ok(t, err)
		}},
		{"case.closed", func(*sdk.Consent) {
			_, err := f.hall.CloseCase(t.Context(), acting.Case, acting.Person, "核准")
			ok(t, err)
		}},
	} {
		given := f.give(t, earner)
		before := f.Node.Journal.Head().Size
		var asking sync.WaitGroup
		for range 16 {
			asking.Go(func() {
				for {
					_, err := f.ask(t, sdk.BySubject(person(earner)))
					if err == nil {
						continue
					}
					wantRule(t, err, fault.Denied, end.rule)
					return
				}
			})
		}
		catalogtest.Within(t, nodetest.Patience, "some are answered", func() bool { return f.Node.Journal.Head().Size > before+32 })
		end.end(given)
		asking.Wait()
		ended := false
		for _, e := range entriesFrom(t, f.Exchange, before) {
			ended = ended || e.GetConsentRevoked() != nil || e.GetCaseClosed() != nil
			if ended && e.GetQueried() != nil {
				t.Errorf("%s: entry %d answers behind the end", end.rule, e.Index)
			}
		}
		if !ended {
			t.Errorf("%s: no entry says so", end.rule)
		}
	}
}

// A child's guardian is on record, consents for it, and its consent ends with the
// record.
func TestAGuardianIsRecordedOverTheWire(t *testing.T) {
	f := newFamily(t, cataloguev1.Consent_CONSENT_SUBJECT)
	child := person("999999201010200049")
	f.OpenCase(t, f.hall, "SF-2026-000077", acting.Purpose, child, person(earner))
	r, err := f.hall.RecordRepresentation(t.Context(), sdk.NewRepresentation{
		Principal: child, Representative: person(earner), Kind: sdk.Guardian, Document: "户口簿", Scan: sha256.Sum256([]byte("户口簿")),
		Until: time.Now().AddDate(1, 0, 0),
	}, f.clerk)
	ok(t, err)
	s, err := f.hall.PrepareConsent(sdk.NewConsent{
		Subject: child, Topics: []sdk.ConsentedTopic{{Topic: "income"}}, ServiceItems: []string{acting.Purpose},
		Until: time.Now().AddDate(0, 1, 0), Representation: r.Digest,
	})
	ok(t, err)
	_, err = f.hall.GiveConsent(t.Context(), s, f.token(t, earner, s))
	ok(t, err)
	ask := func() error {
		a := acting
		a.Case = "SF-2026-000077"
		_, err := f.hall.Query(t.Context(), sdk.Query{Topic: "income", Acting: a, By: sdk.BySubject(child)})
		return err
	}
	ok(t, ask())
	all, err := f.hall.Representations(t.Context(), &child)
	if err != nil || len(all) != 1 || !slices.Equal(all[0].Digest, r.Digest) {
		t.Errorf("%v, %v", all, err)
	}
	_, err = f.hall.EndRepresentation(t.Context(), r.Digest, "监护关系变更", f.head)
	ok(t, err)
	wantRule(t, ask(), fault.Denied, "consent.revoked")
}
