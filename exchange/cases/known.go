package cases

import (
	"context"
	"sync"
)

// kept bounds the open cases that are kept ready: each holds some 300 bytes.
const kept = 16384

// known keeps open cases that were read. The zero value is ready.
type known struct {
	mu   sync.RWMutex
	open map[knownAs]*Case
}

type knownAs struct{ participant, number string }

// Known finds an open case as it was when it was last read, and any other as it is;
// nil if there is none. It is for decisions that are committed under the case's
// guard: the commit refuses them if the case was closed since, and whoever then
// decides anew calls Forget before.
func (c *Cases) Known(ctx context.Context, participant, number string) (*Case, error) {
	as := knownAs{participant, number}
	c.known.mu.RLock()
	one := c.known.open[as]
	c.known.mu.RUnlock()
	if one != nil {
		return one, nil
	}
	one, err := Find(ctx, c.DB.Brief(), c.Token(participant, number))
	if err != nil || one == nil || !one.Open {
		return one, err
	}
	c.known.mu.Lock()
	defer c.known.mu.Unlock()
	if c.known.open == nil || len(c.known.open) >= kept {
		c.known.open = map[knownAs]*Case{}
	}
	c.known.open[as] = one
	return one, nil
}

// Forget has Known read every case again.
func (c *Cases) Forget() {
	c.known.mu.Lock()
	defer c.known.mu.Unlock()
	c.known.open = nil
}
