package inspect_test

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Who sees an entry of each kind. An entry that a caller is not party to is
// answered as if it did not exist, in every way of asking.
func TestWhoSeesWhichEntry(t *testing.T) {
	w := newWorld(t)
	at := w.everything(t)
	operator := &catalogtest.System{Caller: w.Operator}
	callers := map[string]*catalogtest.System{
		"provider": w.security, "consumer": w.civil, "stranger": w.housing, "operator": operator, "auditor": w.auditor,
	}
	// changed and certificate are about the housing department's system.
	sees := map[string][]string{
		"published":   {"provider", "auditor"},
		"operation":   {"provider", "auditor"},
		"eraser":      {"provider", "auditor"},
		"erased":      {"provider", "auditor"},
		"released":    {"provider", "consumer", "auditor"},
		"received":    {"provider", "consumer", "auditor"},
		"queried":     {"provider", "consumer", "auditor"},
		"refused":     {"provider", "consumer", "auditor"},
		"changed":     {"stranger", "operator", "auditor"},
		"certificate": {"stranger", "operator", "auditor"},
		"read":        {"auditor"},
	}
	for kind, who := range sees {
		for name, caller := range callers {
			index, want := at[kind], slices.Contains(who, name)
			_, err := w.ledger.Get(t.Context(), caller.Caller, index, false)
			if got := err == nil; got != want || !want && fault.RuleOf(err) != "entry.unknown" {
				t.Errorf("%s gets the entry %q: %v, %v", name, kind, got, err)
			}
			listed := w.list(t, caller, &ledgerv1.EntryFilter{FromIndex: index}, inspect.Page{Size: 1})
			if got := slices.Contains(listed, index); got != want {
				t.Errorf("%s lists the entry %q: %v", name, kind, got)
			}
			_, err = w.ledger.Inclusion(t.Context(), caller.Caller, index, 0, nil)
			if got := err == nil; got != want {
				t.Errorf("%s has the entry %q proven: %v, %v", name, kind, got, err)
			}
		}
	}
	_, absent := w.ledger.Get(t.Context(), w.housing.Caller, 1<<40, false)
	_, hidden := w.ledger.Get(t.Context(), w.housing.Caller, at["published"], false)
	if absent.Error() != hidden.Error() {
		t.Errorf("an entry that is hidden is told from none: %v; %v", hidden, absent)
	}
}

// Who sees what of an opening; see the package comment.
func TestWhoSeesWhichOpening(t *testing.T) {
	w := newWorld(t)
	at := w.everything(t)
	get := func(by *catalogtest.System, kind string) *ledgerv1.Entry {
		t.Helper()
		e, err := w.ledger.Get(t.Context(), by.Caller, at[kind], true)
		must(t, err)
		return e
	}
	if o := get(w.security, "published").RecordOpening; len(o.GetPayload()) == 0 || len(o.GetSecret()) == 0 || o.GetKey() != "P1" {
		t.Errorf("the provider sees %v of its record", o)
	}
	if o := get(w.auditor, "published").RecordOpening; o.GetPayload() != nil || o.GetSecret() != nil || o.GetKey() != "P1" || len(o.GetSubjects()) != 1 {
		t.Errorf("the auditor sees %v of a record", o)
	}
	for _, by := range []*catalogtest.System{w.civil, w.auditor} {
		if o := get(by, "queried").ReadOpening; o.GetPerson() != "clerk-7" || o.GetCaseNumber() != caseNumber || o.GetSubject() == nil {
			t.Errorf("%s sees %v of a query", by.Caller.System, o)
		}
	}
	if o := get(w.security, "queried").ReadOpening; o.GetPerson() != "" || o.GetCaseNumber() != "" || o.GetSubject() != nil || o.GetSecret() != nil {
		t.Errorf("the provider sees %v of a query", o)
	}
	if o := get(w.security, "released").ReadOpening; len(o.GetDetails()) != 2 {
		t.Errorf("the provider sees %v of a delivery", o)
	}
	if o := get(w.security, "received").ReadOpening; len(o.GetAcknowledgements()) != 1 {
		t.Errorf("the provider sees %v of an acknowledgement", o)
	}
	if e := get(w.security, "refused"); e.ReadOpening != nil {
		t.Errorf("the provider sees %v of a refusal", e.ReadOpening)
	}
	if e := get(w.security, "erased version"); e.RecordOpening != nil {
		t.Errorf("an erased version opens: %v", e.RecordOpening)
	}
}

