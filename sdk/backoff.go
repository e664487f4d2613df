package sdk

import (
	"math/rand/v2"
	"time"
)

const (
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = 10 * time.Second
)

// backoff grows twofold from firstBackoff to lastBackoff. Each wait is drawn
// from the upper half, so that many systems do not come back at one moment.
type backoff struct{ step time.Duration }

func (b *backoff) next() time.Duration {
	b.step = min(max(2*b.step, firstBackoff), lastBackoff)
	return b.step/2 + rand.N(b.step/2)
}

func (b *backoff) reset() { b.step = 0 }
