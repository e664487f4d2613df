package contract

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// fieldPath is a way from the contract message to a string field.
type fieldPath []protoreflect.FieldDescriptor

// parsePath follows field names joined by dots to a string field.
func parsePath(md protoreflect.MessageDescriptor, text string) (fieldPath, error) {
	var path fieldPath
	for _, name := range strings.Split(text, ".") {
		if md == nil {
			return nil, fmt.Errorf("%s is no message, so it has no field %q", path[len(path)-1].Name(), name)
		}
		fd := md.Fields().ByName(protoreflect.Name(name))
		if fd == nil {
			return nil, fmt.Errorf("%s has no field %q", md.FullName(), name)
		}
		if fd.IsMap() {
			return nil, fmt.Errorf("%q is a map; a path leads through messages", name)
		}
		if len(path) >= maxDepth {
			return nil, errors.New("the path is too long")
		}
		path = append(path, fd)
		md = fd.Message()
	}
	if last := path[len(path)-1]; last.Kind() != protoreflect.StringKind {
		return nil, fmt.Errorf("%q is a %v; it must be a string", last.Name(), last.Kind())
	}
	return path, nil
}

// lastList is the place of the last repeated step; -1 if there is none.
func (p fieldPath) lastList() int {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i].IsList() {
			return i
		}
	}
	return -1
}

// common is how many steps two paths share.
func (p fieldPath) common(q fieldPath) int {
	n := 0
	for n < len(p) && n < len(q) && p[n] == q[n] {
		n++
	}
	return n
}

// get reads a path without repeated steps; empty where a message is absent.
func (p fieldPath) get(m protoreflect.Message) string {
	for i, fd := range p {
		if i == len(p)-1 {
			return m.Get(fd).String()
		}
		if !m.Has(fd) {
			return ""
		}
		m = m.Get(fd).Message()
	}
	return ""
}

func (p fieldPath) String() string {
	var b strings.Builder
	for i, fd := range p {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(string(fd.Name()))
	}
	return b.String()
}

// trail is where in a record a value stands: the steps from the record to it.
// It becomes text only for a violation.
type trail struct {
	steps [maxDepth + 1]step
	n     int
}

type step struct {
	name  string
	index int // -1 if the field is not repeated
}

// enter goes into a field; index is the element's, or -1.
func (t *trail) enter(name string, index int) {
	t.steps[t.n] = step{name, index}
	t.n++
}

// element says which element of the field entered last is meant.
func (t *trail) element(index int) { t.steps[t.n-1].index = index }

// leave goes back to the message around the field entered last.
func (t *trail) leave() { t.n-- }

// inList reports whether the place is within an element of a repeated field.
func (t *trail) inList() bool {
	for _, s := range t.steps[:t.n] {
		if s.index >= 0 {
			return true
		}
	}
	return false
}

func (t *trail) String() string {
	var b strings.Builder
	for i, s := range t.steps[:t.n] {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.name)
		if s.index >= 0 {
			b.WriteByte('[')
			b.WriteString(strconv.Itoa(s.index))
			b.WriteByte(']')
		}
	}
	return b.String()
}
