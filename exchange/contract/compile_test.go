package contract

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// header begins a .proto file of the tests.
const header = `syntax = "proto3";
package test.v1;
import "buf/validate/validate.proto";
import "huitong/contract/v1/options.proto";
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
`

// about makes a contract message of options and fields.
func about(options, fields string) string {
	return header + "message R {\n  option (huitong.contract.v1.record) = {" + options + "};\n" + fields + "\n}\n"
}

// usual are options and fields that are right.
const (
	usual  = `title: "t" key: "id" subjects: {number: "who" type: "111" role: "holder"}`
	fields = `string id = 1 [ITEM]; string who = 2 [ITEM];`
)

func TestWhatIsNoContractIsNamedByField(t *testing.T) {
	deep := "message M0 { string s = 1; }\n"
	for i := 1; i < 20; i++ {
		deep += fmt.Sprintf("message M%d { M%d m = 1; }\n", i, i-1)
	}
	for _, c := range []struct{ name, text, field, rule string }{
		{"no option", header + "message R { string id = 1 [ITEM]; }", "test.v1.R", "option.record"},
		{"no title", about(`key: "id" subjects: {number: "who" type: "111" role: "h"}`, fields), "test.v1.R", "option.title"},
		{"no key", about(`title: "t" subjects: {number: "who" type: "111" role: "h"}`, fields), "test.v1.R", "option.key"},
		{"unknown key", about(strings.Replace(usual, `"id"`, `"idd"`, 1), fields), "idd", "option.key"},
		{"key is a number", about(usual, `int32 id = 1 [ITEM]; string who = 2 [ITEM];`), "id", "option.key"},
		{"key is repeated", about(usual, `repeated string id = 1 [ITEM]; string who = 2 [ITEM];`), "id", "option.key"},
		{"key in a repeated message", about(strings.Replace(usual, `"id"`, `"in.id"`, 1), fields+"message In { string id = 1; } repeated In in = 3 [ITEM];"), "in.id", "option.key"},
		{"key through a scalar", about(strings.Replace(usual, `"id"`, `"who.id"`, 1), fields), "who.id", "option.key"},
		{"key in a map", about(strings.Replace(usual, `"id"`, `"m.key"`, 1), fields+"map<string, string> m = 3 [ITEM];"), "m.key", "option.key"},
		{"no subjects", about(`title: "t" key: "id"`, fields), "test.v1.R", "option.subjects"},
		{"nobody and somebody", about(usual+" about_nobody: true", fields), "test.v1.R", "option.subjects"},
		{"unknown subject", about(`title: "t" key: "id" subjects: {number: "whom" type: "111" role: "h"}`, fields), "whom", "option.subject.number"},
		{"no type", about(`title: "t" key: "id" subjects: {number: "who" role: "h"}`, fields), "who", "option.subject.type"},
		{"two types", about(`title: "t" key: "id" subjects: {number: "who" type: "111" type_path: "id" role: "h"}`, fields), "who", "option.subject.type"},
		{"unknown type", about(`title: "t" key: "id" subjects: {number: "who" type: "112" role: "h"}`, fields), "who", "option.subject.type"},
		{"type is a number", about(`title: "t" key: "id" subjects: {number: "who" type_path: "n" role: "h"}`, fields+"int32 n = 3 [ITEM];"), "n", "option.subject.type"},
		{"type of which element", about(`title: "t" key: "id" subjects: {number: "a.n" type_path: "b.t" role: "h"}`,
			fields+"message A { string n = 1; string t = 2; } repeated A a = 3 [ITEM]; repeated A b = 4 [ITEM];"), "b.t", "option.subject.type"},
		{"no role", about(`title: "t" key: "id" subjects: {number: "who" type: "111"}`, fields), "who", "option.subject.role"},
		{"unknown name", about(`title: "t" key: "id" subjects: {number: "who" type: "111" role: "r" name_path: "n"}`, fields), "n", "option.subject.name"},
		{"unknown role", about(`title: "t" key: "id" subjects: {number: "who" type: "111" role_path: "r"}`, fields), "r", "option.subject.role"},
		{"validity is a number", about(usual+` valid_until: "n"`, fields+"int32 n = 3 [ITEM];"), "n", "option.valid_until"},
		{"unknown validity", about(usual+` valid_from: "n"`, fields), "n", "option.valid_from"},
		{"unknown warning", about(usual+` warnings: "no.such"`, fields), "test.v1.R", "option.warnings"},
		{"bound as a warning", about(usual+` warnings: "string.max_len"`, fields), "test.v1.R", "option.warnings"},
		{"form as a warning", about(usual+` warnings: "unknown_field"`, fields), "test.v1.R", "option.warnings"},
		{"item without a title", about(usual, fields+"string x = 3;"), "x", "item.title"},
		{"item without sensitivity", about(usual, fields+`string x = 3 [(huitong.contract.v1.item).title = "x"];`), "x", "item.sensitivity"},
		{"identifier of a number", about(usual, fields+`int64 x = 3 [(huitong.contract.v1.item) = {title: "x" sensitivity: 1 identifier: IDENTIFIER_REGION}];`), "x", "item.identifier"},
		{"two kinds", about(usual, fields+`string x = 3 [(huitong.contract.v1.item) = {title: "x" sensitivity: 1 identifier: IDENTIFIER_REGION date: true}];`), "x", "item.identifier"},
		{"identifier type elsewhere", about(usual, fields+`string x = 3 [(huitong.contract.v1.item) = {title: "x" sensitivity: 1 identifier_type: "y"}];`), "x", "item.identifier_type"},
		{"rule that does not parse", about(usual, fields+`string x = 3 [ITEM, (buf.validate.field).cel = {id: "a" expression: "this =="}];`), "x", "rule.compile"},
		{"rule of the wrong type", about(usual, fields+`string x = 3 [ITEM, (buf.validate.field).cel = {id: "a" expression: "this + 1 > 2"}];`), "x", "rule.compile"},
		{"rule that gives a number", about(usual, fields+`string x = 3 [ITEM, (buf.validate.field).cel = {id: "a" expression: "size(this)"}];`), "x", "rule.compile"},
		{"rule without an id", about(usual, fields+`string x = 3 [ITEM, (buf.validate.field).cel = {expression: "this != ''"}];`), "x", "rule.id"},
		{"rule that takes the exchange's id", about(usual, fields+`string x = 3 [ITEM, (buf.validate.field).cel = {id: "unknown_field" expression: "this != ''"}];`), "x", "rule.id"},
		{"rule that takes the exchange's id where names are set apart", about(usual+` warnings: "malformed"`, fields+`string x = 3 [ITEM, (buf.validate.field).cel = {id: "mal`+apart+`formed" expression: "this != ''"}];`), "x", "rule.id"},
		{"message rule", about(usual, fields+`option (buf.validate.message).cel = {id: "a" expression: "this.nothing"};`), "test.v1.R", "rule.compile"},
		{"inner rule", about(usual, fields+`message In { string y = 1 [(buf.validate.field).cel = {id: "a" expression: "this.z"}]; } repeated In x = 3 [ITEM];`), "x.y", "rule.compile"},
		{"rule for another kind", about(usual, fields+`string x = 3 [ITEM, (buf.validate.field).int32.gt = 1];`), "x", "rule.compile"},
		{"pattern that does not parse", about(usual, fields+`string x = 3 [ITEM, (buf.validate.field).string.pattern = "(("];`), "x", "rule.compile"},
		{"quadratic rule", about(usual, fields+`repeated string x = 3 [ITEM, (buf.validate.field).cel = {id: "a" expression: "this.all(a, this.all(b, a != b))"}];`), "x", "rule.cost"},
		{"growing text", about(usual, fields+`string x = 3 [ITEM, (buf.validate.field).cel = {id: "a" expression: "this.replace('', this).replace('', this) != ''"}];`), "x", "rule.cost"},
		{"large pattern", about(usual, fields+`string x = 3 [ITEM, (buf.validate.field).string.pattern = "^.{1,1000}$"];`), "x", "rule.cost"},
		{"large pattern in a rule", about(usual, fields+`string x = 3 [ITEM, (buf.validate.field).cel = {id: "a" expression: "this.matches('^.{1,1000}$')"}];`), "x", "rule.cost"},
		{"pattern from the record", about(usual, fields+`option (buf.validate.message).cel = {id: "a" expression: "this.id.matches(this.who)"};`), "test.v1.R", "rule.cost"},
		{"long rule", about(usual, fields+`string x = 3 [ITEM, (buf.validate.field).cel = {id: "a" expression: "this != '`+strings.Repeat("x", 1024)+`'"}];`), "x", "rule.cost"},
		{"recursive message", about(usual, fields+"message In { In in = 1; } In x = 3 [ITEM];"), "x.in", "message.recursive"},
		{"any JSON", about(usual, fields+"google.protobuf.Struct x = 3 [ITEM];"), "x.fields.value.struct_value", "message.recursive"},
		{"any message", about(usual, fields+"google.protobuf.Any x = 3 [ITEM];"), "x", "message.any"},
		{"deep message", about(usual, fields+"M19 x = 3 [ITEM];") + deep, "", "message.size"},
		{"proto2 group", strings.Replace(about(usual, `optional string id = 1 [ITEM]; optional string who = 2 [ITEM]; optional group G = 3 [ITEM] { optional string s = 1; }`), "proto3", "proto2", 1), "g", "field.group"},
		{"required field", strings.Replace(about(usual, `required string id = 1 [ITEM]; optional string who = 2 [ITEM];`), "proto3", "proto2", 1), "id", "field.required"},
		{"default value", strings.Replace(about(usual, `optional string id = 1 [ITEM]; optional string who = 2 [ITEM, default = "x"];`), "proto3", "proto2", 1), "who", "field.default"},
		{"extensions", strings.Replace(about(usual, `optional string id = 1 [ITEM]; optional string who = 2 [ITEM]; extensions 100 to 200;`), "proto3", "proto2", 1), "test.v1.R", "message.extensions"},
		{"closed enum", strings.Replace(about(usual, `optional string id = 1 [ITEM]; optional string who = 2 [ITEM]; enum E { A = 0; } optional E e = 3 [ITEM];`), "proto3", "proto2", 1), "e", "enum.closed"},
		{"proto2", strings.Replace(about(usual, `optional string id = 1 [ITEM]; optional string who = 2 [ITEM];`), "proto3", "proto2", 1), "test.v1.R", "file.json"},
		{"legacy JSON", `edition = "2023";` + strings.TrimPrefix(about(usual, fields+`enum E { option features.json_format = LEGACY_BEST_EFFORT; A = 0; } E x = 3 [ITEM];`), `syntax = "proto3";`), "x", "file.json"},
		{"delimited field", `edition = "2023";` + strings.TrimPrefix(about(usual, fields+`message In { string s = 1; } In x = 3 [features.message_encoding = DELIMITED, ITEM];`), `syntax = "proto3";`), "x", "field.group"},
	} {
		contract, findings := Compile(setOf(t, c.text), "test.v1.R", 1)
		if contract != nil {
			t.Errorf("%s: compiles", c.name)
			continue
		}
		found := false
		for _, f := range findings {
			found = found || f.Rule == c.rule && (c.field == "" || f.Field == c.field)
			if f.AgainstVersion != 0 || f.Message == "" {
				t.Errorf("%s: %+v", c.name, f)
			}
		}
		if !found {
			t.Errorf("%s: %+v, want %s on %s", c.name, findings, c.rule, c.field)
		}
	}
}

