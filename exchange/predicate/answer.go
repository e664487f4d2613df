package predicate

import (
	"context"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// deadline ends a check that runs on in spite of all bounds: a check of MaxCost
// takes about a tenth of it.
const deadline = 2 * time.Second

// Threshold gives the value of a threshold by its name; a check without any has
// the one that is named "". An unknown name is refused.
func (c *Check) Threshold(name string) (int64, error) {
	if name == "" && len(c.thresholds) == 0 {
		return 0, nil
	}
	value, ok := c.thresholds[name]
	if !ok {
		return 0, fault.New(fault.Denied, "check.threshold.unknown", "the check has no such threshold; choose one that the grant names")
	}
	return value, nil
}

// Answer answers the check over the payloads of a subject's records, by a
// threshold's value, on a day "YYYY-MM-DD". What keeps it from an answer is a
// Denied fault: check.cost if it ran too long, check.failed if it cannot be
// computed over these records.
func (c *Check) Answer(ctx context.Context, payloads [][]byte, threshold int64, today string) (bool, error) {
	if len(payloads) > MaxRecords {
		return false, TooMany()
	}
	records, bytes := make([]proto.Message, len(payloads)), 0
	for i, payload := range payloads {
		if bytes += len(payload); bytes > MaxBytes {
			return false, TooMany()
		}
		m := dynamicpb.NewMessage(c.contract.Inner())
		if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(c.keep(payload), m); err != nil {
			return false, errFailed()
		}
		records[i] = m
	}
	return run(ctx, c.program, map[string]any{varRecords: records, varThreshold: threshold, varToday: today})
}

// run evaluates a program, within the deadline.
func run(ctx context.Context, program cel.Program, variables map[string]any) (bool, error) {
	bounded, stop := context.WithTimeout(ctx, deadline)
	defer stop()
	out, _, err := program.ContextEval(bounded, variables)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return false, ctx.Err()
	case bounded.Err() != nil, strings.Contains(err.Error(), "cost limit exceeded"):
		return false, fault.New(fault.Denied, "check.cost", "the check takes too long over these records; the two sides have to agree a simpler one")
	default:
		// The engine's words can hold values of the records.
		return false, errFailed()
	}
	return out == types.True, nil
}

func errFailed() error {
	return fault.New(fault.Denied, "check.failed", "the check cannot be computed over these records; ask the provider, or agree a check that allows for what is missing")
}

// TooMany refuses a subject with more records than a check looks at.
func TooMany() error {
	return fault.New(fault.Denied, "check.records", "the subject has more than %d active records of this topic, or they are larger than %d bytes; a check looks at no more", MaxRecords, MaxBytes)
}

// keep copies the fields that the check may read, as they stand on the wire.
func (c *Check) keep(payload []byte) []byte {
	kept := make([]byte, 0, min(len(payload), 512))
	for len(payload) > 0 {
		number, _, n := protowire.ConsumeField(payload)
		if n < 0 {
			return []byte{0xff} // decodes to nothing
		}
		for _, field := range c.fields {
			if field == uint32(number) {
				kept = append(kept, payload[:n]...)
			}
		}
		payload = payload[n:]
	}
	return kept
}