// A look at an opening is an entry before it is shown, and says which.
func TestLookingIsEntered(t *testing.T) {
	w := newWorld(t)
	at := w.everything(t)
	size := w.Journal.Head().Size
	_, err := w.ledger.Get(t.Context(), w.auditor.Caller, at["published"], false)
	must(t, err)
	if w.Journal.Head().Size != size {
		t.Error("an entry without its opening was entered as a look")
	}
	_, err = w.ledger.Get(t.Context(), w.auditor.Caller, at["published"], true)
	must(t, err)
	w.isRead(t, size, "open")
	w.list(t, w.auditor, &ledgerv1.EntryFilter{Subject: subject("P1")}, inspect.Page{Size: 1})
	w.isRead(t, size+1, "list")
	if w.Journal.Head().Size != size+2 {
		t.Errorf("the pages of one list are %d entries", w.Journal.Head().Size-size-1)
	}
	must(t, w.ledger.Export(t.Context(), w.auditor.Caller, 0, 0, func(uint64, [][]byte, string) error { return nil }))
	w.isRead(t, size+2, "export")
}

// isRead fails unless an entry is a read whose opening is what it commits to,
// and whose leaf does not give the filter away.
func (w *world) isRead(t testing.TB, index uint64, action string) {
	t.Helper()
	e, err := w.ledger.Get(t.Context(), w.auditor.Caller, index, false)
	must(t, err)
	read := e.Entry.GetRead()
	if read.GetAction() != action || e.Entry.Actor != w.auditor.Caller.System {
		t.Fatalf("entry %d: %v", index, e.Entry)
	}
	plain := verify.LeafHash([]byte(`subject="999 P1 "`))
	if bytes.Contains(e.Leaf, []byte("P1")) || bytes.Equal(read.FilterDigest, plain[:]) {
		t.Error("the leaf gives the filter away")
	}
}

func TestListFilters(t *testing.T) {
	w := newWorld(t)
	at := w.everything(t)
	kinds := func(k ...string) *ledgerv1.EntryFilter { return &ledgerv1.EntryFilter{Kinds: k} }
	for name, c := range map[string]struct {
		by     *catalogtest.System
		filter *ledgerv1.EntryFilter
		holds  []string
		lacks  []string
	}{
		"kind":           {w.auditor, kinds("queried"), []string{"queried"}, []string{"published", "refused"}},
		"kinds":          {w.auditor, kinds("queried", "refused"), []string{"queried", "refused"}, []string{"published"}},
		"topic":          {w.auditor, &ledgerv1.EntryFilter{Topic: people}, []string{"published", "queried", "erased", "released"}, []string{"changed", "certificate"}},
		"another topic":  {w.auditor, &ledgerv1.EntryFilter{Topic: households}, nil, []string{"published", "queried"}},
		"system":         {w.auditor, &ledgerv1.EntryFilter{System: w.civil.Caller.System}, []string{"queried", "received", "refused"}, []string{"published"}},
		"participant":    {w.auditor, &ledgerv1.EntryFilter{Participant: catalogtest.Housing}, []string{"changed", "certificate"}, []string{"published"}},
		"of both":        {w.security, &ledgerv1.EntryFilter{Participant: catalogtest.Civil}, []string{"queried", "released"}, []string{"published", "changed"}},
		"subject":        {w.auditor, &ledgerv1.EntryFilter{Subject: subject("p1")}, []string{"published", "queried"}, []string{"signed", "operation"}},
		"operation on":   {w.auditor, &ledgerv1.EntryFilter{Subject: subject("P2")}, []string{"operation"}, []string{"published"}},
		"erased subject": {w.auditor, &ledgerv1.EntryFilter{Subject: subject("P3")}, nil, []string{"erased version", "eraser"}},
		"case":           {w.auditor, &ledgerv1.EntryFilter{CaseNumber: caseNumber}, []string{"queried", "refused"}, []string{"published"}},
		"own case":       {w.civil, &ledgerv1.EntryFilter{CaseNumber: caseNumber}, []string{"queried", "refused"}, nil},
		"case of others": {w.security, &ledgerv1.EntryFilter{CaseNumber: caseNumber}, nil, []string{"queried", "refused"}},
		"subject, case":  {w.auditor, &ledgerv1.EntryFilter{Subject: subject("P1"), CaseNumber: caseNumber}, []string{"queried"}, []string{"published", "refused"}},
		"subject, kind":  {w.auditor, &ledgerv1.EntryFilter{Subject: subject("P1"), Kinds: []string{"published"}}, []string{"published"}, []string{"queried"}},
	} {
		for _, descending := range []bool{false, true} {
			got := w.list(t, c.by, c.filter, inspect.Page{Size: 7, Descending: descending})
			if !ordered(got, descending) {
				t.Errorf("%s: not in order, or one twice: %v", name, got)
			}
			for _, k := range c.holds {
				if !slices.Contains(got, at[k]) {
					t.Errorf("%s: the entry %q is missing", name, k)
				}
			}
			for _, k := range c.lacks {
				if slices.Contains(got, at[k]) {
					t.Errorf("%s: the entry %q is there", name, k)
				}
			}
		}
	}
}

