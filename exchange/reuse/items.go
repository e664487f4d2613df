package reuse

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// keptItems bounds the service items that are kept ready.
const keptItems = 4096

// item is a version of a service item.
type item struct {
	*recordsv1.ServiceItem
	topic *catalog.Topic
	token []byte
	index uint64 // of the version's publication
	// from and until are the days between which it is in force.
	from, until int64
	// asOf is how far its topic's partition was published when this was read: until
	// more is, it stands.
	asOf uint64
}

func (i *item) inForce(today int64) bool { return i.from <= today && today <= i.until }

func (i *item) version() *exchangev1.ItemVersion {
	return &exchangev1.ItemVersion{
		Topic: i.topic.Name, Index: i.index, Code: i.ImplementationCode, Name: i.Name, DepartmentName: i.DepartmentName,
	}
}

// items keeps service items ready by their codes.
type items struct {
	mu    sync.RWMutex
	ready map[string]*item
}

func (k *items) get(code string) *item {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.ready[code]
}

func (k *items) put(code string, i *item) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ready == nil || len(k.ready) >= keptItems {
		k.ready = map[string]*item{}
	}
	k.ready[code] = i
}

// own says whether a topic is of the department whose item a code is of.
func own(t *catalog.Topic, code string) bool { return strings.HasPrefix(code, t.Provider) }

// ownFirst orders topics that may hold the item of a code: what its own department
// publishes of it comes before what another does.
func ownFirst(topics []*catalog.Topic, code string) []*catalog.Topic {
	ordered := slices.Clone(topics)
	slices.SortStableFunc(ordered, func(a, b *catalog.Topic) int {
		switch {
		case own(a, code) == own(b, code):
			return 0
		case own(a, code):
			return -1
		}
		return 1
	})
	return ordered
}

// item finds the present version of a service item that can be applied for.
func (r *Reuse) item(ctx context.Context, code string) (*item, error) {
	known := r.items.get(code)
	if known != nil && own(known.topic, code) {
		found, err := r.itemOn(ctx, known.topic.Name, code, known)
		if err != nil || found != nil {
			return found, err
		}
	}
	for _, t := range ownFirst(r.Topics.TopicsUnder(ItemContract), code) {
		var before *item
		if known != nil && known.topic.Name == t.Name {
			before = known
		}
		found, err := r.itemOn(ctx, t.Name, code, before)
		if err != nil {
			return nil, err
		}
		if found != nil {
			return found, nil
		}
	}
	return nil, fault.New(fault.NotFound, "item.unknown",
		"no service item of the case's code is published; publish it, or open the case for one that is, by its implementation code of 31 characters")
}

// itemOn reads a service item of a topic; nil if it is not there, or not in force.
// known is what was read of it before.
func (r *Reuse) itemOn(ctx context.Context, topic, code string, known *item) (*item, error) {
	t, err := r.Topics.Topic(topic)
	if err != nil || !t.Active() {
		return nil, nil
	}
	q := r.Queries
	published, today := q.Journal.Head().Sequences[t.Partition], r.today()
	if known != nil && known.asOf == published && known.inForce(today) {
		return known, nil
	}
	token := q.Keyring.Token(identity.TokenRecord, topic, code)
	present, err := journal.PresentOf(ctx, q.DB.Journal, q.DB.Brief(), journal.Number(topic), [][]byte{token})
	if err != nil {
		return nil, err
	}
	p, held := present[string(token)]
	found := &item{topic: t, token: token, index: p.PayloadIndex, from: p.ValidFrom, until: p.ValidUntil, asOf: published}
	if !held || p.Status != exchangev1.Status_STATUS_ACTIVE || !found.inForce(today) {
		return nil, nil
	}
	if known != nil && known.index == p.PayloadIndex {
		found.ServiceItem = known.ServiceItem
		r.items.put(code, found)
		return found, nil
	}
	row, err := journal.ByIndex(ctx, q.DB.Brief(), p.PayloadIndex)
	if err != nil || row == nil || row.Body == nil {
		return nil, err
	}
	opening, err := journal.OpenRecord(q.Keyring, q.Journal.Head().Origin, topic, row.KeyToken, row.Body)
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", row.Index, err)
	}
	m := &recordsv1.ServiceItem{}
	if err := proto.Unmarshal(opening.Payload, m); err != nil {
		return nil, fmt.Errorf("entry %d: %w", row.Index, err)
	}
	if m.State != recordsv1.ItemState_ITEM_STATE_IN_USE {
		return nil, fault.New(fault.Denied, "item.not_in_use", "the service item is suspended or abolished; nothing is prepared for it")
	}
	found.ServiceItem = m
	r.items.put(code, found)
	return found, nil
}
