package cli

import (
	"context"
	"encoding/json"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// renderer shows payloads as JSON. The JSON is made here of the bytes that were
// checked: the exchange's own JSON of them would prove nothing.
type renderer struct {
	client *sdk.Client
	mu     sync.Mutex
	known  map[contractVersion]protoreflect.MessageDescriptor
}

type contractVersion struct {
	name    string
	version uint32
}

func newRenderer(c *sdk.Client) *renderer {
	return &renderer{client: c, known: map[contractVersion]protoreflect.MessageDescriptor{}}
}

// json gives a record's payload; nil if it has none.
func (r *renderer) json(ctx context.Context, record *sdk.Record) (json.RawMessage, error) {
	if !record.HasPayload() {
		return nil, nil
	}
	d, err := r.descriptor(ctx, contractVersion{record.Contract, record.ContractVersion})
	if err != nil {
		return nil, err
	}
	m := dynamicpb.NewMessage(d)
	if err := record.Unmarshal(m); err != nil {
		return nil, err
	}
	return compact(m)
}

// withheld names the fields of a record that did not leave.
func (r *renderer) withheld(ctx context.Context, record *sdk.Record) (names []string, err error) {
	if len(record.Withheld) == 0 {
		return nil, nil
	}
	d, err := r.descriptor(ctx, contractVersion{record.Contract, record.ContractVersion})
	if err != nil {
		return nil, err
	}
	for _, n := range record.Withheld {
		name := itoa(n)
		if field := d.Fields().ByNumber(protoreflect.FieldNumber(n)); field != nil {
			name = string(field.Name())
		}
		names = append(names, name)
	}
	return names, nil
}

func (r *renderer) descriptor(ctx context.Context, want contractVersion) (protoreflect.MessageDescriptor, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.known[want]; d != nil {
		return d, nil
	}
	resp, err := catalogue(r.client).GetContract(ctx, &cataloguev1.GetContractRequest{Name: want.name, Version: want.version})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	d, err := messageOfSet(resp.GetContract().GetDescriptorSet(), want.name)
	if err == nil {
		r.known[want] = d
	}
	return d, err
}

func messageOfSet(raw []byte, name string) (protoreflect.MessageDescriptor, error) {
	broken := func(err error) error {
		return fault.Wrap(fault.Internal, "contract.descriptor", err, "the descriptor of contract %s does not load", name)
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(raw, set); err != nil {
		return nil, broken(err)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, broken(err)
	}
	d, err := files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil, broken(err)
	}
	m, ok := d.(protoreflect.MessageDescriptor)
	if !ok {
		return nil, broken(nil)
	}
	return m, nil
}