func TestWhatIsWrongWithASet(t *testing.T) {
	good := setOf(t, about(usual, fields))
	broken := proto.CloneOf(good)
	last := broken.File[len(broken.File)-1]
	last.MessageType[0].Field[0].TypeName = proto.String(".test.v1.Nothing")
	last.MessageType[0].Field[0].Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
	option := proto.CloneOf(good)
	last = option.File[len(option.File)-1]
	last.MessageType[0].Options.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 71801, protowire.BytesType), []byte{0xff}))
	own := func(set *descriptorpb.FileDescriptorSet) *descriptorpb.FileDescriptorProto {
		return set.File[len(set.File)-1]
	}
	twice, missing, circle, claims := proto.CloneOf(good), proto.CloneOf(good), proto.CloneOf(good), proto.CloneOf(good)
	twice.File = append(twice.File, own(twice))
	own(missing).Dependency = append(own(missing).Dependency, "nothing.proto")
	own(circle).Dependency = append(own(circle).Dependency, own(circle).GetName())
	own(claims).Package = new("google.protobuf")
	own(claims).MessageType[0].Name = new("Timestamp")
	large := proto.CloneOf(good)
	large.File[len(large.File)-1].MessageType = append(large.File[len(large.File)-1].MessageType,
		&descriptorpb.DescriptorProto{Name: proto.String(strings.Repeat("x", MaxDescriptorSet))})
	many := &descriptorpb.FileDescriptorSet{}
	for i := range maxFiles + 1 {
		many.File = append(many.File, &descriptorpb.FileDescriptorProto{Name: proto.String(fmt.Sprint(i))})
	}
	for _, c := range []struct {
		name string
		set  *descriptorpb.FileDescriptorSet
		of   string
		rule string
	}{
		{"nil", nil, "test.v1.R", "set.empty"},
		{"no files", &descriptorpb.FileDescriptorSet{}, "test.v1.R", "set.empty"},
		{"nil file", &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{nil}}, "test.v1.R", "set.broken"},
		{"no such message", good, "test.v1.S", "message.missing"},
		{"a field's name", good, "test.v1.R.id", "message.missing"},
		{"no name", good, "", "message.missing"},
		{"missing type", broken, "test.v1.R", "set.broken"},
		{"a file twice", twice, "test.v1.R", "set.broken"},
		{"an import that is not there", missing, "test.v1.R", "set.broken"},
		{"a file that imports itself", circle, "test.v1.R", "set.broken"},
		{"another's package", claims, "google.protobuf.Timestamp", "set.package"},
		{"broken option", option, "test.v1.R", "option.broken"},
		{"too large", large, "test.v1.R", "set.size"},
		{"too many files", many, "test.v1.R", "set.size"},
	} {
		contract, findings := Compile(c.set, c.of, 1)
		if contract != nil || len(findings) == 0 || findings[0].Rule != c.rule {
			t.Errorf("%s: %+v, want %s", c.name, findings, c.rule)
		}
	}
}

