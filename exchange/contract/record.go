package contract

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// Record is what the exchange reads of a valid record.
type Record struct {
	// Key identifies the record within its topic, as the source wrote it.
	Key string
	// Subjects are those whom the record is about, without repeats.
	Subjects []Subject
	// ValidFrom and ValidUntil are days "YYYY-MM-DD", both inclusive; empty
	// where the record states none.
	ValidFrom  string
	ValidUntil string
	// Warnings are rules that the record breaks without being refused.
	Warnings []fault.Violation
}

// Bounds of what is read of a record.
const (
	// MaxKey is the longest record key, in bytes.
	MaxKey = 256
	// MaxSubjects is the largest number of subjects of a record: the ledger's
	// leaf, which holds a commitment to each, has its bound.
	MaxSubjects = 512
	maxRole     = 64
)

// subjectPaths says where the subjects of one subject option stand.
type subjectPaths struct {
	number   fieldPath
	names    []string // of number's steps
	kind     string   // fixed type, or typeFrom
	typeFrom *relative
	role     string // fixed role, or roleFrom
	roleFrom *relative
	nameFrom *relative // nil if the contract does not say
	optional bool
}

// relative is a value beside another: from the message that the other's path
// reaches after level steps.
type relative struct {
	level int
	rest  fieldPath
}

// reader reads one record: its messages along a subject's path, and what is
// found.
type reader struct {
	record *Record
	report *report
	along  [maxDepth + 1]protoreflect.Message
	// naming collects a subject's names, rather than the subjects.
	naming *naming
}

func (c *Contract) extract(m protoreflect.Message, r *report) *Record {
	rd := reader{record: &Record{}, report: r}
	rd.key(m, c.options.key)
	rd.validity(m, c.options)
	if n := len(c.options.subjects); n > 0 {
		rd.record.Subjects = make([]Subject, 0, n)
	}
	for _, s := range c.options.subjects {
		rd.along[0] = m
		if rd.walk(s, 0) == 0 && !s.optional {
			r.addText(s.number.String(), noSubject)
		}
	}
	return rd.record
}

func (rd *reader) key(m protoreflect.Message, path fieldPath) {
	key := path.get(m)
	switch {
	case strings.TrimSpace(key) == "":
		rd.report.addText(path.String(), problem{"key.required", "the record key is empty"})
	case len(key) > MaxKey:
		rd.report.addText(path.String(), problem{"key.length", "the record key is longer than 256 bytes"})
	case !plain(key):
		rd.report.addText(path.String(), problem{"key.form", "the record key begins or ends with space or has a control character in it"})
	}
	rd.record.Key = strings.Clone(key)
}

// plain reports whether a key has no space around it and no control characters,
// which people cannot see and cannot type.
func plain(key string) bool {
	for _, c := range key {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 {
			return false
		}
	}
	return strings.TrimSpace(key) == key
}

// validity reads the validity dates. They are compared here for every contract:
// whether a record holds today rests on them.
func (rd *reader) validity(m protoreflect.Message, o *options) {
	from, fromOK := rd.date(m, o.validFrom)
	until, untilOK := rd.date(m, o.validUntil)
	if fromOK && untilOK && from != "" && until != "" && until < from {
		rd.report.addText(o.validUntil.String(), problem{"validity.order", "the validity ends before it begins"})
	}
	rd.record.ValidFrom, rd.record.ValidUntil = strings.Clone(from), strings.Clone(until)
}

func (rd *reader) date(m protoreflect.Message, path fieldPath) (string, bool) {
	if path == nil {
		return "", true
	}
	day := path.get(m)
	if day == "" {
		return "", true
	}
	if err := CheckDate(day); err != nil {
		rd.report.addText(path.String(), problemOf(ruleDate, err))
		return "", false
	}
	return day, true
}

// walk follows the path of a subject's number from step level on, and gives how
// many subjects it found.
func (rd *reader) walk(s *subjectPaths, level int) (found int) {
	fd, m := s.number[level], rd.along[level]
	if !m.Has(fd) && (fd.IsList() || level < len(s.number)-1) {
		return 0
	}
	rd.report.at.enter(s.names[level], -1)
	defer rd.report.at.leave()
	v := m.Get(fd)
	if !fd.IsList() {
		return rd.step(s, level, v)
	}
	list := v.List()
	for i := range list.Len() {
		if rd.report.full() {
			break
		}
		rd.report.at.element(i)
		found += rd.step(s, level, list.Get(i))
	}
	return found
}

func (rd *reader) step(s *subjectPaths, level int, v protoreflect.Value) int {
	if level == len(s.number)-1 {
		return rd.subject(s, v.String())
	}
	rd.along[level+1] = v.Message()
	return rd.walk(s, level+1)
}

// subject adds one subject, and gives 1 if there is one.
func (rd *reader) subject(s *subjectPaths, number string) int {
	if number == "" {
		if !s.optional && rd.report.at.inList() {
			rd.report.add(noSubject)
		}
		return 0
	}
	kind := s.kind
	if s.typeFrom != nil {
		kind = rd.value(s.typeFrom)
	}
	normal, p := normalise(kind, number)
	if p.rule == "" && kind == TypeResidentID && len(normal) != len(fold(number)) {
		p = problem{ruleResidentOld, oldFormMessage}
	}
	if rd.naming != nil {
		rd.naming.take(kind, normal, rd.value(s.nameFrom))
		return 1
	}
	if p.rule != "" {
		rd.report.add(p)
	}
	role := s.role
	if s.roleFrom != nil {
		role = strings.Clone(rd.value(s.roleFrom))
		if role == "" || len(role) > maxRole {
			rd.report.add(problem{"subject.role", "the subject's role is empty or longer than 64 bytes"})
		}
	}
	rd.addSubject(kind, normal, role)
	return 1
}

var noSubject = problem{"subject.number", "the record does not name its subject"}

func (rd *reader) addSubject(kind, number, role string) {
	for _, s := range rd.record.Subjects {
		if s.Number == number && s.Type == kind && s.Role == role {
			return
		}
	}
	if len(rd.record.Subjects) >= MaxSubjects {
		rd.report.add(problem{"subject.count", "the record has more than 512 subjects"})
		return
	}
	if i := slices.Index(subjectTypes, kind); i >= 0 {
		kind = subjectTypes[i]
	}
	rd.record.Subjects = append(rd.record.Subjects, Subject{Type: kind, Number: strings.Clone(number), Role: role})
}

// value reads a value beside the subject's number.
func (rd *reader) value(r *relative) string { return r.rest.get(rd.along[r.level]) }
