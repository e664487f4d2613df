package cli

import (
	"io"
	"regexp"
	"testing"

	"github.com/huitong-bus/huitong/exchange/fault"
)

func TestNextOfRefusals(t *testing.T) {
	for _, c := range []struct {
		kind       fault.Kind
		rule, want string
	}{
		{fault.Denied, "topic.owner", "huitong topic show"},
		{fault.Denied, "topic.secret", ""}, // its message says all
		{fault.Denied, "dispute.reliance", "huitong dispute list"},
		{fault.Invalid, "grant.self", "huitong system list"},
		{fault.Invalid, "grant.period", "--valid-until"},
		{fault.Invalid, "period", "--until"},
		{fault.NotFound, "item.unknown", "huitong item list"},
		{fault.NotFound, "subscription.deleted", "huitong subscription list"},
		{fault.NotFound, "case.unknown", "huitong case open"},
		{fault.Conflict, "grant.state", "huitong grant show"},
		{fault.Invalid, "name.text", ""},
	} {
		got := nextOf(fault.New(c.kind, c.rule, "no"))
		if found := regexp.MustCompile(regexp.QuoteMeta(c.want)).MatchString(got); !found || (c.want == "") != (got == "") {
			t.Errorf("%v %s: %q, without %q", c.kind, c.rule, got, c.want)
		}
	}
}

// TestNextNamesCommandsThatAre: whatever is advised can be typed.
func TestNextNamesCommandsThatAre(t *testing.T) {
	root := (&app{out: io.Discard}).root()
	advice := map[string]string{}
	for rule, text := range nextOfRule {
		advice[rule] = text
	}
	for kind, text := range nextOfKind {
		advice[kind.String()] = text
	}
	for kind, about := range nextAbout {
		for rule, text := range about {
			advice[kind.String()+" "+rule] = text
		}
	}
	command := regexp.MustCompile(`huitong ([a-z-]+)(?: ([a-z-]+))?(?: ([a-z-]+))?`)
	for rule, text := range advice {
		for _, m := range command.FindAllStringSubmatch(text, -1) {
			at, rest, err := root.Find(m[1:])
			if err != nil || at == root || at.HasSubCommands() {
				t.Errorf("%s: %q names no command (%v %v)", rule, text, rest, err)
			}
		}
	}
}
