package node_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// TestRecordsOfTwoPersonsAreNotCollected: one number, two names; nothing is guessed,
// also where two topics name different persons.
func TestRecordsOfTwoPersonsAreNotCollected(t *testing.T) {
	c := newCounter(t)
	item := counterItem()
	for _, m := range item.Materials {
		if m.Code == "identity" {
			m.Evidence = append(m.Evidence, &recordsv1.Evidence{Topic: "birth"})
		}
	}
	c.publish(t, c.hall, "items", item)
	if s := c.states(t)["identity"]; s.State != sdk.MaterialHeld {
		t.Fatalf("of one person it is %v", s)
	}
	other := permitOf("birth", sample.MarketRegulation, 1, "")
	other.HolderName = "王 小·明"
	c.publish(t, c.issuers["birth"], "birth", other)
	if s := c.states(t)["identity"]; s.State != sdk.MaterialHeld {
		t.Errorf("the same name in another spelling makes it %v", s)
	}
	other.HolderName = "王大明"
	c.publish(t, c.issuers["birth"], "birth", other)
	states := c.states(t)
	for _, code := range []string{"identity", "disabled"} {
		if s := states[code]; s.State != sdk.MaterialAmbiguous || s.Rule != "material.ambiguous" || len(s.Shows) != 0 {
			t.Errorf("%s of two persons is %v", code, s)
		}
	}
	got, err := c.hall.Collect(t.Context(), sdk.Collect{Acting: c.acting, Applicant: c.applicant})
	ok(t, err)
	for _, one := range got.Copies {
		if one.Material == "identity" || one.Material == "disabled" {
			t.Errorf("%s was collected", one.Material)
		}
	}
	if len(got.Copies) == 0 {
		t.Error("nothing was collected")
	}
	fsck(t, c.Exchange)
}

// TestTheLatestOfOnePersonsRecordsIsTaken: whose validity begins last, and of these
// the one published last.
func TestTheLatestOfOnePersonsRecordsIsTaken(t *testing.T) {
	c := newCounter(t)
	of := func(n int, from string) *recordsv1.Certificate {
		m := permitOf("birth", sample.MarketRegulation, n, "")
		m.ValidFrom = from
		return m
	}
	for n, from := range []string{"2021-01-01", "2024-01-01", "2024-01-01", "2022-01-01"} {
		c.publish(t, c.issuers["birth"], "birth", of(n, from))
	}
	got, err := c.hall.Collect(t.Context(), sdk.Collect{Acting: c.acting, Applicant: c.applicant})
	ok(t, err)
	found := false
	for _, one := range got.Copies {
		if one.Material != "birth" {
			continue
		}
		m := &recordsv1.Certificate{}
		ok(t, proto.Unmarshal(one.Record.Payload, m))
		if found = m.Number == "birth-2"; !found {
			t.Errorf("%s of %s was taken", m.Number, m.ValidFrom)
		}
	}
	if !found {
		t.Errorf("the latest was not taken: %v", got.Others)
	}
}
