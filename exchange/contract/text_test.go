package contract

import "testing"

func TestTextsThatPeopleCannotSee(t *testing.T) {
	for _, c := range []struct {
		text        string
		line, lines bool
	}{
		{"示范市民政局 No. 5", true, true}, {"", true, true}, {"一\n二", false, true}, {"一\t二", false, true},
		{"一\r\n二", false, false}, {"\x00", false, false}, {"\x1b[2J", false, false}, {"\x7f", false, false}, {"\u0085", false, false},
		{"\u2028", false, false}, {"甲\u202e乙", false, false}, {"\u2066", false, false}, {"\xff", false, false},
	} {
		if OneLine(c.text) != c.line || Lines(c.text) != c.lines {
			t.Errorf("%q: %v %v", c.text, OneLine(c.text), Lines(c.text))
		}
	}
}
