package contract

import (
	"fmt"
	"slices"
	"sync"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	_ "google.golang.org/protobuf/types/known/emptypb"     // a known file
	_ "google.golang.org/protobuf/types/known/fieldmaskpb" // a known file

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
	checkPackages(set, v)
	if v.bad() {
		return nil, nil
	}
	linked, err := link(set.File)
	if err != nil {
		v.add("", "set.broken", "the descriptor set cannot be read: %v", err)
		return nil, nil
	}
	found, err := linked.files.FindDescriptorByName(protoreflect.FullName(name))
	md, ok := found.(protoreflect.MessageDescriptor)
	if err != nil || !ok {
		v.add("", "message.missing", "the descriptor set has no message of this name")
		return nil, nil
	}
	bytes, err := canonical(md.ParentFile())
	if err != nil {
		v.add("", "set.broken", "the descriptor set cannot be written: %v", err)
		return nil, nil
	}
	return md, bytes
}

// linker makes descriptors of files that import one another and the known ones,
// which it takes from this program.
type linker struct {
	protos map[string]*descriptorpb.FileDescriptorProto
	done   map[string]bool // false while a file's imports are being linked
	files  protoregistry.Files
}

func link(protos []*descriptorpb.FileDescriptorProto) (*linker, error) {
	l := &linker{protos: map[string]*descriptorpb.FileDescriptorProto{}, done: map[string]bool{}}
	for _, f := range protos {
		if l.protos[f.GetName()] != nil {
			return nil, fmt.Errorf("file %q is there twice", f.GetName())
		}
		l.protos[f.GetName()] = f
	}
	for _, f := range protos {
		if err := l.link(f.GetName()); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *linker) link(path string) error {
	if isKnown(path) {
		return nil
	}
	done, begun := l.done[path]
	switch {
	case done:
		return nil
	case begun:
		return fmt.Errorf("file %q imports itself", path)
	case l.protos[path] == nil:
		return fmt.Errorf("file %q is imported but not there", path)
	}
	l.done[path] = false
	for _, imported := range l.protos[path].GetDependency() {
		if err := l.link(imported); err != nil {
			return err
		}
	}
	file, err := protodesc.NewFile(l.protos[path], l)
	if err != nil {
		return err
	}
	l.done[path] = true
	return l.files.RegisterFile(file)
}

// FindFileByPath is what protodesc resolves imports by.
func (l *linker) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	if isKnown(path) {
		return protoregistry.GlobalFiles.FindFileByPath(path)
	}
	return l.files.FindFileByPath(path)
}

// FindDescriptorByName is what protodesc resolves types by.
func (l *linker) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	if foreignName("." + string(name)) {
		return protoregistry.GlobalFiles.FindDescriptorByName(name)
	}
	return l.files.FindDescriptorByName(name)
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
		if !isKnown(f.GetName()) {
			bare.File = append(bare.File, withoutComments(f))
		}
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

// checkPackages refuses files that claim a package of the known files.
func checkPackages(set *descriptorpb.FileDescriptorSet, v *verdict) {
	for _, f := range set.GetFile() {
		if foreignName("." + f.GetPackage() + ".") {
			v.add("", "set.package", "file %s is in package %s, which is not its own", f.GetName(), f.GetPackage())
		}
	}
}

// closure gives a file and all that it imports, imports first.
func closure(file protoreflect.FileDescriptor) (files []protoreflect.FileDescriptor) {
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
		files = append(files, f)
	}
	visit(file)
	return files
}

// canonical serialises a file's closure as a FileDescriptorSet.
func canonical(file protoreflect.FileDescriptor) ([]byte, error) {
	var set []byte
	for _, f := range closure(file) {
		raw, err := fileBytes(f)
		if err != nil {
			return nil, err
		}
		set = protowire.AppendTag(set, 1, protowire.BytesType)
		set = protowire.AppendBytes(set, raw)
	}
	return set, nil
}

// knownBytes keeps what fileBytes gives for the known files, by path.
var knownBytes sync.Map

func fileBytes(f protoreflect.FileDescriptor) ([]byte, error) {
	if kept, ok := knownBytes.Load(f.Path()); ok {
		return kept.([]byte), nil
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(protodesc.ToFileDescriptorProto(f))
	if err == nil && isKnown(f.Path()) {
		knownBytes.Store(f.Path(), raw)
	}
	return raw, err
}