func ordered(list []uint64, descending bool) bool {
	for i := 1; i < len(list); i++ {
		if descending == (list[i] > list[i-1]) || list[i] == list[i-1] {
			return false
		}
	}
	return true
}

// Times narrow a list exactly.
func TestListBetweenTimes(t *testing.T) {
	w := newWorld(t)
	at := w.everything(t)
	from, err := w.ledger.Get(t.Context(), w.auditor.Caller, at["queried"], false)
	must(t, err)
	until, err := w.ledger.Get(t.Context(), w.auditor.Caller, at["refused"], false)
	must(t, err)
	got := w.list(t, w.auditor, &ledgerv1.EntryFilter{From: timeOf(from), Until: timeOf(until)}, inspect.Page{})
	var want []uint64
	for i := at["queried"]; i < at["refused"]; i++ {
		want = append(want, i)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, not %v", got, want)
	}
}

// A list ends where the ledger ended when it was begun, whatever its pages.
func TestListInPages(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		w.publish(t, w.security, numbered("A", 0, 600)...)
		w.household(t, "H1", "P1")
	}
	all := w.list(t, w.security, &ledgerv1.EntryFilter{Topic: people}, inspect.Page{Size: 1000})
	if len(all) != 3001 { // with the topic's own entry
		t.Fatalf("%d entries", len(all))
	}
	back := w.list(t, w.security, &ledgerv1.EntryFilter{Topic: people}, inspect.Page{Size: 999, Descending: true})
	slices.Reverse(back)
	if !slices.Equal(all, back) {
		t.Error("backward is not forward")
	}
	entries, next, err := w.ledger.List(t.Context(), w.security.Caller, &ledgerv1.EntryFilter{Topic: households}, inspect.Page{Size: 3})
	must(t, err)
	w.household(t, "H2", "P2")
	rest := w.list(t, w.security, &ledgerv1.EntryFilter{Topic: households}, inspect.Page{Size: 3, Token: next})
	if len(entries)+len(rest) != 6 {
		t.Errorf("%d and %d entries", len(entries), len(rest))
	}
}

func TestListRefusesWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	for rule, f := range map[string]*ledgerv1.EntryFilter{
		"filter.kind":    {Kinds: []string{"nothing"}},
		"filter.subject": {Subject: &ledgerv1.Subject{Type: "999"}},
		"filter.size":    {Topic: string(make([]byte, 300))},
	} {
		if _, _, err := w.ledger.List(t.Context(), w.auditor.Caller, f, inspect.Page{}); fault.RuleOf(err) != rule {
			t.Errorf("%s: %v", rule, err)
		}
	}
	if _, _, err := w.ledger.List(t.Context(), w.auditor.Caller, nil, inspect.Page{Size: 1001}); fault.RuleOf(err) != "page_size" {
		t.Errorf("page size: %v", err)
	}
	_, _, err := w.ledger.List(t.Context(), w.witness.Caller, nil, inspect.Page{})
	if fault.KindOf(err) != fault.Denied {
		t.Fatalf("a witness lists: %v", err)
	}
	refused := w.list(t, w.auditor, &ledgerv1.EntryFilter{Kinds: []string{"refused"}}, inspect.Page{})
	if len(refused) != 1 {
		t.Errorf("%d refusals are entered", len(refused))
	}
}

