package access_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// world is an exchange with a provider, two consumers, an auditor and topics of
// every class.
type world struct {
	*catalogtest.Exchange
	clock                              catalogtest.Clock
	policy                             *access.Policy
	security, civil, housing, auditing *catalogtest.System
}

func newWorld(t testing.TB) *world {
	w := &world{Exchange: catalogtest.New(t)}
	w.security, w.civil, w.housing = w.Enrol(catalogtest.Security, "hukou"), w.Enrol(catalogtest.Civil, "relief"), w.Enrol(catalogtest.Housing, "fund")
	w.auditing = w.Enrol(catalogtest.Audit, "audit", cataloguev1.Role_ROLE_AUDITOR)
	w.Topic("person", catalogtest.Security, conditional)
	w.Topic("open", catalogtest.Security, unconditional)
	w.Topic("closed", catalogtest.Security, notShared)
	p, err := access.Open(t.Context(), access.Config{DB: w.DB, Journal: w.Journal, Catalogue: w.Catalogue, Clock: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	w.policy = p
	return w
}

func grant(change ...func(*accessv1.Grant)) *accessv1.Grant {
	g := &accessv1.Grant{
		Topic: "person", Consumer: catalogtest.Civil, Basis: "社会救助暂行办法 第58条", Fields: []string{"id_number", "name"},
		ServiceItems: []string{item}, DeliveryModes: []cataloguev1.DeliveryMode{subscribe, query},
		StandingPurpose: "低保动态核查", StandingLegalBasis: "社会救助暂行办法 第13条",
	}
	for _, c := range change {
		c(g)
	}
	return g
}

func (w *world) create(g *accessv1.Grant) *accessv1.Grant {
	w.T.Helper()
	made, _, err := w.policy.Create(w.T.Context(), w.ByOperator(), g)
	if err != nil {
		w.T.Fatal(err)
	}
	return made
}

func ask(s *catalogtest.System, a access.Action, topic string, change ...func(*access.Request)) access.Request {
	r := access.Request{Caller: s.Caller, Action: a, Topic: topic, Person: "0231", Purpose: item, Case: "2026-17"}
	r.Facts.Case = access.CaseFacts{Known: true, Open: true, Item: item, Names: true}
	r.Facts.Consent.Standing = access.ConsentNotNeeded
	for _, c := range change {
		c(&r)
	}
	return r
}
