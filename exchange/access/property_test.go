package access_test

import (
	"fmt"
	"testing"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// situation is one combination of all that a decision depends on.
type situation struct {
	who       string // "provider", "consumer", "other", "operator", "auditor"
	class     cataloguev1.SharingClass
	withdrawn bool
	grant     string // "none", "active", "suspended", "terminated", "requested", "expired", "early", "bare"
	action    access.Action
	purpose   string // "item", "other", "none"
	theCase   string // "open", "unknown", "closed", "item", "subject", "none"
	consent   access.ConsentStanding
	live      string // "no", "asked" or "held": the topic is answered live, and asked so or not
}

// mayRead states who may do what, in plain words, without looking at the table of
// rules: this is what the regulation and the design ask for.
func (s situation) mayRead() bool {
	if s.action == access.Status {
		return !s.withdrawn // whoever is enrolled and holds a certificate in hand
	}
	department := s.who == "provider" || s.who == "consumer" || s.who == "other"
	if !department || s.withdrawn {
		return false
	}
	own := s.who == "provider"
	if s.action == access.Publish {
		return own
	}
	forCase := s.action == access.Query || s.action == access.Check
	if (forCase || s.action == access.Peek) && s.purpose == "none" {
		return false
	}
	granted := s.who == "consumer" && (s.grant == "active" || s.grant == "bare" && forCase) && (!forCase || s.purpose == "item")
	free := s.class == unconditional && s.action == access.Query
	switch {
	case own:
		if s.action == access.Check {
			return false // whoever holds the records has no need to check them
		}
	case s.class == notShared:
		return false
	case forCase && s.live == "held":
		return false // past answers are no answer
	case !granted && !free:
		return false
	}
	if !forCase {
		return true
	}
	if s.theCase != "open" {
		return false
	}
	return s.consent == access.ConsentNotNeeded || s.consent == access.ConsentGiven
}

func (s situation) topic() string {
	return fmt.Sprintf("c%d-%t-%t-%s", s.class, s.withdrawn, s.live != "no", s.grant)
}

func (s situation) facts() (f access.Facts, number string) {
	purpose := map[string]string{"item": item, "other": "other-item"}[s.purpose]
	f.Case = access.CaseFacts{Known: true, Open: true, Item: purpose, Names: true}
	f.Consent.Standing = s.consent
	switch s.theCase {
	case "none":
		return f, ""
	case "unknown":
		f.Case = access.CaseFacts{}
	case "closed":
		f.Case.Open = false
	case "item":
		f.Case.Item = "yet-another"
	case "subject":
		f.Case.Names = false
	}
	return f, "2026-17"
}

var (
	everyWho    = []string{"provider", "consumer", "other", "operator", "auditor"}
	everyGrant  = []string{"none", "active", "suspended", "terminated", "requested", "expired", "early", "bare"}
	everyAction = []access.Action{access.Publish, access.Subscribe, access.Deliver, access.Peek, access.Query, access.Check, access.Status}
	everyCase   = []string{"open", "unknown", "closed", "item", "subject", "none"}
	everyClass  = []cataloguev1.SharingClass{unconditional, conditional, notShared}
)

// walk gives every situation.
func walk(visit func(s situation)) {
	for _, class := range everyClass {
		for _, withdrawn := range []bool{false, true} {
			for _, g := range everyGrant {
				for _, who := range everyWho {
					for _, action := range everyAction {
						for _, purpose := range []string{"item", "other", "none"} {
							for _, theCase := range everyCase {
								for consent := access.ConsentNone; consent <= access.ConsentOfOthers; consent++ {
									for _, live := range []string{"no", "asked", "held"} {
										visit(situation{who, class, withdrawn, g, action, purpose, theCase, consent, live})
									}
								}
							}
						}
					}
				}
			}
		}
	}
}

// grantIn puts a grant in a state into memory, for the consumer.
func (w *world) grantIn(s situation) {
	if s.grant == "none" {
		return
	}
	g := grant(func(g *accessv1.Grant) {
		g.Id, g.Version, g.Topic, g.Provider = "g-"+s.topic(), 1, s.topic(), catalogtest.Security
		g.DeliveryModes = append(g.DeliveryModes, cataloguev1.DeliveryMode_DELIVERY_MODE_CHECK)
		g.Checks = []*accessv1.GrantCheck{{Name: "held", Predicate: "true", Fields: []string{"name"}}}
		g.State = accessv1.GrantState_GRANT_STATE_ACTIVE
		switch s.grant {
		case "suspended":
			g.State = accessv1.GrantState_GRANT_STATE_SUSPENDED
		case "terminated":
			g.State = accessv1.GrantState_GRANT_STATE_TERMINATED
		case "requested":
			g.State = accessv1.GrantState_GRANT_STATE_REQUESTED
		case "expired":
			g.ValidUntil = "2020-12-31"
		case "early":
			g.ValidFrom = "2099-01-01"
		case "bare":
			g.StandingPurpose, g.StandingLegalBasis = "", ""
		}
	})
	w.policy.PutForTest(g)
}

// TestEveryCombination compares the table of rules with the statement above in
// every situation, and finds rules that are never the answer.
func TestEveryCombination(t *testing.T) {
	w := newWorld(t)
	callers := map[string]*catalogtest.System{
		"provider": w.security, "consumer": w.civil, "other": w.housing, "auditor": w.auditing,
		"operator": w.Enrol(catalogtest.Audit, "console", cataloguev1.Role_ROLE_OPERATOR),
	}
	made := map[string]bool{}
	walk(func(s situation) {
		if made[s.topic()] {
			return
		}
		made[s.topic()] = true
		_, _, err := w.Catalogue.CreateTopic(t.Context(), w.ByOperator(), &cataloguev1.Topic{
			Name: s.topic(), Title: "题", Provider: catalogtest.Security, Contract: "huitong.records.v1.Person", SharingClass: s.class,
			AnsweredLive: s.live != "no", Conditions: "按授权使用", LegalBasis: "《政务数据共享条例》第十四条",
			DeliveryModes: []cataloguev1.DeliveryMode{subscribe, query, cataloguev1.DeliveryMode_DELIVERY_MODE_CHECK},
		})
		if err == nil && s.withdrawn {
			_, _, err = w.Catalogue.WithdrawTopic(t.Context(), w.ByOperator(), s.topic(), "停用")
		}
		if err != nil {
			t.Fatal(err)
		}
		w.grantIn(s)
	})
	if err := w.policy.Refresh(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	seen, wrong, n := map[string]bool{}, 0, 0
	walk(func(s situation) {
		r := access.Request{Caller: callers[s.who].Caller, Action: s.action, Topic: s.topic(), Person: "0231", Check: "held", Live: s.live == "asked"}
		r.Purpose = map[string]string{"item": item, "other": "other-item"}[s.purpose]
		r.Facts, r.Case = s.facts()
		d := w.policy.Decide(r)
		n++
		if d.Rule != "" {
			seen[d.Rule] = true
		}
		if d.Allow != s.mayRead() && wrong < 20 {
			wrong++
			t.Errorf("%+v: allow %v, rule %q", s, d.Allow, d.Rule)
		}
		if !d.Allow && (d.Rule == "" || d.Message == "") {
			t.Fatalf("%+v is refused without a rule or a word", s)
		}
	})
	t.Logf("%d combinations, %d rules", n, len(seen))
	for _, rule := range []string{
		"role.department", "topic.withdrawn", "topic.owner", "acting.purpose.required", "acting.case.required", "topic.not_shared", "topic.answered_live",
		"grant.required", "grant.suspended", "grant.expired", "grant.not_yet_valid", "grant.standing_purpose", "grant.purpose", "check.unknown",
		"case.unknown", "case.closed", "case.item", "case.subject",
		"consent.required", "consent.elsewhere", "consent.not_yet_valid", "consent.expired", "consent.revoked", "consent.every_adult",
	} {
		if !seen[rule] {
			t.Errorf("%s is never the answer", rule)
		}
	}
}
