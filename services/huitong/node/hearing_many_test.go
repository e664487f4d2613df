package node_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// TestEveryCaseThatReliedOnARecordIsNamed: where one notice cannot name them all
// there are more, and no case is left out or named twice.
func TestEveryCaseThatReliedOnARecordIsNamed(t *testing.T) {
	const relying = 1001
	r := newRegistry(t)
	marriageGrant(t, r.Exchange, 0)
	m := r.records[0]
	var all sync.WaitGroup
	numbers, errs := make(chan int), make(chan error, relying)
	for range 16 {
		all.Go(func() {
			for n := range numbers {
				number := fmt.Sprintf("SF-2026-9%05d", n)
				_, err := r.hall.OpenCase(t.Context(), sdk.NewCase{Number: number, Item: acting.Purpose, Person: "clerk-017", Subjects: []sdk.Subject{person(m.PartyANumber)}})
				if err == nil {
					of := acting
					of.Case = number
					_, err = r.hall.Query(t.Context(), sdk.Query{Topic: "marriage", Acting: of, By: sdk.ByKey(m.CertificateNumber)})
				}
				errs <- err
			}
		})
	}
	for n := range relying {
		numbers <- n
	}
	close(numbers)
	all.Wait()
	for range relying {
		ok(t, <-errs)
	}
	_, err := r.publisher.Revoke(t.Context(), "marriage", m.CertificateNumber, "登记有误")
	ok(t, err)
	named := map[string]bool{}
	for _, n := range awaitNotices(t, r.Exchange, 2) {
		if n.Recipient != sample.ServiceHall.Code || n.Cause != "revoked" || n.ReliedIndex == 0 {
			t.Errorf("told is %v of %s", n.Cause, n.Recipient)
		}
		for _, number := range n.CaseNumbers {
			if named[number] {
				t.Errorf("%s is named twice", number)
			}
			named[number] = true
		}
	}
	if len(named) != relying {
		t.Errorf("%d of %d cases are named", len(named), relying)
	}
	fsck(t, r.Exchange)
}
