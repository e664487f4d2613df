package node_test

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// wantNext says how a material stands, by which rule, and what its next step names.
func (c *counter) wantNext(t *testing.T, material string, state sdk.MaterialState, rule, next string) {
	t.Helper()
	m := c.states(t)[material]
	if m.GetState() != state || m.GetRule() != rule || !strings.Contains(m.GetNextStep(), next) {
		t.Errorf("%s is %v by %s, next: %s; not %v by %s, next: %s", material, m.GetState(), m.GetRule(), m.GetNextStep(), state, rule, next)
	}
}

// TestTheNextStepIsTheOneThatHelps: whom to ask, and for what, depends on which rule
// refuses; where no grant would help, none is asked for.
func TestTheNextStepIsTheOneThatHelps(t *testing.T) {
	c := newCounter(t)
	grant := func(item string, change func(*accessv1.Grant)) *accessv1.Grant {
		t.Helper()
		g := &accessv1.Grant{
			Topic: "property", Consumer: sample.ServiceHall.Code, Basis: "办法第五条", Scenario: "补贴审核", ServiceItems: []string{item},
			Fields:        []string{"certificate_number", "holder_type", "holder_number", "holder_name"},
			DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
		}
		change(g)
		g, err := c.CreateGrant(t.Context(), g)
		ok(t, err)
		return g
	}
	same := func(*accessv1.Grant) {}
	c.wantNext(t, "property", sdk.MaterialNeedsGrant, "grant.required", "ask "+sample.Housing.Code+" for a grant on property")
	grant("OTHER-01", same)
	c.wantNext(t, "property", sdk.MaterialNeedsGrant, "grant.purpose", "to name this service item in the grant on property")
	g := grant(subsidy, same)
	c.wantNext(t, "property", sdk.MaterialToSubmit, "", "the applicant submits it")
	_, err := c.Access.SuspendGrant(t.Context(), &accessv1.SuspendGrantRequest{Id: g.Id, Reason: "核查"})
	ok(t, err)
	c.wantNext(t, "property", sdk.MaterialNeedsGrant, "grant.suspended", "ask the operator to resume the grant on property")
	grant(subsidy, func(g *accessv1.Grant) { g.ValidFrom, g.ValidUntil = "2099-01-01", "2099-12-31" })
	c.wantNext(t, "property", sdk.MaterialNeedsGrant, "grant.not_yet_valid", "on the first day of the grant on property")
	property := unconditional("property", "Property", sample.Housing)
	property.SharingClass, property.Conditions = cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, "按需"
	property.DeliveryModes = []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_CHECK}
	_, err = c.Catalogue.UpdateTopic(t.Context(), &cataloguev1.UpdateTopicRequest{Topic: property})
	ok(t, err)
	c.wantNext(t, "property", sdk.MaterialToSubmit, "topic.delivery_mode", "the applicant submits it; it is issued by")
}

// TestWhatHasEndedIsTold: also where other evidence is what would help.
func TestWhatHasEndedIsTold(t *testing.T) {
	c := newCounter(t)
	item := counterItem()
	for _, m := range item.Materials {
		if m.Code == "identity" {
			m.Evidence = append(m.Evidence, evidence["property"])
		}
	}
	c.publish(t, c.hall, "items", item)
	p := c.issuers["identity"].Publisher(sdk.PublisherConfig{CallUnary: true})
	key := permitOf("identity", sample.PublicSecurity, 1, "").Identifier
	told := func(reason string) {
		t.Helper()
		m := c.states(t)["identity"]
		if m.State != sdk.MaterialNeedsGrant || m.Rule != "grant.required" || !strings.HasSuffix(m.Reason, "; a record on identity is "+reason) {
			t.Errorf("%s: it is %v", reason, m)
		}
		if m := c.states(t)["kind"]; m.State != sdk.MaterialToSubmit || m.Reason != "a record on identity is "+reason {
			t.Errorf("%s: alone it is %v", reason, m)
		}
	}
	_, err := p.Suspend(t.Context(), "identity", key, "复核")
	ok(t, err)
	told("suspended")
	_, err = p.Revoke(t.Context(), "identity", key, "登记有误")
	ok(t, err)
	told("revoked")
	ok(t, p.Close(t.Context()))
}

