package query_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/query"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// all follows the pages of a query to their end and gives how many records each
// had; every record comes once.
func (w *world) all(t *testing.T, r *exchangev1.QueryRequest) (sizes []int) {
	t.Helper()
	seen := map[string]bool{}
	for {
		a := w.answered(t, r)
		for _, k := range keys(t, a) {
			if seen[k] {
				t.Fatalf("%s comes twice", k)
			}
			seen[k] = true
		}
		sizes = append(sizes, len(a.Records))
		if a.NextPageToken == "" {
			return sizes
		}
		r = proto.CloneOf(r)
		r.PageToken = a.NextPageToken
	}
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	w.publish(t, materials(70)...)
	for size, want := range map[uint32][]int{
		0: {query.DefaultPage, 70 - query.DefaultPage}, 1: slices.Repeat([]int{1}, 70), 69: {69, 1}, 70: {70}, query.MaxPage: {70},
	} {
		r := bySubject(applicant)
		r.PageSize = size
		if got := w.all(t, r); !slices.Equal(got, want) {
			t.Errorf("pages of %d have %v records, not %v", size, got, want)
		}
	}
	for _, size := range []uint32{query.MaxPage + 1, 1 << 31, 1<<32 - 1} {
		r := bySubject(applicant)
		r.PageSize = size
		_, err := w.ask(t, w.asker, r)
		wantRule(t, fmt.Sprint("a page of ", size), err, "page_size")
	}
}

// TestAPageOfWhatIsMostlyNotShown: what may not be used is left out, and the page
// is filled from behind it.
func TestAPageOfWhatIsMostlyNotShown(t *testing.T) {
	w := newWorld(t)
	all := materials(60)
	for i, m := range all {
		if i%6 != 0 {
			m.ItemCode = "000711004000"
		}
	}
	w.publish(t, all...)
	r := bySubject(applicant)
	r.PageSize = 4
	if got := w.all(t, r); !slices.Equal(got[:2], []int{4, 4}) || got[2] != 2 {
		t.Errorf("the pages have %v records", got)
	}
}

// TestAPageTokenGoesOnWithItsQueryAlone: not changed, not for another caller,
// subject or past.
func TestAPageTokenGoesOnWithItsQueryAlone(t *testing.T) {
	w := newWorld(t)
	other := &ledgerv1.Subject{Type: "999", Number: "K2"}
	at := w.publish(t, materials(3)...)
	first := bySubject(applicant)
	first.PageSize = 1
	token := w.answered(t, first).NextPageToken
	raw, err := base64.RawURLEncoding.DecodeString(token)
	must(t, err)
	for _, bad := range []string{"x", "==", "中文", token + "A", token[:len(token)-4], strings.Repeat("A", 1<<16), base64.RawURLEncoding.EncodeToString(flipped(raw, 0)), base64.RawURLEncoding.EncodeToString(flipped(raw, len(raw)-1))} {
		r := bySubject(applicant)
		r.PageToken = bad
		_, err := w.ask(t, w.asker, r)
		wantRule(t, fmt.Sprintf("a token of %d bytes", len(bad)), err, "page_token")
	}
	past := bySubject(applicant)
	past.AsOf = &exchangev1.QueryRequest_AsOfIndex{AsOfIndex: at[2]}
	for what, r := range map[string]*exchangev1.QueryRequest{"another subject": bySubject(other), "a past": past, "a key": byKey("M-1")} {
		r.PageToken = token
		_, err := w.ask(t, w.asker, r)
		wantRule(t, what, err, "page_token")
	}
	theirs := bySubject(applicant)
	theirs.PageToken = token
	_, err = w.ask(t, w.issuer, theirs)
	wantRule(t, "another caller", err, "page_token")
}

func flipped(raw []byte, at int) []byte {
	raw = slices.Clone(raw)
	raw[at] ^= 1
	return raw
}

// TestAnAnswerFitsAMessage: a page ends early where its records are large, and
// the next goes on.
func TestAnAnswerFitsAMessage(t *testing.T) {
	w := newWorld(t)
	const n, most = 40, 5 << 20
	large := materials(n)
	for i, m := range large {
		for k := range 200 {
			m.Concerned = append(m.Concerned, &recordsv1.ConcernedParty{
				Type: "999", Number: fmt.Sprintf("C-%d-%d", i, k), Name: strings.Repeat("王", 200),
			})
		}
	}
	for some := range slices.Chunk(large, n/2) {
		w.publish(t, some...)
	}
	for _, past := range []bool{false, true} {
		r := bySubject(applicant)
		r.PageSize = query.MaxPage
		if past {
			r.AsOf = &exchangev1.QueryRequest_AsOfIndex{AsOfIndex: w.Journal.Head().Size - 1}
		}
		a := w.answered(t, r)
		if size := proto.Size(a); size > most || len(a.Records) == n || a.NextPageToken == "" {
			t.Errorf("past %v: an answer of %d records has %d bytes", past, len(a.Records), size)
		}
		if got := w.all(t, r); len(got) != 2 || got[0]+got[1] != n {
			t.Errorf("past %v: the pages have %v records", past, got)
		}
	}
}
