package reuse

import (
	"context"
	"strings"
	"sync"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/predicate"
)

// Condition is what a record has to fulfil to be evidence of a material. It is
// safe for concurrent use.
type Condition struct {
	question *predicate.Condition // nil holds for every record
}

// Fields are the names of the record's top-level fields that the condition
// reads, sorted. Its answer tells something of each. The caller does not change
// them.
func (c *Condition) Fields() []string {
	if c.question == nil {
		return nil
	}
	return c.question.Fields()
}

// Holds answers the condition over a record's payload, on a day "YYYY-MM-DD". A
// record over which it cannot be computed, or only at too high a cost, is a
// Denied fault of the rule evidence.condition that tells nothing of the record.
func (c *Condition) Holds(ctx context.Context, payload []byte, today string) (bool, error) {
	if c.question == nil {
		return true, nil
	}
	holds, err := c.question.Holds(ctx, payload, today)
	if fault.KindOf(err) == fault.Denied {
		return false, fault.Wrap(fault.Denied, "evidence.condition", err,
			"the item's condition cannot be computed over this record; ask the department of the item for one that allows for what is missing")
	}
	return holds, err
}

// cached bounds how many conditions are kept ready: each holds some 20 KiB.
const cached = 4096

// Conditions keeps conditions ready, by version of the contract and text. The
// zero value is ready; it is safe for concurrent use.
type Conditions struct {
	mu    sync.RWMutex
	ready map[conditionKey]*Condition
}

type conditionKey struct {
	contract string
	version  uint32
	text     string
}

// Get gives a condition over records of a contract; the newest version reads
// those of all. What is wrong with the text is an Invalid fault.
func (c *Conditions) Get(text string, k *contract.Contract) (*Condition, error) {
	if strings.TrimSpace(text) == "" {
		return &Condition{}, nil
	}
	key := conditionKey{k.Name(), k.Version(), text}
	c.mu.RLock()
	ready := c.ready[key]
	c.mu.RUnlock()
	if ready != nil {
		return ready, nil
	}
	question, err := predicate.CompileCondition(text, k)
	if err != nil {
		return nil, err
	}
	ready = &Condition{question}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ready == nil || len(c.ready) >= cached {
		c.ready = map[conditionKey]*Condition{}
	}
	c.ready[key] = ready
	return ready, nil
}
