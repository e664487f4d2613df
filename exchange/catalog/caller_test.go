package catalog_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
)

// TestACallerIsReadBesideItsChange asks for a system's caller over and over while
// the system is suspended and resumed: each answer is of one moment. It is for
// the race detector.
func TestACallerIsReadBesideItsChange(t *testing.T) {
	x := catalogtest.New(t)
	relief := x.Enrol(catalogtest.Civil, "relief").Caller
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		for range 20 {
			_, _, err := x.Catalogue.SuspendSystem(t.Context(), x.ByOperator(), relief.System, "test")
			if err == nil {
				_, _, err = x.Catalogue.ResumeSystem(t.Context(), x.ByOperator(), relief.System)
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for {
		caller, err := x.Catalogue.Caller(relief.Fingerprint)
		if rule := fault.RuleOf(err); rule != "" && rule != "system.suspended" {
			t.Fatal(err)
		}
		if caller == nil || caller.System != relief.System || caller.Roles != relief.Roles {
			t.Fatalf("got %+v", caller)
		}
		select {
		case <-changed:
			return
		default:
		}
	}
}
