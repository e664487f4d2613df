package fault

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
)

func TestEveryKindCrossesTheWire(t *testing.T) {
	for _, k := range Kinds() {
		sent := Wrap(k, "some.rule", errors.New("engine text"), "do this next").
			With(Violation{"members[0].id_number", "identifier.resident_id", "check digit is wrong"})
		s := Status(sent)
		if s.Code() == codes.OK || s.Code() == codes.Unknown {
			t.Errorf("%v has code %v", k, s.Code())
		}
		if strings.Contains(s.String(), "engine text") {
			t.Errorf("%v carries its cause over the wire", k)
		}
		got := FromStatus(s.Err())
		if !errors.Is(got, &Error{Kind: k, Rule: "some.rule"}) {
			t.Errorf("%v came back as %v", k, got)
		}
		var e *Error
		if !errors.As(got, &e) || len(e.Violations) != 1 || e.Violations[0] != sent.Violations[0] {
			t.Errorf("%v lost its violations: %+v", k, got)
		}
		if ParseKind(k.String()) != k {
			t.Errorf("%v does not parse back", k)
		}
	}
}

func TestUnknownErrorsLoseTheirText(t *testing.T) {
	if s := Status(errors.New("pq: secret")); strings.Contains(s.Message(), "secret") || s.Code() != codes.Internal {
		t.Errorf("got %v", s)
	}
	if s := Status(context.Canceled); s.Code() != codes.Canceled {
		t.Errorf("got %v", s)
	}
}