// A page token is of one caller, filter and order.
func TestPageTokensAreBound(t *testing.T) {
	w := newWorld(t)
	w.publish(t, w.security, numbered("A", 0, 9)...)
	f := &ledgerv1.EntryFilter{Topic: people}
	_, token, err := w.ledger.List(t.Context(), w.security.Caller, f, inspect.Page{Size: 2})
	must(t, err)
	for name, try := range map[string]func() error{
		"another caller": func() error {
			_, _, err := w.ledger.List(t.Context(), w.auditor.Caller, f, inspect.Page{Token: token})
			return err
		},
		"another filter": func() error {
			_, _, err := w.ledger.List(t.Context(), w.security.Caller, nil, inspect.Page{Token: token})
			return err
		},
		"another order": func() error {
			_, _, err := w.ledger.List(t.Context(), w.security.Caller, f, inspect.Page{Token: token, Descending: true})
			return err
		},
	} {
		if err := try(); fault.RuleOf(err) != "page_token" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzPageToken(f *testing.F) {
	w := newWorld(f)
	w.publish(f, w.security, numbered("A", 0, 9)...)
	filter := &ledgerv1.EntryFilter{Topic: people}
	_, token, err := w.ledger.List(f.Context(), w.security.Caller, filter, inspect.Page{Size: 2})
	must(f, err)
	f.Add(token)
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, given string) {
		_, _, err := w.ledger.List(t.Context(), w.security.Caller, filter, inspect.Page{Size: 2, Token: given})
		if given != token && given != "" && fault.RuleOf(err) != "page_token" {
			t.Errorf("%q was taken: %v", given, err)
		}
	})
}

func TestExportIsTheWholeLedger(t *testing.T) {
	w := newWorld(t)
	w.everything(t)
	v, err := verify.NewCheckpointVerifier(w.ledger.VerifierKey)
	must(t, err)
	var checkpoint *verify.Checkpoint
	var leaves [][verify.HashSize]byte
	must(t, w.ledger.Export(t.Context(), w.auditor.Caller, 0, 0, func(first uint64, list [][]byte, signed string) error {
		if first != uint64(len(leaves)) || (signed != "") != (first == 0) {
			t.Errorf("part at %d after %d leaves", first, len(leaves))
		}
		if signed != "" {
			checkpoint, err = v.Open([]byte(signed))
			must(t, err)
		}
		for _, l := range list {
			leaves = append(leaves, verify.LeafHash(l))
		}
		return nil
	}))
	if uint64(len(leaves)) != checkpoint.Size || verify.Root(leaves) != checkpoint.Root {
		t.Errorf("%d leaves do not make the tree of %d", len(leaves), checkpoint.Size)
	}
	for name, caller := range map[string]*catalogtest.System{"a department": w.security, "a witness": w.witness} {
		err := w.ledger.Export(t.Context(), caller.Caller, 0, 0, func(uint64, [][]byte, string) error {
			t.Error("leaves left")
			return nil
		})
		if fault.RuleOf(err) != "role.auditor" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.ledger.Export(t.Context(), w.auditor.Caller, 5, 1<<40, nil); fault.RuleOf(err) != "export.range" {
		t.Errorf("beyond the ledger: %v", err)
	}
}

// The digest of an entry read back is that of its leaf.
func TestGetGivesTheStoredLeaf(t *testing.T) {
	w := newWorld(t)
	at := w.publish(t, w.security, put("A1", "王芳"))[0]
	e, err := w.ledger.Get(t.Context(), w.security.Caller, at, false)
	must(t, err)
	decoded := &ledgerv1.LedgerEntry{}
	must(t, proto.Unmarshal(e.Leaf, decoded))
	if !proto.Equal(decoded, e.Entry) || e.Entry.Index != at {
		t.Errorf("entry %d: %v", at, e.Entry)
	}
}
