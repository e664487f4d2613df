package contract

import "testing"

func TestTMP(t *testing.T) {
	p := marshal(t, certificate())
	r, err := contractOf(t, certificate()).Read(p)
	t.Logf("%d %+v %v", len(p), r, err)
	for _, c := range Standard() {
		t.Log(c.Name(), len(c.DescriptorSet()), len(c.Fields()))
	}
}
