package node_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// TestEverySystemHasItsNotices: from its enrolment, the founder too; and opening
// the exchange again makes none anew.
func TestEverySystemHasItsNotices(t *testing.T) {
	dir := t.TempDir()
	x, err := nodetest.Open(t.Context(), dir, node.Config{})
	if err != nil {
		t.Fatal(err)
	}
	civil := x.Join(t, sample.CivilAffairs, "registry")
	for _, c := range []*sdk.Client{civil, x.Client} {
		list, err := c.ListSubscriptions(t.Context())
		if err != nil || len(list) != 1 || list[0].Id != c.System()+"/"+sdk.NoticeSubscription || list[0].Topic != notice.Notices {
			t.Errorf("%s: %v %v", c.System(), list, err)
		}
	}
	fsck(t, x)
	size := x.Node.Journal.Head().Size
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if x, err = nodetest.Reopen(t.Context(), dir, node.Config{}); err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if n := x.Node.Journal.Head().Size; n != size {
		t.Errorf("%d entries, and %d after it was opened again", size, n)
	}
}
