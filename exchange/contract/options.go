package contract

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	contractv1 "github.com/huitong-bus/huitong/proto/gen/huitong/contract/v1"
)

// options are what a contract's options say, resolved.
type options struct {
	title      string
	key        fieldPath
	validFrom  fieldPath
	validUntil fieldPath
	subjects   []*subjectPaths
	warnings   []string
	raw        *contractv1.RecordOptions
}

// recordOptions gives the record option of a message; nil if it has none.
func recordOptions(md protoreflect.MessageDescriptor) *contractv1.RecordOptions {
	if !proto.HasExtension(md.Options(), contractv1.E_Record) {
		return nil
	}
	o, _ := proto.GetExtension(md.Options(), contractv1.E_Record).(*contractv1.RecordOptions)
	return o
}

// itemOptions gives the item option of a field; an empty one if it has none.
func itemOptions(fd protoreflect.FieldDescriptor) *contractv1.DataItemOptions {
	o, _ := proto.GetExtension(fd.Options(), contractv1.E_Item).(*contractv1.DataItemOptions)
	return o
}

// readOptions resolves the options of a contract message.
func readOptions(md protoreflect.MessageDescriptor, v *verdict) *options {
	raw := recordOptions(md)
	if raw == nil {
		v.add("", "option.record", "the message has no option (huitong.contract.v1.record), so it is no contract")
		return nil
	}
	o := &options{title: raw.GetTitle(), raw: raw, warnings: raw.GetWarnings()}
	if strings.TrimSpace(o.title) == "" {
		v.add("", "option.title", "the record option needs a title")
	}
	if raw.GetKey() == "" {
		v.add("", "option.key", "the record option needs a key, the path of the field that identifies a record")
	} else {
		o.key = singular(md, raw.GetKey(), "option.key", v)
	}
	if raw.GetValidFrom() != "" {
		o.validFrom = singular(md, raw.GetValidFrom(), "option.valid_from", v)
	}
	if raw.GetValidUntil() != "" {
		o.validUntil = singular(md, raw.GetValidUntil(), "option.valid_until", v)
	}
	o.readSubjects(md, v)
	return o
}

// singular resolves a path that has one value a record.
func singular(md protoreflect.MessageDescriptor, text, rule string, v *verdict) fieldPath {
	path, err := parsePath(md, text)
	switch {
	case err != nil:
		v.add(text, rule, "%v", err)
		return nil
	case path.lastList() >= 0:
		v.add(text, rule, "%q is repeated; the path must lead to one value", path[path.lastList()].Name())
		return nil
	}
	return path
}

func (o *options) readSubjects(md protoreflect.MessageDescriptor, v *verdict) {
	switch n := len(o.raw.GetSubjects()); {
	case n == 0 && !o.raw.GetAboutNobody():
		v.add("", "option.subjects", "the record option needs at least one subject, or about_nobody")
	case n > 0 && o.raw.GetAboutNobody():
		v.add("", "option.subjects", "a record about nobody has no subjects")
	case n > 16:
		v.add("", "option.subjects", "more than 16 subject options")
		return
	}
	for _, s := range o.raw.GetSubjects() {
		if p := readSubject(md, s, v); p != nil {
			o.subjects = append(o.subjects, p)
		}
	}
}

func readSubject(md protoreflect.MessageDescriptor, s *contractv1.SubjectOptions, v *verdict) *subjectPaths {
	number, err := parsePath(md, s.GetNumber())
	if err != nil {
		v.add(s.GetNumber(), "option.subject.number", "%v", err)
		return nil
	}
	p := &subjectPaths{number: number, names: strings.Split(s.GetNumber(), "."), optional: s.GetOptional(), role: s.GetRole()}
	switch {
	case (s.GetType() == "") == (s.GetTypePath() == ""):
		v.add(s.GetNumber(), "option.subject.type", "a subject has either a type or a type_path")
	case s.GetTypePath() != "":
		p.typeFrom = beside(md, number, s.GetTypePath(), "option.subject.type", v)
	default:
		i := slices.Index(subjectTypes, s.GetType())
		if i < 0 {
			v.add(s.GetNumber(), "option.subject.type", "%q is not one of the holder code types %s", s.GetType(), strings.Join(subjectTypes, ", "))
			return nil
		}
		p.kind = subjectTypes[i]
	}
	switch {
	case s.GetRole() != "" && s.GetRolePath() != "":
		v.add(s.GetNumber(), "option.subject.role", "a subject has either a role or a role_path")
	case s.GetRole() == "" && s.GetRolePath() == "":
		v.add(s.GetNumber(), "option.subject.role", "a subject has a role or a role_path")
	case s.GetRolePath() != "":
		p.roleFrom = beside(md, number, s.GetRolePath(), "option.subject.role", v)
	case len(s.GetRole()) > maxRole:
		v.add(s.GetNumber(), "option.subject.role", "a role has at most %d bytes", maxRole)
	}
	if s.GetNamePath() != "" {
		p.nameFrom = beside(md, number, s.GetNamePath(), "option.subject.name", v)
	}
	return p
}

// beside resolves a path that has one value for each value of number: all its
// repeated steps are steps of number's path too.
func beside(md protoreflect.MessageDescriptor, number fieldPath, text, rule string, v *verdict) *relative {
	path, err := parsePath(md, text)
	if err != nil {
		v.add(text, rule, "%v", err)
		return nil
	}
	// The last step of number is a value and has nothing beside it.
	level := min(path.common(number), len(number)-1)
	if path.lastList() >= level {
		v.add(text, rule, "%q is repeated apart from %s; which element belongs to which is not said", path[path.lastList()].Name(), number)
		return nil
	}
	return &relative{level: level, rest: path[level:]}
}

// checkItems checks the item options of all fields of all message types.
func (s *shape) checkItems(md protoreflect.MessageDescriptor) {
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		item, path := itemOptions(fd), string(fd.Name())
		if strings.TrimSpace(item.GetTitle()) == "" {
			s.v.add(path, "item.title", "the field needs (huitong.contract.v1.item) with a title, as the catalogue shows it")
		}
		if n := item.GetSensitivity(); n < 1 || n > 4 {
			s.v.add(path, "item.sensitivity", "the field needs a sensitivity level from 1 to 4")
		}
	}
}
