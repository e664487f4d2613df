package rpc

import (
	"bytes"
	"crypto/rand"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that is wrapped
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// lenient is the protobuf codec, except that a message that cannot be read
// comes out empty and marked. gRPC itself would answer it with INTERNAL, as if
// the exchange were at fault, before any interceptor sees it.
type lenient struct {
	encoding.CodecV2
	// mark is an unknown field with a random value that no client knows.
	mark []byte
}

var theCodec = newLenient()

func codec() encoding.CodecV2 { return theCodec }

func newLenient() *lenient {
	secret := make([]byte, 16)
	// crypto/rand does not fail (Go 1.24 and later end the process instead).
	_, _ = rand.Read(secret)
	mark := protowire.AppendTag(nil, protowire.MaxValidNumber, protowire.BytesType)
	return &lenient{encoding.GetCodecV2("proto"), protowire.AppendBytes(mark, secret)}
}

// Unmarshal reads a message, or marks it.
func (l *lenient) Unmarshal(data mem.BufferSlice, v any) error {
	err := l.CodecV2.Unmarshal(data, v)
	m, ok := v.(proto.Message)
	if err == nil || !ok {
		return err
	}
	proto.Reset(m)
	m.ProtoReflect().SetUnknown(l.mark)
	return nil
}

// broken gives the fault of a message that could not be read.
func (l *lenient) broken(v any) error {
	m, ok := v.(proto.Message)
	if !ok || !bytes.Equal(m.ProtoReflect().GetUnknown(), l.mark) {
		return nil
	}
	return fault.New(fault.Invalid, "message.malformed", "the message is not what its definition says: broken protobuf, or text that is not UTF-8")
}
