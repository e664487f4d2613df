package contract

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// BenchmarkRead reads a certificate record of 1 KiB with each decoder: decoding
// alone, with the rules, and the whole of Read.
func BenchmarkRead(b *testing.B) {
	c := contractOf(b, certificate())
	payload := marshal(b, certificate())
	for _, d := range []struct {
		name string
		decoder
	}{
		{"dynamicpb", &plainDecoder{c.inner}},
		{"hyperpb", &fastDecoder{t: compileFast(c.inner)}},
	} {
		b.Run(d.name+"/decode", func(b *testing.B) {
			benchmark(b, payload, func() error { return d.decode(payload, func(protoreflect.Message) {}) })
		})
		b.Run(d.name+"/decode+rules", func(b *testing.B) {
			benchmark(b, payload, func() error {
				var r report
				err := d.decode(payload, func(m protoreflect.Message) { c.validate(m, 0, &r) })
				if err == nil {
					err = r.err()
				}
				return err
			})
		})
		b.Run(d.name+"/all", func(b *testing.B) {
			one := *c
			one.decoder = d.decoder
			benchmark(b, payload, func() error { _, err := one.Read(payload); return err })
		})
	}
	b.Run("scan", func(b *testing.B) {
		benchmark(b, payload, func() error {
			var r report
			s := scanner{report: &r}
			s.message(payload, c.layout)
			return r.err()
		})
	})
}

func benchmark(b *testing.B, payload []byte, f func() error) {
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCompile compiles one contract, as registration and every start of
// the exchange do.
func BenchmarkCompile(b *testing.B) {
	md := certificate().ProtoReflect().Descriptor()
	set := setFrom(md.ParentFile())
	b.ReportAllocs()
	for b.Loop() {
		if c, findings := Compile(set, string(md.FullName()), 1); c == nil {
			b.Fatal(findings)
		}
	}
}
