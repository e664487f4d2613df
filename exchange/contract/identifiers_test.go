package contract

import (
	"strings"
	"testing"

	"github.com/huitong-bus/huitong/exchange/fault"
)

func TestIdentifiersThatAreRight(t *testing.T) {
	for _, c := range []struct {
		check  func(string) error
		values []string
	}{
		{CheckResidentID, []string{
			"11010519491231002X", "440524188001010014", // GB 11643-1999, annex
			"999999199001010016", "999999198506150028", "999999195003010038", "999999201010200049", "999999197202290019",
			"110105491231002", "110105991231996",
		}},
		{CheckCreditCode, []string{
			"91350100M000100Y43", "91110000600037341L", "12441500196720244T",
			"11999900MB0000019D", "11999900MB00000278", "11999900MB00000353", "11999900MB0000043X", "11999900MB0000051Q", "91999900MA0000015N",
		}},
		{CheckCertificateID, []string{
			"1.2.156.3005.2.11100000000013338W009.11330105002500287C.2025052201.002.0",
			"1.2.156.3005.2.11100000000013338W032.11220000013544541J.2430599.001.F",
			"1.2.156.3005.2.11999900MB0000019D001.11999900MB00000278.2025000001.001.Q",
		}},
		{CheckRegion, []string{"110000", "110105", "440500", "999999", "100000"}},
		{CheckDate, []string{"2024-02-29", "2000-02-29", "1999-12-31", "0001-01-01", "9999-12-31"}},
	} {
		for _, v := range c.values {
			if err := c.check(v); err != nil {
				t.Errorf("%s: %v", v, err)
			}
		}
	}
}

func TestIdentifiersThatAreWrong(t *testing.T) {
	for _, c := range []struct {
		check  func(string) error
		want   error
		values []string
	}{
		{CheckResidentID, errResidentCheck, []string{"110105194912310020", "11010519491231003X", "440524188001010013"}},
		{CheckResidentID, errResidentBirth, []string{"110105194913310025", "999999199002300014", "999999190002290018", "110105170012310021", "110105491331002"}},
		{CheckResidentID, errResidentDigits, []string{"11010519491231002x", "1101051949123100 X", "A10105194912310020", "11010549123100X"}},
		{CheckResidentID, errResidentLength, []string{"", "1", "11010519491231002", "11010519491231002XX", "1101054912310021"}},
		{CheckCreditCode, errCreditCheck, []string{"91350100M000100Y44", "91110000600037314L"}},
		{CheckCreditCode, errCreditLetter, []string{"9135O100M000100Y43", "91350100M000100Y4I", "91350100m000100y43"}},
		{CheckCreditCode, errCreditLength, []string{"", "91350100M000100Y4", "91350100M000100Y433"}},
		{CheckCertificateID, errCertificateCheck, []string{
			"1.2.156.3005.2.11100000000013338W009.11330105002500287C.2025052201.002.1",
			"1.2.156.3005.2.11100000000013338W009.11330105002500287C.2025052202.002.0",
		}},
		{CheckCertificateID, errCertificateForm, []string{
			"", "1.2.156.3005.2.", "1.2.156.3005.3.11100000000013338W009.11330105002500287C.2025052201.002.0",
			"1.2.156.3005.2.11100000000013338W009.11330105002500287C.2025052201.02.0",
			"1.2.156.3005.2.11100000000013338W009.11330105002500287C..002.0",
			"1.2.156.3005.2.11100000000013338W009.11330105002500287C.20250522-1.002.0",
			"1.2.156.3005.2.11100000000013338W009.11330105002500287C.2025052201.002.0.0",
		}},
		{CheckRegion, errRegion, []string{"", "11010", "1101050", "010000", "110005", "11010A", "000000"}},
		{CheckDate, errDate, []string{"", "2023-02-29", "2023-13-01", "2023-00-10", "2023-1-01", "2023/01/01", "2023-04-31", "0000-01-01", "1900-02-29", "2023-01-01T", "２023-01-01"}},
	} {
		for _, v := range c.values {
			if err := c.check(v); err != c.want {
				t.Errorf("%s: %v, want %v", v, err, c.want)
			}
		}
	}
}

