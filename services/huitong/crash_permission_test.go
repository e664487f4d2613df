package main_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/storetest"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/authority"
)

// deed is a call that a process is killed at.
type deed struct {
	name string
	by   *sdk.Config
	// do makes the call, the same each time, and gives the entry that it made.
	do func(ctx context.Context, c *sdk.Client) (uint64, error)
	// made says which entry it makes.
	made func(e *ledgerv1.LedgerEntry) bool
	// refused is the rule that a repeat meets; empty where it succeeds.
	refused string
}

// TestKilledAtEachStepOfAPermission kills a real exchange right before and right
// after the commit of each step by which reading is permitted, disputed or ended:
// it happened wholly or not at all, and whoever repeats the call gets the first
// entry and makes no second.
func TestKilledAtEachStepOfAPermission(t *testing.T) {
	c := newCity(t, storetest.URL(t))
	for _, d := range c.permissions() {
		c.killedAt(d)
	}
	c.processes[0].start("")
	c.stop()
	c.fsck()
}

// killedAt kills the first process at a deed's commit.
func (c *city) killedAt(d *deed) {
	c.t.Helper()
	if c.dies("journal.before-commit:1", d); c.entries(d.made) != nil {
		c.t.Fatalf("%s: an entry was made that was not committed", d.name)
	}
	// What the exchange commits by itself may be met first.
	for range 5 {
		c.dies("journal.after-commit:1", d)
		if made := c.entries(d.made); made != nil {
			c.repeated(d, made)
			return
		}
	}
	c.t.Fatalf("%s: no entry was made", d.name)
}

// dies starts the first process so that it dies at the deed.
func (c *city) dies(point string, d *deed) {
	c.t.Helper()
	p := c.processes[0]
	p.kill()
	p.armed = filepath.Join(c.t.TempDir(), "armed")
	p.start(point)
	client := c.connect(d.by, 0)
	must(c.t, os.WriteFile(p.armed, nil, 0o600))
	life := p.life()
	_, err := d.do(life, client)
	if err != nil {
		<-life.Done()
	}
	if !p.isDead() {
		c.t.Fatalf("%s: the exchange was not killed at %s: %v", d.name, point, err)
	}
}

// life is a context that ends with the process, so that no client waits for it to
// come back.
func (p *process) life() context.Context {
	ctx, end := context.WithTimeout(p.c.t.Context(), patience)
	exited := p.exited
	go func() {
		defer end()
		select {
		case <-exited:
		case <-ctx.Done():
		}
	}()
	return ctx
}

// repeated repeats the call behind its commit.
func (c *city) repeated(d *deed, made []uint64) {
	c.t.Helper()
	p := c.processes[0]
	p.armed = ""
	p.start("")
	index, err := d.do(c.t.Context(), c.connect(d.by, 0))
	if d.refused != "" {
		if fault.RuleOf(err) != d.refused {
			c.t.Fatalf("%s: a repeat: %v, rule %q", d.name, err, fault.RuleOf(err))
		}
		index, err = made[0], nil
	}
	if err != nil || index != made[0] {
		c.t.Fatalf("%s: a repeat gives entry %d, not %d: %v", d.name, index, made[0], err)
	}
	p.kill()
	if again := c.entries(d.made); len(made) != 1 || len(again) != 1 {
		c.t.Fatalf("%s: entries %v, then %v", d.name, made, again)
	}
}

// entries gives those entries that ok chooses; the first process does not run.
func (c *city) entries(ok func(*ledgerv1.LedgerEntry) bool) (found []uint64) {
	c.t.Helper()
	c.offline(func(_ context.Context, _ *identity.Directory, db *store.DB) error {
		for i, leaf := range c.leaves(db) {
			if ok(entryOf(c, leaf)) {
				found = append(found, uint64(i))
			}
		}
		return nil
	})
	return found
}

