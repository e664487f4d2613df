package inspect_test

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/bus"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/subscription"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const caseNumber = "CASE-2026-1"

// everything fills the world with every kind of entry and every kind of row, and
// gives an entry of each kind.
func (w *world) everything(t testing.TB) map[string]uint64 {
	t.Helper()
	at := map[string]uint64{}
	first := w.publish(t, w.security, put("P1", "王芳"), put("P2", "李娜"), put("P3", "张伟"))
	at["published"], at["erased version"] = first[0], first[2]
	w.publish(t, w.security, put("P1", "王芳芳"))
	at["operation"] = w.publish(t, w.security, operate(ledgerv1.Operation_OPERATION_SUSPEND, "P2"))[0]
	w.publish(t, w.security, put("P3", "张伟伟"))
	at["signed"] = w.signed(t, "S1", "S2")
	at["eraser"] = w.publish(t, w.security, operate(ledgerv1.Operation_OPERATION_ERASE, "P3"))[0]
	at["erased"] = at["eraser"] + 1
	w.household(t, "H1", "P1", "P2")
	w.publishFrom(t, put("P9", "赵敏"))
	w.permissions(t)
	w.fullLoad(t, at)
	w.disputes(t, at)
	w.bringDocuments(t, at)
	at["person"] = w.persons(t)
	at["checked"] = w.checked(t)
	w.clocks(t)
	at["case"] = w.openCases(t)
	w.consents(t, at)
	w.enrolments(t, at)
	w.madeGood(t)
	at["queried"] = w.entered(t, w.queried(subject("P1"), caseNumber))
	at["released"] = w.entered(t, w.released(first[0], first[1]))
	at["received"] = w.entered(t, w.received(t))
	at["refused"] = w.refuse(t)
	_, _, err := w.ledger.List(t.Context(), w.auditor.Caller, &ledgerv1.EntryFilter{Subject: subject("P1")}, inspect.Page{})
	must(t, err)
	at["read"] = w.Journal.Head().Size - 1
	at["changed"], at["certificate"] = w.changes(t)
	w.publish(t, w.security, numbered("N", 0, 300)...)
	w.publish(t, w.security, put("P1", "王小芳"))
	return at
}

// signed publishes a signed call and gives its first entry.
func (w *world) signed(t testing.TB, numbers ...string) uint64 {
	t.Helper()
	layout := w.personLayout(t)
	req := &exchangev1.PublishRequest{}
	var statements []*verify.Statement
	for _, n := range numbers {
		p := put(n, "王芳")
		p.IdempotencyKey, p.Secret, p.Operation = random(verify.KeySize), random(verify.SecretSize), ledgerv1.Operation_OPERATION_PUT
		commitment, err := layout.Commitment(p.Secret, p.GetProtobuf())
		must(t, err)
		statements = append(statements, &verify.Statement{
			IdempotencyKey: p.IdempotencyKey, Topic: p.Topic, Operation: p.Operation, PayloadCommitment: commitment[:],
		})
		req.Records = append(req.Records, p)
	}
	sign(t, w.security, req, statements)
	resp, err := w.intake.Publish(t.Context(), w.security.Caller, req)
	must(t, err)
	if resp.Results[0].GetReceipt() == nil {
		t.Fatal(resp.Results[0].GetProblem())
	}
	return resp.Results[0].GetReceipt().Index
}

func (w *world) personLayout(t testing.TB) *verify.Layout {
	t.Helper()
	topic, err := w.Catalogue.Topic(people)
	must(t, err)
	k, err := topic.Contract(1)
	must(t, err)
	return &verify.Layout{Contract: k.Name(), Version: k.Version(), Fields: k.Fields()}
}

// publishFrom publishes with a position in the publisher's source.
func (w *world) publishFrom(t testing.TB, p *exchangev1.Publication) {
	t.Helper()
	_, err := w.intake.Publish(t.Context(), w.security.Caller, &exchangev1.PublishRequest{
		Records: []*exchangev1.Publication{p}, SourcePosition: &exchangev1.SourcePosition{Source: "table", Position: []byte("7")},
	})
	must(t, err)
}

