package main_test

import (
	"math/rand/v2"
	"testing"

	"github.com/huitong-bus/huitong/exchange/store/storetest"
)

// points are where the code says what a crash right there leaves.
var points = []string{
	"journal.before-commit", "journal.after-commit", "bus.after-relay", "subscription.after-commit",
}

// kills is how often a process is killed at a moment of no choice.
const kills = 32

// TestKilledUnderLoad kills real exchanges with SIGKILL while departments publish
// and receive through the SDK, at random moments and once right at each commit
// point, and then checks that
//
//   - every acknowledged record is in the ledger, at its index, and once;
//   - every delivered record has its release entry;
//   - nothing was released to a position that the ledger shows as acknowledged,
//     and nothing was delivered that the exchange had confirmed as settled;
//   - the stream is exactly the journal's records;
//   - everything in the database derives anew from its rows.
//
// On SQLite that is one process; on PostgreSQL two share the database and one
// NATS, publish and relay at once, and either is killed.
func TestKilledUnderLoad(t *testing.T) {
	c := newCity(t, storetest.URL(t))
	l := c.load()
	for n := range kills {
		p := c.processes[rand.IntN(len(c.processes))]
		l.await(1 + rand.IntN(60))
		l.awaitDelivery()
		l.moment(rand.IntN(30))
		before := l.floor()
		p.kill()
		l.killed(before)
		p.start("")
		t.Logf("kill %d: %d published, %d delivered", n+1, l.published(), l.delivered())
	}
	for _, point := range points {
		// Another's lease may keep this process from passing the point: all are
		// armed, and one dies.
		l.await(20)
		p := c.armed(point)
		before := l.floor()
		p.start("")
		l.killed(before)
	}
	l.await(50)
	l.finish()
	c.stop()
	c.check(l)
}