func (c *city) fsck() {
	c.t.Helper()
	c.offline(func(ctx context.Context, d *identity.Directory, db *store.DB) error {
		report, err := inspect.Check(ctx, db, d.Keyring, inspect.CheckOptions{Index: true})
		if err == nil && report.Wrong != nil {
			err = report.Wrong
		}
		return err
	})
}

const (
	crashItem = "000115004000"
	crashCase = "SF-2026-000042"
	crashBy   = "clerk-017"
)

// permissions sets up who permits and reads, and lists the deeds in their order.
func (c *city) permissions() []*deed {
	t, ctx := c.t, c.t.Context()
	t.Helper()
	a, err := authority.Connect(ctx, c.dir, c.processes[0].address, "")
	must(t, err)
	defer a.Close()
	police, err := join(ctx, a, sample.PublicSecurity)
	must(t, err)
	hall, err := join(ctx, a, sample.ServiceHall)
	must(t, err)
	for name, class := range map[string]cataloguev1.SharingClass{
		"person": cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, "register": cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL,
	} {
		must(t, a.CreateTopic(ctx, &cataloguev1.Topic{
			Name: name, Title: "人口", Provider: sample.PublicSecurity.Code, Contract: "huitong.records.v1.Person", SharingClass: class,
			Conditions: "补贴审核", SignatureRequired: true,
			DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE, cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
		}))
	}
	_, err = a.CreateGrant(ctx, &accessv1.Grant{
		Topic: "person", Consumer: sample.ServiceHall.Code, Basis: "办法第五条", Scenario: "补贴审核", Fields: []string{"id_number", "name"},
		ServiceItems: []string{crashItem}, StandingPurpose: crashItem, StandingLegalBasis: "办法第五条",
		DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE},
		Scope:         accessv1.GrantScope_GRANT_SCOPE_ENROLLED_SUBJECTS,
	})
	must(t, err)
	return append(c.enrolments(hall, police), c.agreements(hall)...)
}

// enrolments are the deeds of a case, of its enrolment and of a dispute.
func (c *city) enrolments(hall, police *sdk.Config) []*deed {
	t, ctx := c.t, c.t.Context()
	t.Helper()
	person := sample.NewCity(7, 3).Persons()[0]
	subject := sdk.Subject{Type: person.IdType, Number: person.IdNumber}
	client := c.connect(hall, len(c.processes)-1)
	var err error
	catalogtest.Within(t, patience, "the subscription is there", func() bool {
		_, err = client.EnsureSubscription(ctx, sdk.NewSubscription{Name: "people", Topic: "person", Start: sdk.FromAll()})
		// Another process hears of the topic and of the grant within a second.
		return fault.KindOf(err) != fault.NotFound && fault.RuleOf(err) != "grant.required"
	})
	must(t, err)
	publisher := c.connect(police, 0).Publisher(sdk.PublisherConfig{})
	defer publisher.Close(ctx)
	published, err := publisher.Publish(ctx, "register", person)
	must(t, err)
	var disputed uint64
	of := func(e *sdk.DisputeInfo, err error) (uint64, error) { return e.GetEntry(), err }
	return []*deed{
		{"a case is opened", hall, func(ctx context.Context, c *sdk.Client) (uint64, error) {
			made, err := c.OpenCase(ctx, sdk.NewCase{Number: crashCase, Item: crashItem, Person: crashBy, Subjects: []sdk.Subject{subject}})
			return made.GetOpened(), err
		}, func(e *ledgerv1.LedgerEntry) bool { return e.GetCaseOpened() != nil }, ""},
		{"a subject is enrolled", hall, func(ctx context.Context, c *sdk.Client) (uint64, error) {
			if _, err := c.Enrol(ctx, "people", crashBy, sdk.Enrolment{Subject: subject, Case: crashCase}); err != nil {
				return 0, err
			}
			for e, err := range c.Enrolments(ctx, "people") {
				return e.Index, err
			}
			return 0, errors.New("nobody is enrolled")
		}, func(e *ledgerv1.LedgerEntry) bool { return e.GetEnrolled() != nil && !e.GetEnrolled().Removed }, ""},
		{"a record is disputed", hall, func(ctx context.Context, c *sdk.Client) (uint64, error) {
			return of(c.DisputeRecord(ctx, sdk.NewDispute{
				Topic: "register", Index: published.Index, Reason: "姓名与身份证不一致", Acting: sdk.Acting{Person: crashBy, Case: crashCase},
			}))
		}, func(e *ledgerv1.LedgerEntry) bool {
			if e.GetDisputed() != nil {
				disputed = e.Index
			}
			return e.GetDisputed() != nil
		}, ""},
		{"a dispute is answered", police, func(ctx context.Context, c *sdk.Client) (uint64, error) {
			_, err := c.AnswerKept(ctx, disputed, "officer-3", "经核对无误")
			return 0, err
		}, func(e *ledgerv1.LedgerEntry) bool { return e.GetDisputeAnswered() != nil }, "dispute.ended"},
		{"a case is closed, and what was enrolled for it ends", hall, func(ctx context.Context, c *sdk.Client) (uint64, error) {
			made, err := c.CloseCase(ctx, crashCase, crashBy, "准予补贴")
			return made.GetClosedPlusOne(), err // the removal is the next entry
		}, func(e *ledgerv1.LedgerEntry) bool { return e.GetEnrolled().GetRemoved() }, ""},
	}
}

