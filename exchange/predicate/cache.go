package predicate

import (
	"sync"

	"github.com/huitong-bus/huitong/exchange/contract"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// cached bounds how many checks are kept ready: each holds some 20 KiB.
const cached = 4096

// Cache keeps checks ready. The zero value is ready; it is safe for concurrent
// use.
type Cache struct {
	mu    sync.RWMutex
	ready map[cacheKey]*Check
}

// cacheKey names a check: terms of a grant's version do not change.
type cacheKey struct {
	grant    string
	grantAt  uint32
	check    string
	contract uint32
}

// Get gives a check of a grant, compiled with a version of the contract.
func (c *Cache) Get(grant string, version uint32, check *accessv1.GrantCheck, k *contract.Contract) (*Check, error) {
	key := cacheKey{grant, version, check.Name, k.Version()}
	c.mu.RLock()
	ready := c.ready[key]
	c.mu.RUnlock()
	if ready != nil {
		return ready, nil
	}
	ready, err := Compile(check, k)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ready == nil || len(c.ready) >= cached {
		c.ready = map[cacheKey]*Check{}
	}
	c.ready[key] = ready
	return ready, nil
}
