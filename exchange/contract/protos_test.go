package contract

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// compileProto compiles one .proto file that imports what this program links.
// ITEM stands for an item option.
func compileProto(t testing.TB, path, text string) protoreflect.FileDescriptor {
	t.Helper()
	text = strings.ReplaceAll(text, "ITEM", `(huitong.contract.v1.item) = {title: "t" sensitivity: 1}`)
	c := protocompile.Compiler{Resolver: protocompile.ResolverFunc(func(name string) (protocompile.SearchResult, error) {
		if name == path {
			return protocompile.SearchResult{Source: strings.NewReader(text)}, nil
		}
		fd, err := protoregistry.GlobalFiles.FindFileByPath(name)
		return protocompile.SearchResult{Desc: fd}, err
	})}
	files, err := c.Compile(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	return files[0]
}

// setOf compiles a .proto file to a descriptor set.
func setOf(t testing.TB, text string) *descriptorpb.FileDescriptorSet {
	t.Helper()
	return setFrom(compileProto(t, "test.proto", text))
}

func readTestdata(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// setFrom gives a file and its imports as a descriptor set.
func setFrom(file protoreflect.FileDescriptor) *descriptorpb.FileDescriptorSet {
	set := &descriptorpb.FileDescriptorSet{}
	for _, f := range closure(file) {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
	}
	return set
}