// agreements are the deeds of a grant's request and its approval, of a consent
// and its end.
func (c *city) agreements(hall *sdk.Config) []*deed {
	t, ctx := c.t, c.t.Context()
	t.Helper()
	client := c.connect(hall, 0)
	key := func(reference string, as cataloguev1.Capacity) *sdk.PersonKey {
		k, err := sdk.NewPersonKey()
		must(t, err)
		_, err = client.EnrolPerson(ctx, sdk.NewPerson{Reference: reference, Name: reference, Capacities: []cataloguev1.Capacity{as}, Key: k})
		must(t, err)
		return k
	}
	handler, head, clerk := key("ZW-1", sdk.AsHandler), key("ZW-2", sdk.AsHead), key("ZW-3", sdk.AsClerk)
	terms, err := proto.Marshal(&accessv1.Grant{
		Topic: "person", Consumer: sample.ServiceHall.Code, Basis: "办法第五条", Scenario: "补贴审核", Fields: []string{"name"},
		ServiceItems: []string{crashItem}, DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
	})
	must(t, err)
	requested := stepOf(t, client, handler, &ledgerv1.StepStatement{Version: 1, Side: "consumer", Step: "request"}, terms)
	id := sha256.Sum256(requested.Statement)
	previous := sha256.Sum256(requested.Statement)
	approved := stepOf(t, client, head, &ledgerv1.StepStatement{
		Grant: hex.EncodeToString(id[:10]), Version: 1, Side: "consumer", Step: "approve", Previous: previous[:],
	}, terms)
	approved.Terms = nil
	consent, err := client.PrepareConsent(sdk.NewConsent{
		Subject: sdk.Subject{Type: "111", Number: "999999199001010016"}, Topics: []sdk.ConsentedTopic{{Topic: "person"}},
		ServiceItems: []string{crashItem}, Until: time.Now().AddDate(0, 3, 0),
	})
	must(t, err)
	digest, form := consent.Digest(), sha256.Sum256([]byte("the scanned form"))
	revocation, err := client.PrepareRevocation(digest[:])
	must(t, err)
	counter := sdk.AtCounter(form, clerk, head)
	step := func(r *accessv1.TakeStepRequest) func(context.Context, *sdk.Client) (uint64, error) {
		return func(ctx context.Context, c *sdk.Client) (uint64, error) {
			resp, err := accessv1.NewAgreementServiceClient(c.Conn()).TakeStep(ctx, r)
			steps := resp.GetGrant().GetSteps()
			if err != nil || len(steps) == 0 {
				return 0, fault.FromStatus(err)
			}
			return steps[len(steps)-1].Entry, nil
		}
	}
	stepped := func(statement []byte) func(e *ledgerv1.LedgerEntry) bool {
		return func(e *ledgerv1.LedgerEntry) bool { return string(e.GetStepped().GetStatement()) == string(statement) }
	}
	return []*deed{
		{"a grant is requested", hall, step(requested), stepped(requested.Statement), ""},
		{"a request is approved", hall, step(approved), stepped(approved.Statement), ""},
		{"a consent is given", hall, func(ctx context.Context, c *sdk.Client) (uint64, error) {
			made, err := c.GiveConsent(ctx, consent, counter)
			return made.GetGiven(), err
		}, func(e *ledgerv1.LedgerEntry) bool { return e.GetConsentGiven() != nil }, ""},
		{"a consent is revoked", hall, func(ctx context.Context, c *sdk.Client) (uint64, error) {
			made, err := c.RevokeConsent(ctx, revocation, counter)
			return made.GetRevokedPlusOne() - 1, err
		}, func(e *ledgerv1.LedgerEntry) bool { return e.GetConsentRevoked() != nil }, ""},
	}
}

