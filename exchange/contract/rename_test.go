package contract

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/fault"
)

func TestNamesInRulesAreSetApart(t *testing.T) {
	r := renamer{packages: []string{"test.v1", "other"}}
	for text, want := range map[string]string{
		"this.a == 1":                       "this.a == 1",
		"this.e == test.v1.E.ONE":           "this.e == huitong_registered.test.v1.E.ONE",
		"this.e == .test.v1.E.ONE":          "this.e == .huitong_registered.test.v1.E.ONE",
		".test.v1.E.ONE == this.e":          ".huitong_registered.test.v1.E.ONE == this.e",
		"this.test.v1.E":                    "this.test.v1.E",
		"f(this).test.v1":                   "f(this).test.v1",
		"latest.v1.E + test.v10":            "latest.v1.E + test.v10",
		`this.a == 'test.v1.E' + "other.x"`: `this.a == 'test.v1.E' + "other.x"`,
		`'it\'s test.v1.E' + other.X`:       `'it\'s test.v1.E' + huitong_registered.other.X`,
		`"""a " test.v1.E""" + other.X{}`:   `"""a " test.v1.E""" + huitong_registered.other.X{}`,
		"'不完 test.v1.E":                     "'不完 test.v1.E",
		"[test.v1.E.ONE, other.F.TWO]":      "[huitong_registered.test.v1.E.ONE, huitong_registered.other.F.TWO]",
		"名 test.v1.E":                       "名 huitong_registered.test.v1.E",
	} {
		if got := r.expression(text); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestRulesMayNameTypes(t *testing.T) {
	c := compiled(t, about(usual, fields+`enum E { E_UNSPECIFIED = 0; E_ONE = 1; } E e = 3 [ITEM];
		message In { string a = 1; } In inner = 4 [ITEM];
		option (buf.validate.message).cel = {id: "one" message: "m" expression: "this.e == test.v1.R.E.E_ONE"};
		option (buf.validate.message).cel_expression = "this.inner == test.v1.R.In{a: 'x'}";`), 1)
	for text, rule := range map[string]string{
		`"e":"E_ONE","inner":{"a":"x"}`: "",
		`"inner":{"a":"x"}`:             "one",
		`"e":"E_ONE","inner":{"a":"y"}`: "this.inner == test.v1.R.In{a: 'x'}",
	} {
		payload, err := c.FromJSON([]byte(`{"id":"1","who":"` + wang + `",` + text + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(payload); fault.RuleOf(err) != rule {
			t.Errorf("%s: %v", text, err)
		}
	}
}
