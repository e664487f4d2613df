package sdk

import (
	"context"
	"hash/maphash"
	"regexp"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// contractBook keeps what the catalogue says of topics and contracts. A contract
// version never changes, so what was fetched stays good; only which version is
// the newest is asked again, when content does not fit the one known.
type contractBook struct {
	client *Client
	seed   maphash.Seed
	mu     sync.RWMutex
	bound  map[binding]*contract
	// known has each contract version once, however many topics take it.
	known map[named]*contract
}

// named names one contract version.
type named struct {
	contract string
	version  uint32
}

// binding names one way of writing content for a topic: a Go message type, a
// stated version, or whatever is newest.
type binding struct {
	topic   string
	message protoreflect.MessageDescriptor
	version uint32
}

// contract is one contract version as the SDK needs it.
type contract struct {
	layout  verify.Layout
	message protoreflect.MessageDescriptor
	key     []protowire.Number
}

func newContractBook(c *Client) *contractBook {
	return &contractBook{client: c, seed: maphash.MakeSeed(), bound: map[binding]*contract{}, known: map[named]*contract{}}
}

// find gives the contract for a binding, fetching it the first time.
func (b *contractBook) find(ctx context.Context, want binding) (*contract, error) {
	b.mu.RLock()
	c := b.bound[want]
	b.mu.RUnlock()
	if c != nil {
		return c, nil
	}
	return b.fetch(ctx, want)
}

// fetch asks the catalogue, whatever is known already.
func (b *contractBook) fetch(ctx context.Context, want binding) (*contract, error) {
	topic, err := b.client.catalogue().GetTopic(ctx, &cataloguev1.GetTopicRequest{Name: want.topic})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	name := topic.GetTopic().GetContract()
	if want.message != nil && string(want.message.FullName()) != name {
		return nil, fault.Field("message", "sdk.contract", "topic %s takes %s, not %s", want.topic, name, want.message.FullName())
	}
	c, err := b.version(ctx, name, want.version)
	if err == nil && want.message != nil && want.version == 0 {
		c, err = b.writtenBy(ctx, c, want.message)
	}
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.bound[want] = c
	b.mu.Unlock()
	return c, nil
}

// writtenBy gives the newest version that declares exactly the fields of the Go
// type, for that is the one it was generated from; the newest of all if none
// does.
func (b *contractBook) writtenBy(ctx context.Context, newest *contract, m protoreflect.MessageDescriptor) (*contract, error) {
	numbers := fieldNumbers(m)
	for c := newest; ; {
		if slices.Equal(c.layout.Fields, numbers) {
			return c, nil
		}
		if c.layout.Version <= 1 {
			return newest, nil
		}
		var err error
		if c, err = b.version(ctx, c.layout.Contract, c.layout.Version-1); err != nil {
			return nil, err
		}
	}
}

func (b *contractBook) version(ctx context.Context, name string, version uint32) (*contract, error) {
	if c := b.knows(name, version); c != nil {
		return c, nil
	}
	resp, err := b.client.catalogue().GetContract(ctx, &cataloguev1.GetContractRequest{Name: name, Version: version})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	if c := b.knows(name, resp.GetContract().GetVersion()); c != nil {
		return c, nil
	}
	c, err := readContract(resp.GetContract())
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "sdk.contract", err, "the descriptor of contract %s does not load", name)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known[named{name, c.layout.Version}] = c
	return c, nil
}

// knows gives a contract version that was read before; never for version 0,
// which asks for the newest.
func (b *contractBook) knows(name string, version uint32) *contract {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.known[named{name, version}]
}

func readContract(in *cataloguev1.Contract) (*contract, error) {
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(in.GetDescriptorSet(), set); err != nil {
		return nil, err
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, err
	}
	d, err := files.FindDescriptorByName(protoreflect.FullName(in.GetName()))
	if err != nil {
		return nil, err
	}
	m, ok := d.(protoreflect.MessageDescriptor)
	if !ok {
		return nil, fault.New(fault.Invalid, "sdk.contract", "%s is no message", in.GetName())
	}
	return &contract{
		layout:  verify.Layout{Contract: in.GetName(), Version: in.GetVersion(), Fields: fieldNumbers(m)},
		message: m,
		key:     keyPath(m, in.GetKey()),
	}, nil
}

func fieldNumbers(m protoreflect.MessageDescriptor) []uint32 {
	fields := m.Fields()
	numbers := make([]uint32, fields.Len())
	for i := range numbers {
		numbers[i] = uint32(fields.Get(i).Number())
	}
	slices.Sort(numbers)
	return numbers
}

// keyPath gives the field numbers on the way to the record key.
func keyPath(m protoreflect.MessageDescriptor, path string) []protowire.Number {
	var numbers []protowire.Number
	for name := range strings.SplitSeq(path, ".") {
		if m == nil {
			return nil
		}
		f := m.Fields().ByName(protoreflect.Name(name))
		if f == nil {
			return nil
		}
		numbers, m = append(numbers, f.Number()), f.Message()
	}
	return numbers
}

// recordKey finds the record key in a payload; the exchange, which validates the
// record, has the last word on it.
func (c *contract) recordKey(payload []byte) []byte {
	value := payload
	for _, number := range c.key {
		value = lastBytes(value, number)
	}
	return value
}

// lastBytes gives the last occurrence of a length-delimited field, as protobuf
// reads a singular field that comes twice.
func lastBytes(message []byte, number protowire.Number) (last []byte) {
	for len(message) > 0 {
		num, typ, n := protowire.ConsumeTag(message)
		if n < 0 {
			return last
		}
		message = message[n:]
		if num == number && typ == protowire.BytesType {
			if v, n := protowire.ConsumeBytes(message); n >= 0 {
				last = v
			}
		}
		if n = protowire.ConsumeFieldValue(num, typ, message); n < 0 {
			return last
		}
		message = message[n:]
	}
	return last
}

// order gives a number that is equal for publications of one record.
func (b *contractBook) order(topic string, key []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(b.seed)
	_, _ = h.WriteString(topic)
	_ = h.WriteByte(0)
	_, _ = h.Write(key)
	return h.Sum64()
}

// fromJSON converts protobuf-JSON. Content that does not fit the newest version
// known may fit a newer one, so the catalogue is asked once more.
func (b *contractBook) fromJSON(ctx context.Context, want binding, text []byte) (*contract, []byte, error) {
	c, err := b.find(ctx, want)
	if err != nil {
		return nil, nil, err
	}
	payload, err := c.convert(text)
	if err == nil || want.version != 0 {
		return c, payload, err
	}
	newest, fetchErr := b.fetch(ctx, want)
	if fetchErr != nil || newest.layout.Version == c.layout.Version {
		return nil, nil, err
	}
	payload, err = newest.convert(text)
	return newest, payload, err
}

var jsonPlace = regexp.MustCompile(`\(line \d+:\d+\)`)

func (c *contract) convert(text []byte) ([]byte, error) {
	m := dynamicpb.NewMessage(c.message)
	if err := protojson.Unmarshal(text, m); err != nil {
		// The decoder's text may quote values; only the place goes on.
		return nil, fault.New(fault.Invalid, "sdk.json", "the JSON is not a %s version %d %s", c.layout.Contract, c.layout.Version, jsonPlace.FindString(err.Error()))
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}
