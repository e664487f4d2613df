package contract

import (
	"slices"
	"sync"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	contractv1 "github.com/huitong-bus/huitong/proto/gen/huitong/contract/v1"
)

// Bounds of a descriptor set.
const (
	// MaxDescriptorSet is the largest descriptor set, in bytes, without the
	// comments and positions that protoc may add to it.
	MaxDescriptorSet = 1 << 20
	maxFiles         = 256
)

// known are the files that a descriptor set may leave out. If it has them, this
// program's own take their place: what they define means here what it means to
// this program.
var known = []string{
	"google/protobuf/descriptor.proto", "google/protobuf/timestamp.proto",
	"google/protobuf/duration.proto", "google/protobuf/wrappers.proto",
	"google/protobuf/field_mask.proto", "google/protobuf/any.proto",
	"google/protobuf/struct.proto", "google/protobuf/empty.proto",
	"buf/validate/validate.proto", "huitong/contract/v1/options.proto",
}

func isKnown(path string) bool { return slices.Contains(known, path) }

// load finds a message in a descriptor set. It gives its descriptor and the
// same set in one canonical form: the files that the message needs, imports
// first, without comments, so that equal contracts are equal bytes.
func load(set *descriptorpb.FileDescriptorSet, name string, v *verdict) (protoreflect.MessageDescriptor, []byte) {
	set = resolve(set, v)
	if set == nil {
		return nil, nil
	}
	complete(set)
	checkPackages(set, v)
	if v.bad() {
		return nil, nil
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		v.add("", "set.broken", "the descriptor set cannot be read: %v", err)
		return nil, nil
	}
	found, err := files.FindDescriptorByName(protoreflect.FullName(name))
	md, ok := found.(protoreflect.MessageDescriptor)
	if err != nil || !ok {
		v.add("", "message.missing", "the descriptor set has no message of this name")
		return nil, nil
	}
	canonical, err := proto.MarshalOptions{Deterministic: true}.Marshal(closure(md.ParentFile()))
	if err != nil {
		v.add("", "set.broken", "the descriptor set cannot be written: %v", err)
		return nil, nil
	}
	return md, canonical
}

// resolve copies a set, so that its options are those that this program knows,
// however the set was made, and drops its comments.
func resolve(set *descriptorpb.FileDescriptorSet, v *verdict) *descriptorpb.FileDescriptorSet {
	if len(set.GetFile()) == 0 {
		v.add("", "set.empty", "the descriptor set has no files")
		return nil
	}
	if len(set.GetFile()) > maxFiles {
		v.add("", "set.size", "the descriptor set has more than %d files", maxFiles)
		return nil
	}
	bare := &descriptorpb.FileDescriptorSet{}
	for _, f := range set.GetFile() {
		if f == nil {
			v.add("", "set.broken", "the descriptor set has an empty file")
			return nil
		}
		bare.File = append(bare.File, withoutComments(f))
	}
	raw, err := proto.Marshal(bare)
	if err != nil {
		v.add("", "set.broken", "the descriptor set cannot be written: %v", err)
		return nil
	}
	if len(raw) > MaxDescriptorSet {
		v.add("", "set.size", "the descriptor set is larger than %d bytes", MaxDescriptorSet)
		return nil
	}
	whole := &descriptorpb.FileDescriptorSet{}
	if err := (proto.UnmarshalOptions{Resolver: optionTypes()}).Unmarshal(raw, whole); err != nil {
		v.add("", "option.broken", "an option is not what its definition says: %v", err)
		return nil
	}
	return whole
}

// optionTypes are the options that mean something to the exchange; all others
// stay in the set unread.
var optionTypes = sync.OnceValue(func() *protoregistry.Types {
	t := &protoregistry.Types{}
	for _, x := range []protoreflect.ExtensionType{
		contractv1.E_Record, contractv1.E_Item,
		validate.E_Message, validate.E_Oneof, validate.E_Field, validate.E_Predefined,
	} {
		// Fails only for a type that is there already.
		_ = t.RegisterExtension(x)
	}
	return t
})

// withoutComments is a shallow copy of a file without its source information.
func withoutComments(f *descriptorpb.FileDescriptorProto) *descriptorpb.FileDescriptorProto {
	bare := &descriptorpb.FileDescriptorProto{}
	from, to := f.ProtoReflect(), bare.ProtoReflect()
	from.Range(func(fd protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if fd.Name() != "source_code_info" {
			to.Set(fd, value)
		}
		return true
	})
	to.SetUnknown(from.GetUnknown())
	return bare
}

// complete puts the known files into a set.
func complete(set *descriptorpb.FileDescriptorSet) {
	set.File = slices.DeleteFunc(set.File, func(f *descriptorpb.FileDescriptorProto) bool { return isKnown(f.GetName()) })
	for _, path := range known {
		if file, err := protoregistry.GlobalFiles.FindFileByPath(path); err == nil {
			set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
		}
	}
}

// checkPackages refuses files that claim a package of the known files.
func checkPackages(set *descriptorpb.FileDescriptorSet, v *verdict) {
	for _, f := range set.GetFile() {
		if !isKnown(f.GetName()) && foreignName("."+f.GetPackage()+".") {
			v.add("", "set.package", "file %s is in package %s, which is not its own", f.GetName(), f.GetPackage())
		}
	}
}

// closure gives a file and all that it imports, imports first.
func closure(file protoreflect.FileDescriptor) *descriptorpb.FileDescriptorSet {
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var visit func(protoreflect.FileDescriptor)
	visit = func(f protoreflect.FileDescriptor) {
		if seen[f.Path()] || f.IsPlaceholder() {
			return
		}
		seen[f.Path()] = true
		imports := f.Imports()
		for i := range imports.Len() {
			visit(imports.Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
	}
	visit(file)
	return set
}
