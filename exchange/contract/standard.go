package contract

import (
	"fmt"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// standardPack are the messages of proto/huitong/records/v1 that are contracts.
var standardPack = []proto.Message{
	(*recordsv1.Certificate)(nil), (*recordsv1.Complaint)(nil), (*recordsv1.Consultation)(nil),
	(*recordsv1.Deadline)(nil), (*recordsv1.Disability)(nil), (*recordsv1.Enterprise)(nil),
	(*recordsv1.FanOutReport)(nil),
	(*recordsv1.Household)(nil), (*recordsv1.Income)(nil), (*recordsv1.Marriage)(nil),
	(*recordsv1.Notice)(nil), (*recordsv1.Person)(nil), (*recordsv1.Property)(nil),
	(*recordsv1.ServiceItem)(nil), (*recordsv1.SubmittedMaterial)(nil), (*recordsv1.SupplierAnswer)(nil),
	(*recordsv1.SupplierRequest)(nil),
}

// Standard gives the contracts of the standard records pack, version 1, in the
// order of their names. They are compiled once.
func Standard() []*Contract { return slices.Clone(standard()) }

var standard = sync.OnceValue(func() []*Contract {
	var all []*Contract
	for _, m := range standardPack {
		md := m.ProtoReflect().Descriptor()
		set := &descriptorpb.FileDescriptorSet{}
		for _, f := range closure(md.ParentFile()) {
			set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
		}
		c, findings := Compile(set, string(md.FullName()), 1)
		if c == nil {
			// The pack is part of the program, and a test compiles it.
			panic(fmt.Sprintf("contract: %s: %+v", md.FullName(), findings))
		}
		all = append(all, c)
	}
	return all
})
