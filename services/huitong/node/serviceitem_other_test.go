package node_test

import (
	"testing"

	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// TestADepartmentsOwnItemComesFirst: another department that publishes an item under
// the same code, on a topic of an earlier name, does not take its place.
func TestADepartmentsOwnItemComesFirst(t *testing.T) {
	c := newCounter(t)
	c.states(t)
	ok(t, c.CreateTopic(t.Context(), unconditional("an-items", "ServiceItem", sample.Housing)))
	other := counterItem()
	other.Materials = other.Materials[:1]
	c.publish(t, c.other, "an-items", other)
	if n := len(c.states(t)); n != len(evidence) {
		t.Errorf("of the item that was prepared before, %d materials of %d are prepared", n, len(evidence))
	}
	own := counterItem()
	own.Materials = own.Materials[:2]
	c.publish(t, c.hall, "items", own)
	if n := len(c.states(t)); n != 2 {
		t.Errorf("%d materials are prepared, and the department's own item has 2", n)
	}
	shown, err := c.other.ServiceItem(t.Context(), subsidy, nil)
	ok(t, err)
	if len(shown.Item.Materials) != 2 {
		t.Errorf("shown are %d materials", len(shown.Item.Materials))
	}
}

// TestAnItemThatAnotherPublishedFirst gives way to the one of its own department.
func TestAnItemThatAnotherPublishedFirst(t *testing.T) {
	c := newCounter(t)
	ok(t, c.CreateTopic(t.Context(), unconditional("an-items", "ServiceItem", sample.Housing)))
	code := sample.ServiceHall.Code + "4000711004001"
	item := counterItem()
	item.ImplementationCode = code
	acting := c.acting
	acting.Case, acting.Purpose = "SF-2026-000078", code
	c.OpenCase(t, c.hall, acting.Case, code, c.applicant)
	for n, by := range []*sdk.Client{c.other, c.hall} {
		item.Materials = counterItem().Materials[:n+1]
		c.publish(t, by, []string{"an-items", "items"}[n], item)
		p, err := c.hall.Prepare(t.Context(), acting, c.applicant)
		ok(t, err)
		if len(p.Materials) != n+1 {
			t.Errorf("%d materials are prepared, not %d", len(p.Materials), n+1)
		}
	}
}