// TestKnownFilesAreThisPrograms: a set cannot give options another meaning.
func TestKnownFilesAreThisPrograms(t *testing.T) {
	set := setOf(t, about(usual, fields))
	for _, f := range set.File {
		if f.GetName() == "huitong/contract/v1/options.proto" {
			f.MessageType[0].Field[0].Name = new("other")
		}
	}
	a, findings := Compile(set, "test.v1.R", 1)
	if a == nil || string(a.DescriptorSet()) != string(compiled(t, about(usual, fields), 1).DescriptorSet()) {
		t.Errorf("%+v", findings)
	}
}

// TestKnownImportsMayBeLeftOut compiles what protoc writes without
// --include_imports.
func TestKnownImportsMayBeLeftOut(t *testing.T) {
	file := compileProto(t, "test.proto", about(usual, fields))
	alone := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{protodesc.ToFileDescriptorProto(file)}}
	a, findings := Compile(alone, "test.v1.R", 1)
	b, _ := Compile(setFrom(file), "test.v1.R", 1)
	if a == nil || string(a.DescriptorSet()) != string(b.DescriptorSet()) {
		t.Errorf("%+v", findings)
	}
}

// TestStandardContractsCanGrow registers a next version of a contract that this
// program links: its rules see the new field, not the linked message.
func TestStandardContractsCanGrow(t *testing.T) {
	c := contractOf(t, certificate())
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(c.DescriptorSet(), set); err != nil {
		t.Fatal(err)
	}
	for _, f := range set.File {
		if f.GetName() != "huitong/records/v1/certificate.proto" {
			continue
		}
		donor := setOf(t, about(usual, fields+`string grade = 19 [ITEM, (buf.validate.field).cel = {id: "grade" message: "A to D" expression: "this in ['', 'A', 'B', 'C', 'D']"}];`+
			` option (buf.validate.message).cel = {id: "grade.name" message: "no" expression: "this.grade != 'D'"};`))
		from := donor.File[len(donor.File)-1].MessageType[0]
		to := f.MessageType[0]
		to.Field = append(to.Field, from.Field[2])
		raw, _ := proto.Marshal(from.Options)
		for len(raw) > 0 {
			number, _, n := protowire.ConsumeField(raw)
			if number == 1159 {
				to.Options.ProtoReflect().SetUnknown(raw[:n])
			}
			raw = raw[n:]
		}
	}
	next, findings := Compile(set, c.Name(), 2)
	if next == nil {
		t.Fatalf("%+v", findings)
	}
	grade := func(g string) []byte {
		return append(marshal(t, certificate()), protowire.AppendString(protowire.AppendTag(nil, 19, protowire.BytesType), g)...)
	}
	if _, err := next.Read(grade("A")); err != nil {
		t.Error(err)
	}
	if _, err := next.Read(grade("E")); fault.RuleOf(err) != "grade" {
		t.Errorf("got %v", err)
	}
	if _, err := next.Read(grade("D")); fault.RuleOf(err) != "grade.name" {
		t.Errorf("got %v", err)
	}
	if _, err := c.Read(grade("A")); fault.RuleOf(err) != "unknown_field" {
		t.Errorf("got %v", err)
	}
}

