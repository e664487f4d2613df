package cli

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/huitong-bus/huitong/exchange/fault"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// template is what all publications of a run have in common.
type template struct {
	topic     string
	operation sdk.Operation
	key       string
	reason    string
	successor string
	effective string
	contract  uint32
	documents []*sdk.Document
}

// change is a line of a file for every operation but put.
type change struct {
	Key         string `json:"key"`
	Reason      string `json:"reason"`
	Successor   string `json:"successor"`
	EffectiveAt string `json:"effective_at"`
}

func (t *template) publication() (sdk.Publication, error) {
	p := sdk.Publication{
		Topic: t.topic, Operation: t.operation, Key: t.key, Reason: t.reason, Successor: t.successor, ContractVersion: t.contract,
		Documents: t.documents,
	}
	var err error
	if t.effective != "" {
		p.EffectiveAt, err = parseTime(t.effective)
	}
	return p, err
}

// of makes the publication of a line. An error is a refusal of this line alone.
func (t *template) of(l *line) (sdk.Publication, error) {
	switch {
	case l.long:
		return sdk.Publication{}, fault.New(fault.TooLarge, "line.size", "the line is longer than %d bytes", maxLine)
	case !utf8.Valid(l.raw):
		return sdk.Publication{}, fault.New(fault.Invalid, "line.utf8", "the line is not UTF-8")
	case !json.Valid(l.raw):
		return sdk.Publication{}, fault.New(fault.Invalid, "line.json", "the line is not JSON; each line holds one record")
	}
	p, err := t.publication()
	if err != nil {
		return p, err
	}
	if t.operation == sdk.Put {
		p.JSON = l.raw
		return p, nil
	}
	var c change
	d := json.NewDecoder(strings.NewReader(string(l.raw)))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return p, fault.New(fault.Invalid, "line.change", `the line is not {"key": …, "reason": …, "successor": …, "effective_at": …}`)
	}
	p.Key, p.Reason, p.Successor = c.Key, orElse(c.Reason, p.Reason), orElse(c.Successor, p.Successor)
	if c.EffectiveAt != "" {
		if p.EffectiveAt, err = parseTime(c.EffectiveAt); err != nil {
			return p, fault.Field("effective_at", "line.time", "is neither a time (RFC 3339) nor a day (YYYY-MM-DD)")
		}
	}
	return p, nil
}

// shanghai is where calendar days are days.
var shanghai = time.FixedZone("Asia/Shanghai", 8*60*60)

// parseTime reads a time (RFC 3339), or the beginning of a day in Asia/Shanghai.
func parseTime(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, shanghai); err == nil {
		return t, nil
	}
	return time.Time{}, usageError("%q is neither a time such as 2026-03-01T09:00:00+08:00 nor a day such as 2026-03-01", text)
}

func parseOperation(text string) (sdk.Operation, error) {
	op, err := enumValue[ledgerv1.Operation]("--operation", text)
	if err == nil && op == 0 {
		op = sdk.Put
	}
	return op, err
}