const (
	item             = "000512001000"
	subscriptionName = "people"
)

// permissions grants, subscribes and uses the grant.
func (w *world) permissions(t testing.TB) {
	t.Helper()
	g, _, err := w.policy.Create(t.Context(), w.ByOperator(), &accessv1.Grant{
		Topic: people, Consumer: catalogtest.Civil, Basis: "社会救助暂行办法 第58条", Fields: []string{"id_number", "name"},
		ServiceItems: []string{item}, StandingPurpose: "低保动态核查", StandingLegalBasis: "社会救助暂行办法 第13条", DailyLimit: 9,
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE, cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
	})
	must(t, err)
	m := subscription.Open(subscription.Config{
		DB: w.DB, Journal: w.Journal, Catalogue: w.Catalogue, Policy: w.policy, Refusals: w.refusals, Keyring: w.Identity.Keyring,
	})
	_, _, err = m.Create(t.Context(), w.civil.Caller, &exchangev1.Subscription{Name: subscriptionName, Topic: people, Lanes: 2}, false)
	must(t, err)
	ending, cancel := context.WithTimeout(context.Background(), catalogtest.Patience)
	defer cancel()
	m.Close(ending)
	execOn(t, w.DB.Journal, "INSERT INTO grant_use (grant_id, day, used) VALUES ($1, 20000, 1)", g.Id)
}

func (w *world) subscription() string { return w.civil.Caller.System + "/" + subscriptionName }

func detail(index, sequence uint64) []byte {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(&ledgerv1.ReleaseDetail{Index: index, Sequence: sequence, Attempt: 1})
	if err != nil {
		panic(err)
	}
	return raw
}

func rootOf(leaves ...[]byte) []byte {
	var hashes [][verify.HashSize]byte
	for _, l := range leaves {
		hashes = append(hashes, verify.LeafHash(l))
	}
	root := verify.Root(hashes)
	return root[:]
}

// released is the entry of a delivery of two records.
func (w *world) released(indexes ...uint64) journal.Entry {
	details := [][]byte{detail(indexes[0], 1), detail(indexes[1], 2)}
	return journal.Entry{
		Leaf: &ledgerv1.LedgerEntry{
			Actor: w.civil.Caller.System, ActorCertificate: w.civil.Caller.Fingerprint[:],
			Body: &ledgerv1.LedgerEntry_Released{Released: &ledgerv1.BatchReleased{
				Subscription: w.subscription(), Topic: people, Provider: catalogtest.Security, Consumer: w.civil.Caller.System,
				Purpose: "低保动态核查", Policy: w.Journal.Policy(), Records: 2, DetailsRoot: rootOf(details...),
			}},
		},
		Opening: &ledgerv1.ReadOpening{Details: details},
	}
}

// acknowledgement is a signed one of the first record delivered.
func (w *world) acknowledgement(t testing.TB) []byte {
	t.Helper()
	hash := verify.LeafHash(detail(1, 1))
	statement, err := verify.AckStatement(w.subscription(), []uint64{1}, [][]byte{hash[:]})
	must(t, err)
	signature, err := verify.Sign(w.civil.Key, statement)
	must(t, err)
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(&ledgerv1.Acknowledgement{
		Subscription: w.subscription(), System: w.civil.Caller.System, Certificate: w.civil.Caller.Fingerprint[:],
		Sequences: []uint64{1}, DetailHashes: [][]byte{hash[:]}, Signature: signature,
	})
	must(t, err)
	return raw
}

