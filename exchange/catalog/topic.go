package catalog

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/huitong-bus/huitong/exchange/catalog/entry"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/store"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// Topic is one kind of record from one provider under one contract.
type Topic struct {
	Name              string
	Provider          string
	ContractName      string
	SharingClass      cataloguev1.SharingClass
	DeliveryModes     []cataloguev1.DeliveryMode
	SignatureRequired bool
	State             cataloguev1.TopicState
	Partition         uint32

	message  *cataloguev1.Topic
	versions *versions
	free     atomic.Pointer[freeFields]
}

func newTopic(m *cataloguev1.Topic, v *versions) *Topic {
	return &Topic{
		Name: m.Name, Provider: m.Provider, ContractName: m.Contract, SharingClass: m.SharingClass,
		DeliveryModes: m.DeliveryModes, SignatureRequired: m.SignatureRequired, State: m.State,
		Partition: m.Partition, message: m, versions: v,
	}
}

// Message gives the topic as it is stored; the caller does not change it.
func (t *Topic) Message() *cataloguev1.Topic { return t.message }

// AnsweredLive says whether the topic's provider answers each request when it is
// asked.
func (t *Topic) AnsweredLive() bool { return t.message.GetAnsweredLive() }

// KnownTo says whether a caller may know that the topic exists.
func (t *Topic) KnownTo(by *identity.Caller) bool { return !t.Hidden() || seesDrafts(by, t.Provider) }

// Items gives all data items of the entry that is in force.
func (t *Topic) Items() []*cataloguev1.TopicItem { return entry.Items(t.message, t.newest()) }

// Titles gives what people call the data items of these numbers; of all if fields
// is nil.
func (t *Topic) Titles(fields []uint32) []string {
	var titles []string
	for _, d := range t.newest().GetItems() {
		if fields == nil || slices.Contains(fields, d.Number) {
			titles = append(titles, entry.Title(t.message, d))
		}
	}
	return titles
}

// newest is the newest version of the contract as the catalogue shows it.
func (t *Topic) newest() *cataloguev1.Contract {
	if n := t.Versions(); n > 0 {
		return (*t.versions.list.Load())[n-1].message
	}
	return nil
}

// Active says whether records are exchanged on the topic: it is published.
func (t *Topic) Active() bool { return t.State == published }

// Hidden says whether the topic was never published: then only its provider,
// operators and auditors know of it.
func (t *Topic) Hidden() bool { return hidden(t.message) }

// Delivers says whether the topic has a delivery mode.
func (t *Topic) Delivers(mode cataloguev1.DeliveryMode) bool {
	return slices.Contains(t.DeliveryModes, mode)
}

// Consent says whose consent reading for a service item needs.
func (t *Topic) Consent(item string) cataloguev1.Consent {
	needs := t.message.Consent
	for _, linked := range t.message.ServiceItems {
		if linked.Code == item {
			needs = max(needs, linked.Consent)
		}
	}
	return needs
}

// Contract gives a version of the topic's contract, compiled; the newest if
// version is 0.
func (t *Topic) Contract(version uint32) (*contract.Contract, error) {
	if t.versions == nil {
		return nil, fault.New(fault.Internal, "contract.missing", "the topic's contract is not in the catalogue")
	}
	return t.versions.compiled(version)
}

// Versions is how many versions the topic's contract has.
func (t *Topic) Versions() int {
	if t.versions == nil {
		return 0
	}
	return len(*t.versions.list.Load())
}

// Mask gives the numbers of the fields of these names, ascending, that may be
// cut by in every version of the contract: a number that carries another name in
// any version is left out, so that no version shows more than was named. Items
// that are not shared are left out, whoever names them. It is never nil.
func (t *Topic) Mask(names []string) []uint32 {
	return t.mask(slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return t.ItemClass(name) == cataloguev1.SharingClass_SHARING_CLASS_NOT_SHARED
	}))
}

// Names gives the names that fields have in the newest version of the contract;
// nil for nil.
func (t *Topic) Names(fields []uint32) []string {
	k, err := t.Contract(0)
	if err != nil || fields == nil {
		return nil
	}
	var names []string
	for _, item := range k.Items() {
		if slices.Contains(fields, item.Number) {
			names = append(names, item.Name)
		}
	}
	return names
}

// ItemClass gives the sharing class of a data item by its name.
func (t *Topic) ItemClass(name string) cataloguev1.SharingClass { return ItemClass(t.message, name) }

