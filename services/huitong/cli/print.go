package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

func (a *app) json() bool { return a.output == "json" }

// printf prints for people; nothing with --output json.
func (a *app) printf(format string, args ...any) {
	if !a.json() {
		_, _ = fmt.Fprintf(a.out, format, args...)
	}
}

// notef says on standard error what is worth knowing.
func (a *app) notef(format string, args ...any) {
	_, _ = fmt.Fprintf(a.err, format, args...)
}

// printJSON prints a message as one line.
func (a *app) printJSON(m proto.Message) error {
	text, err := compact(m)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s\n", text)
	return err
}

// compact gives protobuf-JSON in one spelling: the encoder itself varies its
// spaces from build to build.
func compact(m proto.Message) ([]byte, error) {
	text, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// printValue prints what is no protobuf message as one line of JSON.
func (a *app) printValue(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// column is one column of a list.
type column[T any] struct {
	name  string
	value func(T) string
}

// list prints objects as a table or as JSON lines.
func list[T proto.Message](a *app, items iter.Seq2[T, error], columns ...column[T]) error {
	var head []string
	for _, c := range columns {
		head = append(head, c.name)
	}
	t := newTable(a.out, head...)
	for item, err := range items {
		if err == nil && a.json() {
			err = a.printJSON(item)
		} else if err == nil {
			row := make([]string, len(columns))
			for i, c := range columns {
				row[i] = c.value(item)
			}
			err = t.row(row...)
		}
		if err != nil {
			return err
		}
	}
	if a.json() {
		return nil
	}
	return t.flush()
}

// pages goes through all pages of a list.
func pages[T any](fetch func(token string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for token := ""; ; {
			items, next, err := fetch(token)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if token = next; token == "" {
				return
			}
		}
	}
}

// pair is one line of an object that is shown.
type pair struct{ name, value string }

// show prints one object: as a document, or as the pairs that have a value.
func (a *app) show(m proto.Message, pairs ...pair) error {
	if a.json() {
		return a.printJSON(m)
	}
	return a.pairs(pairs...)
}

func (a *app) pairs(pairs ...pair) error {
	t := newTable(a.out, "", "")
	for _, p := range pairs {
		if p.value == "" {
			continue
		}
		if err := t.row(p.name, p.value); err != nil {
			return err
		}
	}
	return t.flush()
}

// receipted is the answer of a call that changes something.
type receipted interface {
	proto.Message
	GetReceipt() *exchangev1.Receipt
}

// changed prints what a call changed and the entry that says so.
func (a *app) changed(m receipted, dryRun bool, format string, args ...any) error {
	if a.json() {
		return a.printJSON(m)
	}
	text := fmt.Sprintf(format, args...)
	switch {
	case dryRun:
		a.printf("would do: %s; nothing was changed\n", text)
	case m.GetReceipt() == nil:
		a.printf("%s\n", text)
	default:
		a.printf("%s (ledger entry %d)\n", text, m.GetReceipt().GetIndex())
	}
	return nil
}

// enumText gives an enum value as the command spells it:
// SHARING_CLASS_NOT_SHARED is "not-shared"; unspecified is empty.
func enumText(e protoreflect.Enum) string {
	v := e.Descriptor().Values().ByNumber(e.Number())
	if v == nil || e.Number() == 0 {
		return ""
	}
	return spelled(v)
}

func spelled(v protoreflect.EnumValueDescriptor) string {
	prefix := snake(string(v.Parent().Name())) + "_"
	name := strings.TrimPrefix(string(v.Name()), prefix)
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

func snake(camel string) string {
	var b strings.Builder
	for i, r := range camel {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// enumValue is the inverse of enumText; flag names where the text came from.
func enumValue[E protoreflect.Enum](flag, text string) (E, error) {
	var zero E
	if text == "" {
		return zero, nil
	}
	values := zero.Descriptor().Values()
	var all []string
	for i := range values.Len() {
		v := values.Get(i)
		if v.Number() == 0 {
			continue
		}
		if s := spelled(v); s == strings.ToLower(strings.ReplaceAll(text, "_", "-")) {
			return zero.Type().New(v.Number()).(E), nil
		} else {
			all = append(all, s)
		}
	}
	return zero, usageError("%s is one of %s, not %q", flag, strings.Join(all, ", "), text)
}

func enumValues[E protoreflect.Enum](flag string, texts []string) ([]E, error) {
	var all []E
	for _, t := range texts {
		e, err := enumValue[E](flag, t)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

func joined[E protoreflect.Enum](all []E) string {
	var texts []string
	for _, e := range all {
		texts = append(texts, enumText(e))
	}
	return strings.Join(texts, ", ")
}

// when prints a time as people here read it, to the second.
func when(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return clock(t.AsTime())
}

func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func yesNo(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}
