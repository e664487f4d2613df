package contract

import (
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// scanner checks the form of a payload before anything decodes it: each byte
// belongs to a field of the contract, each field has its wire type, text is
// UTF-8, and what is not repeated comes once, so that all decoders read the
// same record. Its depth is the contract's, which is bounded.
type scanner struct {
	report *report
	// elements counts messages and list elements.
	elements int
}

// maxTag is the length of a tag of 32 bits. How far a longer one may be padded is
// each decoder's own.
const maxTag = 5

// seen are the singular fields and oneofs that a message has so far.
type seen [(2*maxMessageFields + 63) / 64]uint64

// mark reports whether a place is marked, and marks it.
func (s *seen) mark(i int) bool {
	was := s[i/64]&(1<<(i%64)) != 0
	s[i/64] |= 1 << (i % 64)
	return was
}

// message checks the bytes of a message of a layout.
func (s *scanner) message(b []byte, l *layout) {
	var once seen
	var counts [maxLists]uint32
	for len(b) > 0 && !s.report.full() {
		number, wire, n := protowire.ConsumeTag(b)
		if n < 0 || n > maxTag {
			s.report.add(malformed)
			return
		}
		b = b[n:]
		f := l.find(number)
		if f == nil {
			if n = protowire.ConsumeFieldValue(number, wire, b); n < 0 {
				s.report.add(malformed)
				return
			}
			s.unknown(number)
			b = b[n:]
			continue
		}
		index := -1
		if f.list {
			index = int(counts[f.slot])
		}
		s.report.at.enter(f.name, index)
		if f.bit >= 0 && once.mark(f.bit) || f.oneof >= 0 && once.mark(f.oneof) {
			s.report.add(duplicate)
		}
		n, elements := s.value(f, wire, b)
		if f.list {
			counts[f.slot] += elements
			s.bound(f, counts[f.slot])
		}
		s.report.at.leave()
		if n < 0 {
			return
		}
		s.elements += int(elements)
		b = b[n:]
	}
}

var (
	malformed = problem{"malformed", "the bytes are no protobuf message of this contract: cut short, or of another wire type"}
	duplicate = problem{"duplicate_field", "the field, or another of its oneof, is there already"}
	notTruth  = problem{"bool", "a truth value is 0 or 1"}
)

// value checks one occurrence of a field and gives its length, less than 0 if
// what follows cannot be read, and how many elements it holds.
func (s *scanner) value(f *field, wire protowire.Type, b []byte) (n int, elements uint32) {
	packed := f.packable && wire == protowire.BytesType
	if wire != f.wire && !packed {
		s.report.add(malformed)
		return -1, 0
	}
	if n = protowire.ConsumeFieldValue(f.number, wire, b); n < 0 {
		s.report.add(malformed)
		return -1, 0
	}
	if wire != protowire.BytesType {
		s.truth(f, b)
		return n, 1
	}
	content, _ := protowire.ConsumeBytes(b)
	if packed {
		return n, s.packed(f, content)
	}
	s.content(f, content)
	return n, 1
}

// bound checks the number of elements so far.
func (s *scanner) bound(f *field, count uint32) {
	if f.maxItems > 0 && uint64(count) > f.maxItems {
		s.report.at.element(-1)
		s.report.add(problem{"repeated.max_items", "must contain no more than " + strconv.FormatUint(f.maxItems, 10) + " item(s)"})
	}
}

// content checks the bytes of a length-delimited value.
func (s *scanner) content(f *field, content []byte) {
	switch {
	case f.maxBytes > 0 && uint64(len(content)) > f.maxBytes:
		s.report.add(problem{f.lengthRule(), "the value is longer than the contract allows"})
	case f.text && !utf8.Valid(content):
		s.report.add(problem{"utf8", "the text is not valid UTF-8"})
	case f.message != nil:
		s.message(content, f.message)
	}
}

// packed counts the elements of a packed list.
func (s *scanner) packed(f *field, content []byte) (elements uint32) {
	for len(content) > 0 && !s.report.full() {
		n := protowire.ConsumeFieldValue(f.number, f.wire, content)
		if n < 0 {
			s.report.add(malformed)
			return elements
		}
		s.truth(f, content)
		elements++
		content = content[n:]
	}
	return elements
}

// truth checks the value of a bool. Of other numbers than 0 and 1 some decoders
// keep the low byte or bits, so that they would read 256 as false.
func (s *scanner) truth(f *field, b []byte) {
	if !f.boolean {
		return
	}
	if v, _ := protowire.ConsumeVarint(b); v > 1 {
		s.report.add(notTruth)
	}
}

func (s *scanner) unknown(number protowire.Number) {
	n := strconv.Itoa(int(number))
	s.report.at.enter("#"+n, -1)
	s.report.add(problem{"unknown_field", "field " + n + " is not part of this version of the contract"})
	s.report.at.leave()
}
