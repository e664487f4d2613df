package listing_test

import (
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/deploy"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/services/huitong/listing"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

func planned(t *testing.T, x *nodetest.Exchange, files fs.FS) listing.Plan {
	t.Helper()
	w, err := listing.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := listing.Make(t.Context(), x.Client.Conn(), w)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func apply(t *testing.T, plan listing.Plan) (done []string) {
	t.Helper()
	if err := plan.Apply(t.Context(), func(s *listing.Step) { done = append(done, s.Kind+" "+s.ID) }); err != nil {
		t.Fatal(err)
	}
	return done
}

// TestTheSampleCatalogue applies it to a new exchange, again, and with a change.
func TestTheSampleCatalogue(t *testing.T) {
	x := nodetest.Start(t)
	plan := planned(t, x, deploy.Catalogue())
	created, changed := plan.Changes()
	kinds := plan.Kinds()
	// The data authority founded the exchange.
	if created != len(plan)-1 || changed != 0 || kinds["participant"] < 10 || kinds["contract"] != 3 || kinds["topic"] < 13 {
		t.Fatalf("%d to create, %d to change of %v", created, changed, kinds)
	}
	if done := apply(t, plan); len(done) != created {
		t.Fatalf("%d of %d were done", len(done), created)
	}
	size := x.Node.Journal.Head().Size
	if done := apply(t, planned(t, x, deploy.Catalogue())); len(done) != 0 {
		t.Errorf("a second time, this was done: %v", done)
	}
	if now := x.Node.Journal.Head().Size; now != size {
		t.Errorf("looking left %d entries", now-size)
	}

	edited := copied(t, deploy.Catalogue())
	persons := edited["topics/persons.yaml"]
	persons.Data = []byte(strings.Replace(string(persons.Data), "title: 户籍信息", "title: 户籍登记信息", 1))
	// What the file does not say of a data item follows the entry's class.
	persons.Data = []byte(strings.Replace(string(persons.Data), "sharing_class: SHARING_CLASS_UNCONDITIONAL",
		"sharing_class: SHARING_CLASS_CONDITIONAL\n    conditions: 用于政务服务事项核验", 1))
	departments := edited["departments.yaml"]
	departments.Data = []byte(strings.Replace(string(departments.Data), "示范市税务局", "国家税务总局示范市税务局", 1))
	plan = planned(t, x, edited)
	if created, changed := plan.Changes(); created != 0 || changed != 3 {
		t.Fatalf("%d to create, %d to change", created, changed)
	}
	changes := map[string][]listing.FieldChange{}
	for _, s := range plan {
		if s.Kind == "topic" && s.Change == listing.Update {
			changes[s.ID] = s.Fields
		}
	}
	if want := map[string][]listing.FieldChange{
		"household": {{Field: "title", From: `"户籍信息"`, To: `"户籍登记信息"`}},
		"business-licence": {
			{Field: "sharing_class", From: `"SHARING_CLASS_UNCONDITIONAL"`, To: `"SHARING_CLASS_CONDITIONAL"`},
			{Field: "conditions", To: `"用于政务服务事项核验"`},
		},
	}; !reflect.DeepEqual(changes, want) {
		t.Errorf("%+v", changes)
	}
	apply(t, plan)
	answer, err := x.Catalogue.GetTopic(t.Context(), &cataloguev1.GetTopicRequest{Name: "household"})
	if err != nil || answer.Topic.Title != "户籍登记信息" || answer.Topic.State != cataloguev1.TopicState_TOPIC_STATE_PUBLISHED {
		t.Error(answer, err)
	}
	if created, changed := planned(t, x, edited).Changes(); created+changed != 0 {
		t.Errorf("%d and %d are left to do", created, changed)
	}
}

func copied(t *testing.T, files fs.FS) fstest.MapFS {
	t.Helper()
	m := fstest.MapFS{}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(files, name)
		m[name] = &fstest.MapFile{Data: raw}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestWhatIsWrongIsNamedByItsPlace: nothing is written of a directory in which
// something is wrong.
func TestWhatIsWrongIsNamedByItsPlace(t *testing.T) {
	x := nodetest.Start(t)
	refusals := 0
	const office = "participants:\n  - {code: 11999900MB00000278, name: 示范市民政局}\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"an unknown field": {map[string]string{"a.yaml": "topics:\n  - name: a\n    colour: red\n"}, "a.yaml:3"},
		"twice":            {map[string]string{"a.yaml": office, "b.yaml": office}, "b.yaml:2: participant 11999900MB00000278 is described at a.yaml:2 too"},
		"a check digit":    {map[string]string{"a.yaml": "\nparticipants:\n  - {code: 11999900MB00000279, name: 民政局}\n"}, "a.yaml:3: participant 11999900MB00000279: "},
		"no contract file": {map[string]string{"a.yaml": "contracts:\n  - {name: a.B, file: b.proto}\n"}, "a.yaml:2: contract a.B: "},
		"a broken contract": {map[string]string{
			"a.yaml": "contracts:\n  - {name: a.B, file: b.proto}\n", "b.proto": "syntax = \"proto3\";\npackage a;\nmessage B { string s = 1 }\n",
		}, "b.proto:3"},
		"no options": {map[string]string{
			"a.yaml": "contracts:\n  - {name: a.B, file: b.proto}\n", "b.proto": "syntax = \"proto3\";\npackage a;\nmessage B { string s = 1; }\n",
		}, "a.yaml:2: contract a.B: "},
		"a topic of nobody": {map[string]string{
			"a.yaml": office, "b.yaml": "topics:\n  - name: a\n    title: 甲\n    provider: 11999900MB0000019D\n    contract: huitong.records.v1.Person\n    sharing_class: SHARING_CLASS_UNCONDITIONAL\n",
		}, "b.yaml:2: topic a: "},
		"nothing": {map[string]string{"a.txt": "x"}, "no .yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			size := x.Node.Journal.Head().Size
			files := fstest.MapFS{}
			for path, text := range c.files {
				files[path] = &fstest.MapFile{Data: []byte(text)}
			}
			w, err := listing.Load(files)
			if err == nil {
				_, err = listing.Make(t.Context(), x.Client.Conn(), w)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, not %s", err, c.want)
			}
			switch now := x.Node.Journal.Head().Size; {
			case now == size: // what is wrong is found without the exchange, or was refused before
			case now > size+1 || entryAt(t, x, size).GetRefused() == nil:
				t.Errorf("%d entries were made, not that of the refusal alone: %v", now-size, entryAt(t, x, size))
			default:
				refusals++
			}
		})
	}
	if refusals == 0 {
		t.Error("nothing came to the exchange")
	}
}

func entryAt(t *testing.T, x *nodetest.Exchange, index uint64) *ledgerv1.LedgerEntry {
	t.Helper()
	var leaf []byte
	if err := x.Node.DB.Reader().QueryRowContext(t.Context(), "SELECT leaf FROM ledger WHERE idx = $1", int64(index)).Scan(&leaf); err != nil {
		t.Fatal(err)
	}
	e := &ledgerv1.LedgerEntry{}
	if err := proto.Unmarshal(leaf, e); err != nil {
		t.Fatal(err)
	}
	return e
}