// stepOf states and signs a step: the same bytes are sent each time.
func stepOf(t *testing.T, c *sdk.Client, person *sdk.PersonKey, says *ledgerv1.StepStatement, terms []byte) *accessv1.TakeStepRequest {
	t.Helper()
	digest, fingerprint := sha256.Sum256(terms), person.Fingerprint()
	says.LedgerOrigin, says.TermsDigest, says.Person, says.SignedAtUs = c.Origin(), digest[:], fingerprint[:], time.Now().UnixMicro()
	r := &accessv1.TakeStepRequest{Terms: terms}
	var err error
	r.Statement, err = proto.Marshal(says)
	must(t, err)
	signed := verify.GrantStepStatement(c.System(), r.Statement)
	r.Signature, err = c.Sign(signed)
	must(t, err)
	r.PersonSignature, err = person.Sign(signed)
	must(t, err)
	return r
}

// TestKilledWhileANoticeIsTold kills a real exchange behind a notice and before
// it is remembered: those who relied on a record are told once.
func TestKilledWhileANoticeIsTold(t *testing.T) {
	c := newCity(t, storetest.URL(t))
	deeds := c.permissions()
	opened, disputed, answered := deeds[0], deeds[2], deeds[3]
	c.diesTelling("hearing.told:1", opened, disputed)
	c.entries(disputed.made)
	if n := c.notices(); n != 1 {
		t.Fatalf("%d notices of the dispute", n)
	}
	// The first passing is for what was told already.
	c.diesTelling("hearing.told:2", answered)
	if n := c.notices(); n != 2 {
		t.Fatalf("%d notices of the dispute and its answer", n)
	}
	c.fsck()
}

// diesTelling lets deeds be told of by processes that die behind a notice.
func (c *city) diesTelling(point string, deeds ...*deed) {
	c.t.Helper()
	for _, p := range c.processes {
		p.kill()
		p.start(point)
	}
	for _, d := range deeds {
		life := c.processes[0].life()
		_, err := d.do(life, c.connect(d.by, 0))
		if err != nil {
			<-life.Done()
		}
		if err != nil && !c.processes[0].isDead() {
			c.t.Fatalf("%s: %v", d.name, err)
		}
	}
	moment := everyMoment(c.t)
	for !slices.ContainsFunc(c.processes, (*process).isDead) {
		moment()
	}
	for _, p := range c.processes {
		p.kill()
	}
}

func (c *city) notices() (n int) {
	c.t.Helper()
	c.offline(func(ctx context.Context, _ *identity.Directory, db *store.DB) error {
		return db.Reader().QueryRowContext(ctx, "SELECT count(*) FROM sealed WHERE topic = $1 AND pos > 0", journal.Number(notice.Notices)).Scan(&n)
	})
	return n
}
