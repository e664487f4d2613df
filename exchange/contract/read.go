package contract

import (
	"errors"
	"sync"

	"buf.build/go/hyperpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// Read decodes and checks one record and reads what the exchange needs of it.
// A record that breaks a rule gives a *fault.Error of kind fault.Invalid with
// all violations, at most 64, or TooLarge. No message holds a value of the
// record. The payload is not kept.
func (c *Contract) Read(payload []byte) (*Record, error) {
	if len(payload) > MaxPayload {
		return nil, fault.New(fault.TooLarge, "payload.size", "the record is larger than %d bytes", MaxPayload)
	}
	var r report // without warnings: what the scan finds always refuses
	s := scanner{report: &r}
	s.message(payload, c.layout)
	if err := r.err(); err != nil {
		return nil, err
	}
	r.warn = c.warn
	var record *Record
	err := c.decoder.decode(payload, func(m protoreflect.Message) {
		c.validate(m, s.elements, &r)
		c.layout.runChecks(m, &r)
		record = c.extract(m, &r)
	})
	if err != nil {
		r.add(malformed)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	record.Warnings = r.warnings
	return record, nil
}

// decoder decodes a payload that the scan has accepted. The message is valid
// during use only.
type decoder interface {
	decode(payload []byte, use func(protoreflect.Message)) error
}

// newDecoder chooses the decoder of a contract. Contracts that use messages of
// google.protobuf get dynamicpb, whose messages CEL knows how to take for
// timestamps and durations; all others hyperpb, which is faster.
func newDecoder(md protoreflect.MessageDescriptor, foreign bool) decoder {
	if foreign {
		return &plainDecoder{md}
	}
	t := compileFast(md)
	if t == nil {
		return nil
	}
	return &fastDecoder{t: t}
}

// compileFast gives nil for a message that hyperpb refuses, which it does by a
// panic.
func compileFast(md protoreflect.MessageDescriptor) (t *hyperpb.MessageType) {
	defer func() {
		if recover() != nil {
			t = nil
		}
	}()
	return hyperpb.CompileMessageDescriptor(md)
}

// fastDecoder decodes with hyperpb, into memory that is used again.
type fastDecoder struct {
	t    *hyperpb.MessageType
	pool sync.Pool
}

// workspace is what one decoding needs: the message's memory, and the bytes it
// is decoded from, into which its strings point.
type workspace struct {
	shared hyperpb.Shared
	bytes  []byte
}

func (d *fastDecoder) decode(payload []byte, use func(protoreflect.Message)) error {
	w, ok := d.pool.Get().(*workspace)
	if !ok {
		w = new(workspace)
	}
	// Nothing of the message is kept beyond use: strings are cloned. One that was
	// not would lose its text here, and every test would see it.
	defer func() {
		w.shared.Free()
		clear(w.bytes)
		d.pool.Put(w)
	}()
	m := w.shared.NewMessage(d.t)
	if err := m.Unmarshal(w.take(payload), fastOptions...); err != nil {
		return err
	}
	use(m)
	return nil
}

// readAhead is how far hyperpb reads behind the bytes that it is given: it takes
// eight at once and masks what it does not need, and a varint may have ten. It
// does so with bytes of others behind a slice that has no more capacity.
const readAhead = 16

// take copies a payload to where readAhead bytes behind it are the workspace's
// own, and 0.
func (w *workspace) take(payload []byte) []byte {
	n := len(payload)
	if need := n + readAhead; need > cap(w.bytes) {
		w.bytes = make([]byte, 0, need)
	}
	w.bytes = w.bytes[:n+readAhead]
	copy(w.bytes, payload)
	return w.bytes[:n]
}

// The scan has looked at UTF-8 already. The copy that hyperpb would make without
// an alias is a new one each time.
var fastOptions = []hyperpb.UnmarshalOption{
	hyperpb.WithAllowAlias(true), hyperpb.WithAllowInvalidUTF8(true), hyperpb.WithMaxDepth(2 * maxDepth),
}

// plainDecoder decodes with dynamicpb.
type plainDecoder struct {
	md protoreflect.MessageDescriptor
}

func (d *plainDecoder) decode(payload []byte, use func(protoreflect.Message)) error {
	m := dynamicpb.NewMessage(d.md)
	if err := proto.Unmarshal(payload, m); err != nil {
		return errors.New("the payload does not decode")
	}
	use(m)
	return nil
}