func TestCheckDigitsAreMade(t *testing.T) {
	if got := ResidentCheckDigit("11010519491231002"); got != 'X' {
		t.Errorf("got %c", got)
	}
	if got := CreditCheckCharacter("91350100M000100Y4"); got != '3' {
		t.Errorf("got %c", got)
	}
	want := "1.2.156.3005.2.11999900MB0000019D001.11999900MB00000278.2025000001.001.Q"
	if got := CertificateID("11999900MB0000019D001", "11999900MB00000278", "2025000001", "001"); got != want {
		t.Errorf("got %s", got)
	}
}

func TestOneSpellingOfASubject(t *testing.T) {
	for _, c := range []struct{ kind, number, want string }{
		{"111", "11010519491231002X", "11010519491231002X"},
		{"111", " 11010519491231002x ", "11010519491231002X"},
		{"111", "１１０１０５１９４９１２３１００２Ｘ", "11010519491231002X"},
		{"111", "110105491231002", "11010519491231002X"},
		{"111", "110105991231996", "110105189912319968"}, // sequence 996: born before 1900
		{"001", "91350100m000100y43", "91350100M000100Y43"},
		{"414", "\u3000e12345678", "E12345678"},
		{"999", "弃婴ー２０２５ー１", "弃婴ー2025ー1"},
	} {
		got, err := Normalise(c.kind, c.number)
		if err != nil || got != c.want {
			t.Errorf("%s %q: %q, %v; want %q", c.kind, c.number, got, err, c.want)
		}
	}
	for _, c := range []struct{ kind, number, rule string }{
		{"111", "110105194912310020", "identifier.resident_id"},
		{"001", "91350100M000100Y44", "identifier.credit_code"},
		{"112", "1", "subject.type"}, {"", "1", "subject.type"},
		{"414", "  ", "subject.number"}, {"999", strings.Repeat("x", 129), "subject.number"}, {"999", strings.Repeat("x", 1<<20), "subject.number"},
	} {
		_, err := Normalise(c.kind, c.number)
		if fault.KindOf(err) != fault.Invalid || fault.RuleOf(err) != c.rule {
			t.Errorf("%s: %v, want rule %s", c.kind, err, c.rule)
		}
		if number := strings.TrimSpace(c.number); len(number) > 1 && strings.Contains(err.Error(), number) {
			t.Errorf("%v tells the number", err)
		}
	}
}

func TestNormaliseCostsNothingForMostNumbers(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { _, _ = Normalise("111", "11010519491231002X") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzResidentID(f *testing.F) {
	f.Add("11010519491231002X")
	f.Add("110105491231002")
	f.Fuzz(func(t *testing.T, s string) {
		if CheckResidentID(s) != nil {
			return
		}
		long, err := Normalise(TypeResidentID, s)
		if err != nil || len(long) != 18 || CheckResidentID(long) != nil {
			t.Errorf("%q is right and becomes %q, %v", s, long, err)
		}
	})
}

func FuzzCreditCode(f *testing.F) {
	f.Add("91350100M000100Y43")
	f.Fuzz(func(t *testing.T, s string) {
		if CheckCreditCode(s) == nil && CreditCheckCharacter(s[:17]) != s[17] {
			t.Errorf("%q", s)
		}
	})
}

func FuzzCertificateID(f *testing.F) {
	f.Add("1.2.156.3005.2.11999900MB0000019D001.11999900MB00000278.2025000001.001.Q")
	f.Fuzz(func(t *testing.T, s string) {
		if CheckCertificateID(s) != nil {
			return
		}
		p := strings.Split(strings.TrimPrefix(s, certificateRoot), ".")
		if CertificateID(p[0], p[1], p[2], p[3]) != s {
			t.Errorf("%q", s)
		}
	})
}

func FuzzRegionAndDate(f *testing.F) {
	f.Add("110105")
	f.Add("2024-02-29")
	f.Fuzz(func(_ *testing.T, s string) {
		_ = CheckRegion(s)
		_ = CheckDate(s)
	})
}

func FuzzNormalise(f *testing.F) {
	f.Add("111", " 11010519491231002x ")
	f.Add("999", "ﬃ ŉ ß ﷺ")
	f.Fuzz(func(t *testing.T, kind, number string) {
		once, err := Normalise(kind, number)
		if err != nil {
			return
		}
		twice, err := Normalise(kind, once)
		if err != nil || twice != once {
			t.Errorf("%q becomes %q becomes %q, %v", number, once, twice, err)
		}
	})
}
