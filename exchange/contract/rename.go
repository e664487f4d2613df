package contract

import (
	"fmt"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// apart is put before the packages of a contract's own files while its rules
// are compiled and run. CEL looks message types up by name, and prefers those
// that are linked into the program; without it the rules of a later version of
// a standard contract would see the linked version's fields.
const apart = "huitong_registered."

// ownText takes apart out of a message for people.
func ownText(text string) string { return strings.ReplaceAll(text, apart, "") }

// setApart gives a message's descriptor anew, its own files under apart.
func setApart(md protoreflect.MessageDescriptor) (protoreflect.MessageDescriptor, error) {
	r := renamer{}
	var protos []*descriptorpb.FileDescriptorProto
	for _, f := range closure(md.ParentFile()) {
		if !isKnown(f.Path()) {
			r.packages = append(r.packages, string(f.Package()))
			protos = append(protos, proto.CloneOf(protodesc.ToFileDescriptorProto(f)))
		}
	}
	for _, f := range protos {
		r.file(f)
	}
	linked, err := link(protos)
	if err != nil {
		return nil, err
	}
	found, err := linked.files.FindDescriptorByName(protoreflect.FullName(apart) + md.FullName())
	if err != nil {
		return nil, err
	}
	inner, ok := found.(protoreflect.MessageDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is no message", md.FullName())
	}
	return inner, nil
}

// renamer puts apart before names in a contract's own files, whose references
// are all absolute.
type renamer struct{ packages []string }

func (r *renamer) file(f *descriptorpb.FileDescriptorProto) {
	f.Package = new(strings.TrimSuffix(apart+f.GetPackage(), "."))
	f.OptionDependency = nil // the options are read already
	// CEL also takes files of one path for the same.
	f.Name = new(apart + f.GetName())
	for i, path := range f.Dependency {
		if !isKnown(path) {
			f.Dependency[i] = apart + path
		}
	}
	// Services and extensions are no part of a contract.
	f.Service, f.Extension = nil, nil
	for _, m := range f.MessageType {
		r.message(m)
	}
	for _, e := range f.EnumType {
		r.options(e.GetOptions().ProtoReflect())
	}
}

func (r *renamer) message(m *descriptorpb.DescriptorProto) {
	m.Extension = nil
	r.options(m.GetOptions().ProtoReflect())
	for _, f := range m.Field {
		if f.TypeName != nil && !foreignName(f.GetTypeName()) {
			f.TypeName = new("." + apart + strings.TrimPrefix(f.GetTypeName(), "."))
		}
		r.options(f.GetOptions().ProtoReflect())
	}
	for _, o := range m.OneofDecl {
		r.options(o.GetOptions().ProtoReflect())
	}
	for _, inner := range m.NestedType {
		r.message(inner)
	}
}

// foreignName reports whether a type is one of the files that every set shares.
func foreignName(name string) bool {
	for _, p := range []string{".google.protobuf.", ".buf.validate.", ".huitong.contract.v1."} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// options rewrites the type names within the CEL expressions of options.
func (r *renamer) options(m protoreflect.Message) {
	if !m.IsValid() {
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.Message() == nil || fd.IsMap() {
			return true
		}
		if !fd.IsList() {
			r.rules(v.Message())
			return true
		}
		for i := range v.List().Len() {
			r.rules(v.List().Get(i).Message())
		}
		return true
	})
}

func (r *renamer) rules(m protoreflect.Message) {
	if rule, ok := m.Interface().(*validate.Rule); ok {
		rule.SetExpression(r.expression(rule.GetExpression()))
		return
	}
	if fd := m.Descriptor().Fields().ByName("cel_expression"); fd != nil && m.Has(fd) {
		list := m.Mutable(fd).List()
		for i := range list.Len() {
			list.Set(i, protoreflect.ValueOfString(r.expression(list.Get(i).String())))
		}
	}
	r.options(m)
}

// expression puts apart before the names of packages in a CEL expression, but
// not in its string literals and not after a dot.
func (r *renamer) expression(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		if n := literal(text[i:]); n > 0 {
			b.WriteString(text[i : i+n])
			i += n
			continue
		}
		if !inName(text[i]) || i > 0 && (inName(text[i-1]) || text[i-1] == '.' && !leading(text[:i-1])) {
			b.WriteByte(text[i])
			i++
			continue
		}
		if r.names(text[i:]) {
			b.WriteString(apart)
		}
		b.WriteByte(text[i])
		i++
	}
	return b.String()
}

// names reports whether a text begins with one of the packages and a dot.
func (r *renamer) names(text string) bool {
	for _, p := range r.packages {
		if rest, ok := strings.CutPrefix(text, p); ok && p != "" && strings.HasPrefix(rest, ".") {
			return true
		}
	}
	return false
}

// leading reports whether a dot after text begins an absolute name.
func leading(text string) bool {
	text = strings.TrimRight(text, " \t\n\r")
	if text == "" {
		return true
	}
	last := text[len(text)-1]
	return !inName(last) && last != ')' && last != ']' && last != '}'
}

func inName(c byte) bool {
	return c == '_' || isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// literal gives the length of the string literal that a CEL text begins with; 0
// if it begins with none. One that does not end goes to the end of the text.
func literal(text string) int {
	quote := ""
	for _, q := range []string{`"""`, "'''", `"`, "'"} {
		if strings.HasPrefix(text, q) {
			quote = q
			break
		}
	}
	if quote == "" {
		return 0
	}
	for i := len(quote); i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case strings.HasPrefix(text[i:], quote):
			return i + len(quote)
		}
	}
	return len(text)
}
