package cli

import (
	"context"
	"os"

	"github.com/bufbuild/protocompile"
	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// protoset compiles a .proto file with its imports to a descriptor set, as a
// department's own tools would: protoset pension.proto pension.binpb.
func protoset(ts *testscript.TestScript, _ bool, args []string) {
	c := protocompile.Compiler{Resolver: protocompile.ResolverFunc(func(name string) (protocompile.SearchResult, error) {
		if name == args[0] {
			f, err := os.Open(ts.MkAbs(name))
			return protocompile.SearchResult{Source: f}, err
		}
		d, err := protoregistry.GlobalFiles.FindFileByPath(name)
		return protocompile.SearchResult{Desc: d}, err
	})}
	files, err := c.Compile(context.Background(), args[0])
	ts.Check(err)
	set := &descriptorpb.FileDescriptorSet{}
	addWithImports(set, files[0], map[string]bool{})
	raw, err := proto.Marshal(set)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), raw, 0o600))
}

func addWithImports(set *descriptorpb.FileDescriptorSet, f protoreflect.FileDescriptor, done map[string]bool) {
	if done[f.Path()] {
		return
	}
	done[f.Path()] = true
	for i := range f.Imports().Len() {
		addWithImports(set, f.Imports().Get(i), done)
	}
	set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
}
