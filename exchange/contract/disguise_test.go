package contract

import "testing"

func TestHoldsResidentID(t *testing.T) {
	for text, want := range map[string]bool{
		"999999199001010016":      true,
		"99999919491231002X":      CheckResidentID("99999919491231002X") == nil,
		"id999999199001010016":    true,
		"999999-19900101-0016":    true,
		"999999.1990.01.01.0016.": true,
		"当事人９９９９９９１９９００１０１００１６已注销":            true,
		"SUBSIDY-999999199001010016-A":        true,
		"999999199001010017":                  false, // another check digit
		"1999999199001010016":                 false, // 19 digits
		"11330100002489559000001990010100016": false,
		"SUBSIDY-01":                          false,
		"11999900MB0000019D2000000000000":     false,
		"":                                    false,
	} {
		if HoldsResidentID(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
	x := "11010519491231002" + string(ResidentCheckDigit("11010519491231002"))
	for _, text := range []string{x, "no " + x[:17] + "x, please"} {
		if !HoldsResidentID(text) {
			t.Errorf("%q is not seen", text)
		}
	}
}

// TestOneSubjectOneSpelling: what does not show in a number is refused, for it
// would make two subjects of one.
func TestOneSubjectOneSpelling(t *testing.T) {
	for _, c := range []struct{ kind, number, want string }{
		{"111", "９９９９９９１９９００１０１００１６", "999999199001010016"},
		{"111", " 999999199001010016\n", "999999199001010016"},
		{"414", "Ｅ１２３４５６７８", "E12345678"},
		{"414", "e12345678", "E12345678"},
		{"414", "E1234\u200b5678", ""},
		{"414", "\ufeffE12345678", ""},
		{"414", "E1234\x005678", ""},
		{"414", "\u202eE12345678", ""},
		{"111", "9999991990010100\u200b16", ""},
		{"999", "Å1", "Å1"},
		{"999", "A\u030a1", "Å1"},
	} {
		got, err := Normalise(c.kind, c.number)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s %q became %q, %v", c.kind, c.number, got, err)
		}
	}
}