// TestTimestampsAndDurationsWork reads a contract with messages of
// google.protobuf and a CEL rule over them.
func TestTimestampsAndDurationsWork(t *testing.T) {
	c := compiled(t, about(usual, fields+`google.protobuf.Timestamp from = 3 [ITEM, (buf.validate.field).timestamp.lt_now = true]; google.protobuf.Timestamp to = 4 [ITEM];
		option (buf.validate.message).cel = {id: "order" message: "order" expression: "!has(this.to) || this.from <= this.to"};`), 1)
	for text, rule := range map[string]string{
		`{"id":"1","who":"` + wang + `","from":"2020-01-01T00:00:00Z","to":"2020-01-02T00:00:00Z"}`: "",
		`{"id":"1","who":"` + wang + `","from":"2020-01-03T00:00:00Z","to":"2020-01-02T00:00:00Z"}`: "order",
		`{"id":"1","who":"` + wang + `","from":"9999-01-03T00:00:00Z"}`:                             "timestamp.lt_now",
	} {
		payload, err := c.FromJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(payload); fault.RuleOf(err) != rule {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestRulesOverInnerMessages checks that rules see through hyperpb what they
// see through generated messages: presence, lists, maps, oneofs, enums.
func TestRulesOverInnerMessages(t *testing.T) {
	c := compiled(t, about(usual, fields+`
		message In { string a = 1; repeated int32 n = 2 [(buf.validate.field).repeated.unique = true]; }
		In one = 3 [ITEM];
		repeated In many = 4 [ITEM];
		map<string, int32> m = 5 [ITEM, (buf.validate.field).map.values.int32.gt = 0];
		oneof pick { option (buf.validate.oneof).required = true; string p = 6 [ITEM]; int32 q = 7 [ITEM]; }
		optional string opt = 8 [ITEM];
		enum E { E_UNSPECIFIED = 0; E_ONE = 1; }
		E e = 9 [ITEM, (buf.validate.field).enum.defined_only = true];
		bytes b = 10 [ITEM, (buf.validate.field).bytes.max_len = 2];
		option (buf.validate.message).cel = {id: "has" message: "m" expression: "has(this.one) || !has(this.opt)"};
		option (buf.validate.message).cel = {id: "sum" message: "m" expression: "this.many.all(x, x.a != 'no')"};
		option (buf.validate.message).cel = {id: "value" expression: "this.p == 'secret' ? 'it says ' + this.p : ''"};
	`), 1)
	for text, want := range map[string]string{
		`"p":"x"`:                    "",
		`"q":1`:                      "",
		``:                           "pick required",
		`"p":"x","opt":"o"`:          " has",
		`"p":"x","opt":"o","one":{}`: "",
		`"p":"x","many":[{"a":"yes"},{"a":"no"}]`: " sum",
		`"p":"x","many":[{},{"n":[1,2,1]}]`:       "many[1].n repeated.unique",
		`"p":"x","m":{"k":0}`:                     "m[] int32.gt",
		`"p":"x","e":7`:                           "e enum.defined_only",
		`"p":"x","b":"AAAA"`:                      "b bytes.max_len",
		`"p":"secret"`:                            " value",
	} {
		payload, err := c.FromJSON([]byte(`{"id":"1","who":"` + wang + `"` + strings.TrimSuffix(","+text, ",") + `}`))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Read(payload)
		got := ""
		if f, ok := err.(*fault.Error); ok {
			got = f.Violations[0].Field + " " + f.Violations[0].Rule
			if strings.Contains(f.Error(), "secret") {
				t.Errorf("%v tells a value", f)
			}
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestMask(t *testing.T) {
	c := contractOf(t, certificate())
	got, err := c.Mask([]string{"valid_until", "identifier", "holder_name", "identifier"})
	if err != nil || fmt.Sprint(got) != "[1 11 14]" {
		t.Errorf("got %v, %v", got, err)
	}
	for _, name := range []string{"", "nothing", "holderName", "co_holders.number"} {
		if _, err := c.Mask([]string{name}); fault.RuleOf(err) != "field.unknown" {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestModes(t *testing.T) {
	v1 := compiled(t, about(usual, fields+`string a = 3 [ITEM, (buf.validate.field).string.max_len = 10];`), 1)
	v2 := compiled(t, about(usual, fields+`string a = 3 [ITEM, (buf.validate.field).string.max_len = 20];`), 2)
	v3 := compiled(t, about(usual, fields+`string a = 3 [ITEM, (buf.validate.field).string.max_len = 15];`), 3)
	for _, c := range []struct {
		mode Mode
		want string
	}{
		{0, "1 rules.loosened 2 rules.tightened"},
		{FullTransitive, "1 rules.loosened 2 rules.tightened"},
		{Backward, "2 rules.tightened"},
		{Forward, ""},
		{None, ""},
	} {
		var got []string
		for _, f := range Check([]*Contract{v2, v1}, v3, c.mode) {
			if f.Field != "a" {
				t.Errorf("%+v", f)
			}
			got = append(got, fmt.Sprint(f.AgainstVersion, " ", f.Rule))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("mode %d: %q, want %q", c.mode, got, c.want)
		}
	}
	if got := Check(nil, v1, FullTransitive); got != nil {
		t.Errorf("%+v", got)
	}
}