// TestAFormIsAskedForOncePerCase: what the item names no evidence for is held for
// the case that it was submitted for, and asked for again in the next.
func TestAFormIsAskedForOncePerCase(t *testing.T) {
	c := newCounter(t)
	item := counterItem()
	for _, m := range item.Materials {
		if m.Code == "statement" {
			m.Evidence = nil
		}
	}
	c.publish(t, c.hall, "items", item)
	c.wantNext(t, "statement", sdk.MaterialToSubmit, "", "the applicant submits it")
	m := paper(c.acting.Case)
	_, err := c.hall.Submit(t.Context(), sdk.Submission{Acting: c.acting, Material: &sdk.Publication{Topic: "papers", Message: m}})
	ok(t, err)
	if s := c.states(t)["statement"]; s.State != sdk.MaterialHeld || s.Grade != "C" || s.Since == nil {
		t.Errorf("what was submitted for the case is %v", s)
	}
	got, err := c.hall.Collect(t.Context(), sdk.Collect{Acting: c.acting, Applicant: c.applicant})
	ok(t, err)
	if !slices.ContainsFunc(got.Copies, func(copied sdk.Copy) bool { return copied.Material == "statement" && copied.Record.Key == m.MaterialId }) {
		t.Errorf("collected are %+v", got.Copies)
	}
	again, err := c.hall.Collect(t.Context(), sdk.Collect{Acting: c.acting, Applicant: c.applicant})
	if err != nil || len(again.Copies) != len(got.Copies) {
		t.Errorf("again %d of %d copies, %v", len(again.Copies), len(got.Copies), err)
	}
	// Another department handles its own case, and another case needs a form of its own.
	p, err := c.other.Prepare(t.Context(), c.acting, c.applicant)
	ok(t, err)
	next := c.acting
	next.Case = "SF-2026-000078"
	c.OpenCase(t, c.hall, next.Case, next.Purpose, c.applicant)
	q, err := c.hall.Prepare(t.Context(), next, c.applicant)
	ok(t, err)
	for _, m := range append(p.Materials, q.Materials...) {
		if m.Code == "statement" && m.State != sdk.MaterialToSubmit {
			t.Errorf("for another case it is %v", m)
		}
	}
	fsck(t, c.Exchange)
}

// TestAConsentLetsASubmissionBeReused: for the item that it names, until it is
// revoked, though reading the topic needs none.
func TestAConsentLetsASubmissionBeReused(t *testing.T) {
	c := newCounter(t)
	_, err := c.hall.Submit(t.Context(), sdk.Submission{Acting: c.acting, Material: &sdk.Publication{Topic: "papers", Message: paper(c.acting.Case)}})
	ok(t, err)
	item := counterItem()
	item.ImplementationCode, item.DepartmentCode = sample.Housing.Code+"4000799001000", sample.Housing.Code
	c.publish(t, c.hall, "items", item)
	acting := c.acting
	acting.Case, acting.Purpose = "GZ-1", item.ImplementationCode
	c.OpenCase(t, c.other, acting.Case, acting.Purpose, c.applicant)
	reused := func(want bool) {
		t.Helper()
		p, err := c.other.Prepare(t.Context(), acting, c.applicant)
		ok(t, err)
		for _, m := range p.Materials {
			if m.Code == "statement" && ((m.State == sdk.MaterialHeld) != want || !want && !strings.Contains(m.NextStep, "record the subject's consent to its reuse")) {
				t.Errorf("reused %v: it is %v", want, m)
			}
		}
		a, err := c.other.Query(t.Context(), sdk.Query{Topic: "papers", Acting: acting, By: sdk.BySubject(c.applicant)})
		ok(t, err)
		if (len(a.Records) == 1) != want {
			t.Errorf("reused %v: a query gives %d records", want, len(a.Records))
		}
		entry := entriesFrom(t, c.Exchange, a.Release.Index)[0].GetQueried()
		if (len(entry.ConsentCommitments) == 1) != want {
			t.Errorf("reused %v: the entry commits to %d consents", want, len(entry.ConsentCommitments))
		}
	}
	reused(false)
	agree := sdk.AtCounter(sha256.Sum256([]byte("扫描件")), official(t, c.other, "CK-17", sdk.AsClerk), official(t, c.other, "CK-18", sdk.AsHead))
	s, err := c.other.PrepareConsent(sdk.NewConsent{
		Subject: c.applicant, Topics: []sdk.ConsentedTopic{{Topic: "papers"}}, ServiceItems: []string{acting.Purpose},
		Until: time.Now().AddDate(0, 1, 0), Case: acting.Case,
	})
	ok(t, err)
	given, err := c.other.GiveConsent(t.Context(), s, agree)
	ok(t, err)
	reused(true)
	s, err = c.other.PrepareRevocation(given.Digest)
	ok(t, err)
	_, err = c.other.RevokeConsent(t.Context(), s, agree)
	ok(t, err)
	reused(false)
	fsck(t, c.Exchange)
}
