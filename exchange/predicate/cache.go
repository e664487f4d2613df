package predicate

import (
	"sync"

	"github.com/huitong-bus/huitong/exchange/fault"
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
	contract int
}

// Get gives a check of a grant, compiled with the newest version of the contract:
// versions are compatible, so records of all of them are read by it. A check that
// a version since its agreement does not fit is refused by the rule
// check.outdated.
func (c *Cache) Get(grant string, version uint32, check *accessv1.GrantCheck, of Contracts) (*Check, error) {
	key := cacheKey{grant, version, check.Name, of.Versions()}
	c.mu.RLock()
	ready := c.ready[key]
	c.mu.RUnlock()
	if ready != nil {
		return ready, nil
	}
	k, err := of.Contract(uint32(key.contract))
	if err != nil {
		return nil, err
	}
	ready, err = Compile(check, k)
	if err != nil || len(of.Mask(check.Fields)) != len(check.Fields) {
		return nil, fault.Wrap(fault.Denied, "check.outdated", err, "the topic's contract has a version that the check does not fit; agree the check anew")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ready == nil || len(c.ready) >= cached {
		c.ready = map[cacheKey]*Check{}
	}
	c.ready[key] = ready
	return ready, nil
}
