package agreement_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/agreement"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

type person struct {
	key         crypto.Signer
	fingerprint []byte
}

// world is a provider, a consumer, and two officials of each.
type world struct {
	*catalogtest.Exchange
	*agreement.Agreements
	policy             *access.Policy
	provider, consumer *catalogtest.System
	operator           *catalogtest.System
	people             map[string]*person
}

const topic = "people"

func newWorld(t *testing.T) *world {
	x := catalogtest.On(t, storetest.Open(t))
	w := &world{Exchange: x, people: map[string]*person{}}
	var err error
	w.policy, err = access.Open(t.Context(), access.Config{DB: x.DB, Journal: x.Journal, Catalogue: x.Catalogue})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.policy.Close)
	w.Agreements = agreement.New(agreement.Config{
		DB: x.DB, Policy: w.policy, Origin: x.Identity.Keyring.Origin(), Deadlines: &deadline.List{DB: x.DB, Settings: x.Catalogue, Clock: time.Now},
	})
	w.provider, w.consumer = x.Enrol(catalogtest.Security, "residents"), x.Enrol(catalogtest.Civil, "subsidies")
	w.operator = x.Enrol(catalogtest.Audit, "console", cataloguev1.Role_ROLE_OPERATOR)
	x.Topic(topic, catalogtest.Security, cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL)
	for name, of := range map[string]struct {
		system *catalogtest.System
		is     cataloguev1.Capacity
	}{
		"consumer handler": {w.consumer, cataloguev1.Capacity_CAPACITY_HANDLER}, "consumer head": {w.consumer, cataloguev1.Capacity_CAPACITY_HEAD},
		"provider handler": {w.provider, cataloguev1.Capacity_CAPACITY_HANDLER}, "provider head": {w.provider, cataloguev1.Capacity_CAPACITY_HEAD},
		"both": {w.consumer, 0},
	} {
		w.enrol(t, name, of.system, of.is)
	}
	return w
}

