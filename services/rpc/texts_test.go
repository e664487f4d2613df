package rpc

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/huitong-bus/huitong/exchange/fault"
	_ "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// TestTextsOfEveryRequest walks all text fields of all requests, so that a new one
// is checked too: what turns the direction of writing is refused wherever it
// stands, two lines where they are not for prose.
func TestTextsOfEveryRequest(t *testing.T) {
	paths := 0
	for _, request := range requests() {
		textPaths(request, nil, func(path []protoreflect.FieldDescriptor) {
			paths++
			last := path[len(path)-1]
			if left(path) {
				if err := checkTexts(filled(request, path, "a\u202eb")); err != nil {
					t.Errorf("%s is checked elsewhere, and here: %v", last.FullName(), err)
				}
				return
			}
			if err := checkTexts(filled(request, path, "示范 a-1")); err != nil {
				t.Errorf("%s: %v", last.FullName(), err)
			}
			for _, text := range []string{"a\u202eb", "a\x1bb", "a\r\nb"} {
				if err := checkTexts(filled(request, path, text)); fault.RuleOf(err) != string(last.Name())+".text" {
					t.Errorf("%s takes %q: %v", last.FullName(), text, err)
				}
			}
			if err := checkTexts(filled(request, path, "a\nb")); slices.Contains(names, last.Name()) && err == nil {
				t.Errorf("%s takes two lines", last.FullName())
			}
		})
	}
	if paths < 200 {
		t.Errorf("%d texts only", paths)
	}
}

// names are fields that have one line wherever they stand.
var names = []protoreflect.Name{"title", "name", "person", "reference", "number", "id", "role", "path", "member", "topic", "code", "case_number"}

func requests() (all []protoreflect.MessageDescriptor) {
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				all = append(all, methods.Get(j).Input())
			}
		}
		return true
	})
	return slices.DeleteFunc(all, func(m protoreflect.MessageDescriptor) bool {
		return !strings.HasPrefix(string(m.FullName()), "huitong.")
	})
}

// textPaths gives the ways to all text fields of a message, each once.
func textPaths(m protoreflect.MessageDescriptor, way []protoreflect.FieldDescriptor, found func([]protoreflect.FieldDescriptor)) {
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		path := append(slices.Clone(way), f)
		switch {
		case f.Kind() == protoreflect.StringKind:
			found(path)
		case slices.Contains(way, f):
			// A message within one of its kind.
		case f.Message() != nil && strings.HasPrefix(string(f.Message().FullName()), "huitong.") && !f.IsMap():
			textPaths(f.Message(), path, found)
		}
	}
}

func left(path []protoreflect.FieldDescriptor) bool {
	return slices.ContainsFunc(path, func(f protoreflect.FieldDescriptor) bool {
		return elsewhere[f.FullName()] || f.Message() != nil && elsewhere[f.Message().FullName()]
	})
}

// filled makes a request with one text.
func filled(request protoreflect.MessageDescriptor, path []protoreflect.FieldDescriptor, text string) *dynamicpb.Message {
	top := dynamicpb.NewMessage(request)
	var m protoreflect.Message = top
	for _, f := range path[:len(path)-1] {
		if f.IsList() {
			m = m.Mutable(f).List().AppendMutable().Message()
		} else {
			m = m.Mutable(f).Message()
		}
	}
	last, value := path[len(path)-1], protoreflect.ValueOfString(text)
	if last.IsList() {
		m.Mutable(last).List().Append(value)
	} else {
		m.Set(last, value)
	}
	return top
}