// received is the entry over one acknowledgement; a further one is left for the
// next, and a dead letter beside it.
func (w *world) received(t testing.TB) journal.Entry {
	t.Helper()
	execOn(t, w.DB.Journal, "INSERT INTO acknowledgements (subscription, n, body) VALUES ($1, 2, $2)", w.subscription(), w.acknowledgement(t))
	var idx int64
	var token []byte
	must(t, w.DB.Reader().QueryRowContext(t.Context(), "SELECT idx, key_token FROM sealed WHERE pos = 2 AND topic = $1", journal.Number(people)).Scan(&idx, &token))
	execOn(t, w.DB.Journal, `INSERT INTO dead_letters (subscription, sequence, lane, idx, reason, attempts, at, replaying)
		VALUES ($1, 2, $2, $3, 'handler.failed', 3, 1, 0)`, w.subscription(), int64(bus.Lane(token, 2)), idx)
	raw := w.acknowledgement(t)
	return journal.Entry{
		Leaf: &ledgerv1.LedgerEntry{
			Actor: w.civil.Caller.System, ActorCertificate: w.civil.Caller.Fingerprint[:],
			Body: &ledgerv1.LedgerEntry_Received{Received: &ledgerv1.AcknowledgementsReceived{
				Subscription: w.subscription(), Topic: people, Provider: catalogtest.Security, Consumer: w.civil.Caller.System,
				Floor: 1, Acknowledgements: 1, Root: rootOf(raw), Records: 1,
			}},
		},
		Opening: &ledgerv1.ReadOpening{Acknowledgements: [][]byte{raw}},
	}
}

// refuse enters the refusal of a query by the civil affairs department.
func (w *world) refuse(t testing.TB) uint64 {
	t.Helper()
	r := access.Request{Caller: w.civil.Caller, Action: access.Query, Topic: people, Purpose: "wrong purpose", Person: "clerk-7", Case: caseNumber}
	d := w.policy.Decide(r)
	if d.Allow {
		t.Fatal("it is allowed")
	}
	must(t, w.refusals.Refuse(t.Context(), r, d))
	return w.Journal.Head().Size - 1
}

// changes changes catalogue and certificates, and gives an entry of each.
func (w *world) changes(t testing.TB) (changed, certificate uint64) {
	t.Helper()
	_, commit, err := w.Catalogue.SuspendSystem(t.Context(), w.ByOperator(), w.housing.Caller.System, "演练")
	must(t, err)
	_, _, err = w.Catalogue.ResumeSystem(t.Context(), w.ByOperator(), w.housing.Caller.System)
	must(t, err)
	name, err := identity.ParseName(w.housing.Caller.System)
	must(t, err)
	key, err := identity.NewKey()
	must(t, err)
	request, err := identity.NewRequest(name, key)
	must(t, err)
	second, renewed, err := w.Catalogue.RenewCertificate(t.Context(), w.ByOperator(), w.housing.Caller.System, request, 30)
	must(t, err)
	_, _, err = w.Catalogue.RevokeCertificate(t.Context(), w.ByOperator(), second.Fingerprint, "演练")
	must(t, err)
	_, _, err = w.Catalogue.CreateTopic(t.Context(), w.ByOperator(), &cataloguev1.Topic{
		Name: "old", Title: "old", Provider: catalogtest.Housing, Contract: "huitong.records.v1.Person",
		SharingClass: cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, Conditions: "按授权使用",
		Category: &cataloguev1.Category{Code: "306001", Path: []string{"主题", "民政"}},
	})
	must(t, err)
	_, _, err = w.Catalogue.WithdrawTopic(t.Context(), w.ByOperator(), "old", "演练")
	must(t, err)
	return commit.Index, renewed.Index
}

// rowsOf reads all rows of a query, as text.
func rowsOf(t testing.TB, p *store.Part, query string, columns int) []string {
	t.Helper()
	rows, err := p.Read().QueryContext(t.Context(), query)
	must(t, err)
	defer rows.Close()
	var all []string
	for rows.Next() {
		values, into := make([]any, columns), make([]any, columns)
		for i := range values {
			into[i] = &values[i]
		}
		must(t, rows.Scan(into...))
		all = append(all, fmt.Sprintf("%x", values))
	}
	must(t, rows.Err())
	return all
}
