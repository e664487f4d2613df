package catalog_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// TestCertificatesOfASystemAreBounded: renewing without end is refused to the
// system itself, and not to an operator.
func TestCertificatesOfASystemAreBounded(t *testing.T) {
	x := catalogtest.New(t)
	own := catalog.Change{Actor: x.Enrol(catalogtest.Civil, "relief").Caller}
	renew := func(by catalog.Change) error {
		key, err := identity.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		request, err := identity.NewRequest(identity.Name{Participant: catalogtest.Civil, System: "relief"}, key)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = x.Catalogue.RenewCertificate(t.Context(), by, own.Actor.System, request, 30)
		return err
	}
	for range 63 {
		if err := renew(own); err != nil {
			t.Fatal(err)
		}
	}
	wantRule(t, renew(own), fault.TooLarge, "certificate.number")
	if err := renew(x.ByOperator()); err != nil {
		t.Error(err)
	}
}

// TestVersionsOfAContractAreBounded: each version is compared with all before.
func TestVersionsOfAContractAreBounded(t *testing.T) {
	x := catalogtest.New(t)
	civil := catalog.Change{Actor: x.Enrol(catalogtest.Civil, "relief").Caller}
	sets := [2][]byte{ownContract(t), ownContract(t, "nickname")}
	for n := range 101 {
		v, _, err := x.Catalogue.RegisterContract(t.Context(), civil, catalog.Registration{
			Name: "example.people.v1x.Person", DescriptorSet: sets[n%2], Compatibility: cataloguev1.Compatibility_COMPATIBILITY_NONE,
		})
		if n == 100 {
			wantRule(t, err, fault.TooLarge, "contract.versions")
			return
		}
		if err != nil || len(v.Findings) > 0 {
			t.Fatal(n, v, err)
		}
	}
}
