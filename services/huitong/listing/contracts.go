package listing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	// What a contract may import, beside files of its own directory.
	_ "github.com/huitong-bus/huitong/proto/gen/huitong/contract/v1"
	_ "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// compile makes a descriptor set of a .proto file and all that it imports: from
// the directory, or from what this program knows (the contract options, the
// standard records, the validation rules, protobuf's own).
func compile(ctx context.Context, files fs.FS, name string) ([]byte, error) {
	c := protocompile.Compiler{Resolver: protocompile.ResolverFunc(func(imported string) (protocompile.SearchResult, error) {
		source, err := files.Open(imported)
		if err == nil {
			return protocompile.SearchResult{Source: source}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return protocompile.SearchResult{}, err
		}
		known, err := protoregistry.GlobalFiles.FindFileByPath(imported)
		return protocompile.SearchResult{Desc: known}, err
	})}
	compiled, err := c.Compile(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("compile %w", err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	collect(set, compiled[0], map[string]bool{})
	return proto.MarshalOptions{Deterministic: true}.Marshal(set)
}

// collect adds a file behind those that it imports.
func collect(set *descriptorpb.FileDescriptorSet, file protoreflect.FileDescriptor, done map[string]bool) {
	if done[file.Path()] {
		return
	}
	done[file.Path()] = true
	for i := range file.Imports().Len() {
		collect(set, file.Imports().Get(i).FileDescriptor, done)
	}
	set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
}
