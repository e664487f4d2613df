package listing

import (
	"context"
	"fmt"
	"strings"

	"buf.build/go/protoyaml"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog/entry"
	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// Topic reads one catalogue entry of a file that is written like those of a
// directory. An empty name is that of the only entry.
func Topic(file string, raw []byte, name string) (*cataloguev1.Topic, error) {
	all := &cataloguev1.CatalogueFile{}
	if err := (protoyaml.UnmarshalOptions{Path: file}).Unmarshal(raw, all); err != nil {
		return nil, err
	}
	var names []string
	for _, t := range all.Topics {
		if t.Name == name || name == "" && len(all.Topics) == 1 {
			return t, nil
		}
		names = append(names, t.Name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf(`%s names no topic: it has a list "topics", as the files of a catalogue do`, file)
	}
	return nil, fmt.Errorf("%s has the topics %s; name one of them", file, strings.Join(names, ", "))
}

// Stated gives of an entry, as the exchange shows it, what its writer states:
// items that are as contract and entry have them follow a change of the entry.
func Stated(ctx context.Context, catalogue cataloguev1.CatalogueServiceClient, shown *cataloguev1.Topic) (*cataloguev1.Topic, error) {
	k, err := newest(ctx, catalogue, shown.GetContract())
	if err != nil {
		return nil, err
	}
	return stated(shown, k), nil
}

func stated(shown *cataloguev1.Topic, k *cataloguev1.Contract) *cataloguev1.Topic {
	t := entry.Content(shown)
	entry.Trim(t, k)
	return t
}

// newest gives the newest version of a contract.
func newest(ctx context.Context, catalogue cataloguev1.CatalogueServiceClient, name string) (*cataloguev1.Contract, error) {
	answer, err := catalogue.GetContract(ctx, &cataloguev1.GetContractRequest{Name: name})
	return answer.GetContract(), fault.FromStatus(err)
}

// Overlay gives an entry with what a file mentions put over it.
func Overlay(file, have *cataloguev1.Topic) *cataloguev1.Topic { return overlay(file, have) }

// TopicChanges lists the fields in which two entries differ.
func TopicChanges(from, to *cataloguev1.Topic) []FieldChange {
	return changes(entry.Content(to), entry.Content(from))
}

// changes lists the fields that differ, those too that one of them does not have.
func changes(to, from proto.Message) []FieldChange {
	t, f := to.ProtoReflect(), from.ProtoReflect()
	var all []FieldChange
	for i := range t.Descriptor().Fields().Len() {
		d := t.Descriptor().Fields().Get(i)
		if !t.Get(d).Equal(f.Get(d)) {
			all = append(all, FieldChange{Field: string(d.Name()), From: text(f, d), To: text(t, d)})
		}
	}
	return all
}