// ItemClass gives the sharing class of an entry's data item by its name.
func ItemClass(t *cataloguev1.Topic, name string) cataloguev1.SharingClass {
	class := t.GetSharingClass()
	for _, item := range t.GetItems() {
		if item.Name == name {
			class = max(class, item.SharingClass)
		}
	}
	return class
}

// CheckShared refuses fields that the entry does not share: they are in no grant.
func CheckShared(field string, t *cataloguev1.Topic, names []string) error {
	var bad []fault.Violation
	for _, name := range names {
		if ItemClass(t, name) == cataloguev1.SharingClass_SHARING_CLASS_NOT_SHARED {
			bad = append(bad, fault.Violation{Field: field, Rule: "field.not_shared", Message: name + " is not shared, on the legal basis that the catalogue names"})
		}
	}
	return entry.Err(bad)
}

// Unconditional gives the numbers of the fields that need no grant on a topic
// that needs none; nil if that is all of them.
func (t *Topic) Unconditional() []uint32 {
	if len(t.message.Items) == 0 || t.versions == nil {
		return nil
	}
	n := t.Versions()
	if f := t.free.Load(); f != nil && f.versions == n {
		return f.fields
	}
	f := &freeFields{versions: n, fields: t.unconditional()}
	t.free.Store(f)
	return f.fields
}

// freeFields are the fields that need no grant, by the versions that the contract
// had.
type freeFields struct {
	versions int
	fields   []uint32
}

func (t *Topic) unconditional() []uint32 {
	var free []string
	all := true
	for _, v := range *t.versions.list.Load() {
		for _, item := range v.message.Items {
			if t.ItemClass(item.Name) == cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL {
				free = append(free, item.Name)
			} else {
				all = false
			}
		}
	}
	if all {
		return nil
	}
	return t.mask(free)
}

func (t *Topic) mask(names []string) []uint32 {
	mask := []uint32{}
	if t.versions == nil {
		return mask
	}
	var other []uint32
	for _, v := range *t.versions.list.Load() {
		for _, item := range v.message.Items {
			if slices.Contains(names, item.Name) {
				mask = append(mask, item.Number)
			} else {
				other = append(other, item.Number)
			}
		}
	}
	slices.Sort(mask)
	mask = slices.Compact(mask)
	return slices.DeleteFunc(mask, func(n uint32) bool { return slices.Contains(other, n) })
}

// versions are the versions of one contract, the first at place 0.
type versions struct {
	name string
	tx   store.Tx
	list atomic.Pointer[[]*version]
}

// version is one version; it is compiled when it is first used, for compiling
// costs milliseconds and most are old.
type version struct {
	message *cataloguev1.Contract
	mu      sync.Mutex
	ready   atomic.Pointer[contract.Contract]
}

// add takes over a version; the registry's lock is held. Versions come in order
// and do not change.
func (v *versions) add(m *cataloguev1.Contract) {
	var list []*version
	if old := v.list.Load(); old != nil {
		list = *old
	}
	if int(m.Version) != len(list)+1 {
		return // seen before
	}
	list = append(slices.Clip(list), &version{message: m})
	v.list.Store(&list)
}

// loadTimeout bounds reading one descriptor set.
const loadTimeout = 10 * time.Second

func (v *versions) compiled(number uint32) (*contract.Contract, error) {
	list := *v.list.Load()
	if number == 0 {
		number = uint32(len(list))
	}
	if int(number) > len(list) {
		return nil, fault.Field("contract_version", "contract.version", "the contract has versions 1 to %d", len(list))
	}
	one := list[number-1]
	if c := one.ready.Load(); c != nil {
		return c, nil
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	if c := one.ready.Load(); c != nil {
		return c, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), loadTimeout)
	defer cancel()
	set, err := descriptorSet(ctx, v.tx, v.name, number)
	if err != nil {
		return nil, err
	}
	c, err := compile(set, v.name, number)
	if err != nil {
		return nil, err
	}
	one.ready.Store(c)
	return c, nil
}

func descriptorSet(ctx context.Context, tx store.Tx, name string, number uint32) (set []byte, err error) {
	err = tx.QueryRowContext(ctx, "SELECT descriptor_set FROM contracts WHERE name = $1 AND version = $2", name, int64(number)).Scan(&set)
	return set, err
}

// compile makes a contract of a stored descriptor set, which was compiled
// before it was stored.
func compile(raw []byte, name string, number uint32) (*contract.Contract, error) {
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(raw, set); err != nil {
		return nil, err
	}
	c, findings := contract.Compile(set, name, number)
	if c == nil {
		return nil, fault.New(fault.Internal, "contract.broken", "version %d of %s no longer compiles: %s", number, name, findings[0].Message)
	}
	return c, nil
}