func (w *world) enrol(t *testing.T, name string, system *catalogtest.System, is cataloguev1.Capacity) {
	t.Helper()
	var key crypto.Signer
	_, key, _ = ed25519.GenerateKey(rand.Reader)
	if name == "provider head" {
		key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := sha256.Sum256(der)
	possession, err := verify.Sign(key, verify.PersonStatement(w.Identity.Keyring.Origin(), system.Caller.Participant, der))
	if err != nil {
		t.Fatal(err)
	}
	capacities := []cataloguev1.Capacity{is}
	if is == 0 {
		capacities = []cataloguev1.Capacity{cataloguev1.Capacity_CAPACITY_HANDLER, cataloguev1.Capacity_CAPACITY_HEAD}
	}
	_, _, err = w.Catalogue.EnrolPerson(t.Context(), catalog.Change{Actor: system.Caller}, &cataloguev1.EnrolPersonRequest{
		Participant: system.Caller.Participant, Reference: name, Name: name, Capacities: capacities, PublicKey: der, Possession: possession,
	})
	if err != nil {
		t.Fatal(name, err)
	}
	w.people[name] = &person{key, fingerprint[:]}
}

func terms(change ...func(*accessv1.Grant)) *accessv1.Grant {
	g := &accessv1.Grant{
		Topic: topic, Consumer: catalogtest.Civil, Basis: "社会救助暂行办法第五十八条", Scenario: "补贴审核", Fields: []string{"name"},
		ServiceItems: []string{"000711004000"}, DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
	}
	for _, c := range change {
		c(g)
	}
	return g
}

// call is a step as a department makes it; change alters it before or after it
// is signed.
type call struct {
	says  *ledgerv1.StepStatement
	by    *catalogtest.System
	who   string
	terms []byte
	after func(r *accessv1.TakeStepRequest)
}

func (w *world) step(g *accessv1.Grant, side, name, who string, change ...func(*call)) (*accessv1.Grant, *journal.Commit, error) {
	c := &call{by: w.consumer, who: who}
	switch side {
	case "provider":
		c.by = w.provider
	case "operator":
		c.by = w.operator
	}
	d := sha256.Sum256(g.GetTerms())
	c.says = &ledgerv1.StepStatement{
		LedgerOrigin: w.Identity.Keyring.Origin(), Grant: g.GetId(), Version: uint32(g.GetVersion()), Side: side, Step: name,
		TermsDigest: d[:], SignedAtUs: time.Now().UnixMicro(),
	}
	if n := len(g.GetSteps()); n > 0 {
		p := sha256.Sum256(g.Steps[n-1].Statement)
		c.says.Previous = p[:]
	}
	if who != "" {
		c.says.Person = w.people[who].fingerprint
	}
	for _, f := range change {
		f(c)
	}
	statement, _ := proto.Marshal(c.says)
	r := &accessv1.TakeStepRequest{Statement: statement, Terms: c.terms}
	signed := verify.GrantStepStatement(c.by.Caller.System, statement)
	r.Signature, _ = verify.Sign(c.by.Key, signed)
	if c.who != "" {
		r.PersonSignature, _ = verify.Sign(w.people[c.who].key, signed)
	}
	if c.after != nil {
		c.after(r)
	}
	return w.Take(context.Background(), c.by.Caller, r)
}

func with(g *accessv1.Grant, id string, version uint32) func(*call) {
	return func(c *call) {
		c.terms, _ = proto.Marshal(g)
		d := sha256.Sum256(c.terms)
		c.says.TermsDigest, c.says.Grant, c.says.Version = d[:], id, version
	}
}

func note(text string) func(*call) { return func(c *call) { c.says.Note = text } }

func (w *world) must(t *testing.T, g *accessv1.Grant, side, name, who string, change ...func(*call)) *accessv1.Grant {
	t.Helper()
	next, _, err := w.step(g, side, name, who, change...)
	if err != nil {
		t.Fatalf("%s %s: %v", side, name, err)
	}
	return next
}

func (w *world) request(t *testing.T) *accessv1.Grant {
	t.Helper()
	return w.must(t, nil, "consumer", "request", "consumer handler", with(terms(), "", 1))
}

func wantRule(t *testing.T, err error, rule string) {
	t.Helper()
	if fault.RuleOf(err) != rule {
		t.Errorf("%s, not %s: %v", fault.RuleOf(err), rule, err)
	}
}

func (w *world) reads(t *testing.T) bool {
	t.Helper()
	d := w.policy.Decide(access.Request{
		Caller: w.consumer.Caller, Action: access.Query, Topic: topic, Person: "p", Purpose: "000711004000", Case: "1",
		Facts: access.Facts{
			Case:    access.CaseFacts{Known: true, Open: true, Names: true, Item: "000711004000"},
			Consent: access.ConsentFacts{Standing: access.ConsentNotNeeded},
		},
	})
	return d.Allow
}

// TestTheWayToAGrantAndItsEnd goes the whole way, with a return on it.
func TestTheWayToAGrantAndItsEnd(t *testing.T) {
	w := newWorld(t)
	g := w.must(t, w.request(t), "consumer", "approve", "consumer head")
	list, err := w.List(t.Context(), w.provider.Caller, &accessv1.ListAgreementsRequest{Mine: true}, catalog.Page{})
	if err != nil || len(list) != 1 || list[0].Deadline.GetKind() != "grant.answer.conditional" || list[0].Turn != "provider" {
		t.Fatal(list, err)
	}
	g = w.must(t, g, "provider", "return", "provider handler", func(c *call) { c.says.Missing = []string{"写明办理依据的条款", "写明使用期限"} })
	if g.State != accessv1.GrantState_GRANT_STATE_RETURNED || w.reads(t) {
		t.Fatal(g.State)
	}
	g = w.must(t, g, "consumer", "request", "consumer handler", with(terms(func(g *accessv1.Grant) { g.ValidUntil = "2099-12-31" }), g.Id, 2),
		func(c *call) { c.says.Previous = nil })
	g = w.must(t, g, "consumer", "approve", "consumer head")
	_, _, err = w.step(g, "provider", "return", "provider handler", func(c *call) { c.says.Missing = []string{"还缺"} })
	wantRule(t, err, "grant.returned_once")
	g = w.must(t, g, "provider", "accept", "provider handler")
	if w.reads(t) {
		t.Error("it holds before the head approved")
	}
	g = w.must(t, g, "provider", "approve", "provider head")
	if g.State != accessv1.GrantState_GRANT_STATE_ACTIVE || !w.reads(t) || g.ValidFrom == "" {
		t.Fatal(g)
	}
	g = w.must(t, g, "provider", "supply", "")
	// The next version is agreed while this one holds.
	next := w.must(t, g, "consumer", "request", "consumer handler", with(terms(func(g *accessv1.Grant) { g.ValidUntil = "2100-12-31" }), g.Id, 3), func(c *call) { c.says.Previous = nil })
	next = w.must(t, next, "consumer", "approve", "consumer head")
	if !w.reads(t) {
		t.Error("the version in force does not hold while the next is asked for")
	}
	next = w.must(t, next, "provider", "accept", "provider handler")
	next = w.must(t, next, "provider", "approve", "provider head")
	_, _, err = w.step(g, "provider", "suspend", "", note("核查"))
	wantRule(t, err, "grant.superseded")
	next = w.must(t, next, "provider", "suspend", "", note("用途核查"))
	if w.reads(t) {
		t.Error("suspended, it holds")
	}
	_, _, err = w.step(next, "consumer", "resume", "")
	wantRule(t, err, "grant.suspended_by")
	next = w.must(t, next, "operator", "resume", "")
	next = w.must(t, next, "provider", "terminate", "provider head", note("职责调整"))
	next = w.must(t, next, "consumer", "dispose", "consumer head", note("已删除全部数据及备份"))
	if next.State != accessv1.GrantState_GRANT_STATE_DISPOSED || w.reads(t) {
		t.Error(next.State)
	}
	all, force, err := w.Get(t.Context(), w.consumer.Caller, g.Id)
	if err != nil || len(all) != 3 || force != 3 || all[1].Grant.State != accessv1.GrantState_GRANT_STATE_SUPERSEDED {
		t.Error(all, force, err)
	}
}

// TestStepsVerifyOffline follows an agreement from the ledger's leaves alone, and
// no longer once any byte of what was signed, or who signed it, is changed.
func TestStepsVerifyOffline(t *testing.T) {
	w := newWorld(t)
	g := w.must(t, w.request(t), "consumer", "approve", "consumer head")
	g = w.must(t, g, "provider", "accept", "provider handler")
	w.must(t, g, "provider", "approve", "provider head")
	if steps, err := w.follow(t, nil); err != nil || steps != 4 {
		t.Fatal(steps, err)
	}
	for step := range 4 {
		for name, change := range map[string]func(*ledgerv1.GrantStepped){
			"signature":        func(s *ledgerv1.GrantStepped) { s.Signature[12] ^= 1 },
			"person signature": func(s *ledgerv1.GrantStepped) { s.PersonSignature[12] ^= 1 },
			"statement":        func(s *ledgerv1.GrantStepped) { s.Statement[len(s.Statement)-1] ^= 1 },
			"step":             func(s *ledgerv1.GrantStepped) { s.Step = "withdraw" },
			"person":           func(s *ledgerv1.GrantStepped) { s.Person = w.people["both"].fingerprint },
			"version":          func(s *ledgerv1.GrantStepped) { s.Version++ },
		} {
			n := 0
			if _, err := w.follow(t, func(s *ledgerv1.GrantStepped) {
				if n == step {
					change(s)
				}
				n++
			}); err == nil {
				t.Errorf("step %d with another %s verifies", step, name)
			}
		}
	}
}

// follow follows the agreements of the ledger; change alters its steps.
func (w *world) follow(t *testing.T, change func(*ledgerv1.GrantStepped)) (int, error) {
	t.Helper()
	rows, err := w.DB.Reader().QueryContext(t.Context(), "SELECT leaf FROM ledger ORDER BY idx")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	keys, persons, origin := map[string]crypto.PublicKey{}, &verify.Persons{}, w.Identity.Keyring.Origin()
	steps := verify.Steps{Origin: origin, Persons: persons, Key: func(f []byte) crypto.PublicKey { return keys[string(f)] }}
	n := 0
	for rows.Next() {
		var leaf []byte
		e := &ledgerv1.LedgerEntry{}
		if err := rows.Scan(&leaf); err != nil {
			t.Fatal(err)
		}
		if err := proto.Unmarshal(leaf, e); err != nil {
			t.Fatal(err)
		}
		if c := e.GetCertificate(); len(c.GetCertificate()) > 0 {
			parsed, err := x509.ParseCertificate(c.Certificate)
			if err != nil {
				t.Fatal(err)
			}
			keys[string(c.Fingerprint)] = parsed.PublicKey
		}
		if p := e.GetPerson(); p != nil {
			if err := persons.Enter(origin, p); err != nil {
				t.Fatal(err)
			}
		}
		if s := e.GetStepped(); s != nil {
			if change != nil {
				change(s)
			}
			if err := steps.Entry(e); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, rows.Err()
}

// TestRefusedAndExtended takes the other ways.
func TestRefusedAndExtended(t *testing.T) {
	w := newWorld(t)
	g := w.must(t, w.request(t), "consumer", "approve", "consumer head")
	_, _, err := w.step(g, "operator", "allow_extension", "")
	wantRule(t, err, "grant.extension_not_asked")
	g = w.must(t, g, "provider", "ask_extension", "", note("数据量大"))
	g = w.must(t, g, "operator", "allow_extension", "")
	g = w.must(t, g, "provider", "ask_extension", "", note("数据量仍大"))
	_, _, err = w.step(g, "operator", "allow_extension", "")
	wantRule(t, err, "deadline.extended")
	g = w.must(t, g, "operator", "deny_extension", "", note("已延长一次"))
	_, _, err = w.step(g, "provider", "refuse", "provider handler")
	wantRule(t, err, "step.note.required")
	g = w.must(t, g, "provider", "refuse", "provider handler", note("超出职责范围"))
	g = w.must(t, g, "provider", "decline", "provider head", note("请再核"))
	g = w.must(t, g, "provider", "refuse", "provider handler", note("超出职责范围"))
	g = w.must(t, g, "provider", "approve", "provider head", note("超出职责范围"))
	if g.State != accessv1.GrantState_GRANT_STATE_REFUSED || w.reads(t) {
		t.Error(g.State)
	}
	_, _, err = w.step(g, "provider", "accept", "provider handler")
	wantRule(t, err, "grant.state")
}

// TestStepsThatAreRefused: each by its rule, and nothing is written.
func TestStepsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	g := w.request(t)
	size := w.Journal.Head().Size
	for rule, c := range map[string]struct {
		who    string
		change func(*call)
	}{
		"step.origin":             {"consumer head", func(c *call) { c.says.LedgerOrigin = "other" }},
		"step.terms":              {"consumer head", func(c *call) { c.says.TermsDigest = c.says.Person }},
		"step.previous":           {"consumer head", func(c *call) { c.says.Previous = nil }},
		"step.time":               {"consumer head", func(c *call) { c.says.SignedAtUs -= (6 * time.Minute).Microseconds() }},
		"step.signature":          {"consumer head", func(c *call) { c.after = func(r *accessv1.TakeStepRequest) { r.Signature[9]++ } }},
		"person.signature":        {"consumer head", func(c *call) { c.after = func(r *accessv1.TakeStepRequest) { r.PersonSignature[9]++ } }},
		"person.capacity":         {"consumer handler", func(*call) {}},
		"person.unknown":          {"provider head", func(*call) {}},
		"grant.side":              {"consumer head", func(c *call) { c.says.Side = "provider" }},
		"grant.state":             {"consumer head", func(c *call) { c.says.Step = "dispose"; c.says.Note = "n" }},
		"grant.unknown":           {"consumer head", func(c *call) { c.says.Version = 9 }},
		"step.missing":            {"consumer head", func(c *call) { c.says.Missing = []string{"x"} }},
		"statement.note.personal": {"consumer head", func(c *call) { c.says.Note = "张伟 11010519491231002X" }},
	} {
		_, _, err := w.step(g, "consumer", "approve", c.who, c.change)
		wantRule(t, err, rule)
	}
	for rule, change := range map[string]func(*accessv1.Grant){
		"topic.unknown":        func(g *accessv1.Grant) { g.Topic = "nothing" },
		"grant.past":           func(g *accessv1.Grant) { g.ValidFrom = "2020-01-01" },
		"grant.terms.field":    func(g *accessv1.Grant) { g.State = accessv1.GrantState_GRANT_STATE_ACTIVE },
		"field.unknown":        func(g *accessv1.Grant) { g.Fields = []string{"nothing"} },
		"consumer.text":        func(g *accessv1.Grant) { g.Consumer += "\n" },
		"grant.basis.required": func(g *accessv1.Grant) { g.Basis = "" },
		"grant.side":           func(g *accessv1.Grant) { g.Consumer = catalogtest.Housing },
	} {
		if rule == "grant.side" {
			w.Enrol(catalogtest.Housing, "homes")
			size = w.Journal.Head().Size
		}
		_, _, err := w.step(nil, "consumer", "request", "consumer handler", with(terms(change), "", 1))
		wantRule(t, err, rule)
	}
	if now := w.Journal.Head().Size; now != size {
		t.Errorf("%d entries were made", now-size)
	}
}

// TestTwoPersonsASide: one official who may do both does not approve alone. A
// repeat of a step is no second one.
func TestTwoPersonsASide(t *testing.T) {
	w := newWorld(t)
	var sent *accessv1.TakeStepRequest
	keep := func(c *call) { c.after = func(r *accessv1.TakeStepRequest) { sent = r } }
	g := w.must(t, nil, "consumer", "request", "both", with(terms(), "", 1), keep)
	_, _, err := w.step(g, "consumer", "approve", "both")
	wantRule(t, err, "approval.same_person")
	again, commit, err := w.Take(t.Context(), w.consumer.Caller, sent)
	if err != nil || commit != nil || again.Id != g.Id {
		t.Error("a repeat:", again, commit, err)
	}
	g = w.must(t, g, "consumer", "approve", "consumer head")
	if _, _, err := w.Take(t.Context(), w.consumer.Caller, sent); fault.RuleOf(err) == "" {
		t.Error("an old step was taken once more")
	}
	_, _, err = w.step(g, "provider", "accept", "both")
	wantRule(t, err, "person.unknown")
}

// TestTooManyRequests: ten thousand requests of one department end at the limit.
func TestTooManyRequests(t *testing.T) {
	w := newWorld(t)
	var open int
	for range 120 {
		_, _, err := w.step(nil, "consumer", "request", "consumer handler", with(terms(), "", 1))
		if err != nil {
			wantRule(t, err, "grant.requests.limit")
			break
		}
		open++
	}
	if open != 100 {
		t.Errorf("%d requests were taken", open)
	}
}
