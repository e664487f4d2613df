package node_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// ask queries an unconditional topic.
const extremeCase = "受理〔2026〕42号"

func ask(topic string, by sdk.QueryBy) sdk.Query {
	return sdk.Query{Topic: topic, By: by, Acting: sdk.Acting{Person: "窗口-017", Purpose: "000711004000", Case: extremeCase}}
}

// one gives the only record of an answer.
func one(t *testing.T, c *sdk.Client, q sdk.Query, into proto.Message) {
	t.Helper()
	answer, err := c.Query(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Records) != 1 {
		t.Fatalf("%d records", len(answer.Records))
	}
	if err := answer.Records[0].Unmarshal(into); err != nil {
		t.Fatal(err)
	}
}

// TestNamesAndSizes: rare characters, a record of nearly the largest size, and a
// household of two hundred come back as they went in.
func TestNamesAndSizes(t *testing.T) {
	x := nodetest.Start(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	if err := x.Register(t.Context(), participant(sample.Housing)); err != nil {
		t.Fatal(err)
	}
	unsignedTopics(t, x)
	p := civil.Publisher(sdk.PublisherConfig{})
	defer func() {
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	city := sample.NewCity(6, 1_600)

	rare := proto.CloneOf(city.Persons()[0])
	rare.Name, rare.RegisteredAddress = "𠮷䶮·阿卜杜热合曼·买买提", "示范市㙍头村〇〇七號\u00a0東"
	if _, err := p.Publish(t.Context(), "person", rare); err != nil {
		t.Fatal(err)
	}
	x.OpenCase(t, civil, extremeCase, "000711004000", sdk.Subject{Type: "111", Number: rare.IdNumber},
		sdk.Subject{Type: "111", Number: city.Persons()[208].IdNumber, Role: "member"}, sdk.Subject{Role: "holder", Type: city.Certificates()[0].HolderType, Number: city.Certificates()[0].HolderNumber})
	back := &recordsv1.Person{}
	if one(t, civil, ask("person", sdk.ByKey(rare.IdNumber)), back); !proto.Equal(rare, back) {
		t.Errorf("%v came back", back)
	}

	large := proto.CloneOf(city.Certificates()[0])
	for len(large.FaceItems) < 50 {
		large.FaceItems = append(large.FaceItems, &recordsv1.FaceItem{Title: fmt.Sprint("栏目", len(large.FaceItems)), Value: strings.Repeat("长", 1_680)})
	}
	if size := proto.Size(large); size < 240<<10 || size > 256<<10 {
		t.Fatalf("the record has %d bytes", size)
	}
	if _, err := p.Publish(t.Context(), "certificate", large); err != nil {
		t.Fatal(err)
	}
	certificate := &recordsv1.Certificate{}
	if one(t, civil, ask("certificate", sdk.ByKey(large.Identifier)), certificate); !proto.Equal(large, certificate) {
		t.Error("the large record came back otherwise")
	}

	crowd := proto.CloneOf(city.Households()[0])
	crowd.Kind = recordsv1.HouseholdKind_HOUSEHOLD_KIND_COLLECTIVE
	crowd.Members = crowd.Members[:1]
	for _, p := range city.Persons()[10:209] {
		crowd.Members = append(crowd.Members, &recordsv1.HouseholdMember{IdType: p.IdType, IdNumber: p.IdNumber, Name: p.Name, Role: "member"})
	}
	if _, err := p.Publish(t.Context(), "household", crowd); err != nil {
		t.Fatal(err)
	}
	last := crowd.Members[len(crowd.Members)-1]
	household := &recordsv1.Household{}
	if one(t, civil, ask("household", sdk.BySubject(sdk.Subject{Type: "111", Number: last.IdNumber})), household); !proto.Equal(crowd, household) {
		t.Error("the household came back otherwise")
	}
}

// TestManyTopics: a department publishes on each of a thousand topics and they
// are read; what that takes in memory, on both sides, stays far below what a
// contract for each would take. (The catalogue's own tests make ten thousand.)
func TestManyTopics(t *testing.T) {
	const topics = 1_000
	x := nodetest.Start(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	before := heap()
	name := func(i int) string { return fmt.Sprintf("marriage-%05d", i) }
	inParallel(t, 64, topics, func(i int) error {
		return x.CreateTopic(t.Context(), unconditional(name(i), "Marriage", sample.CivilAffairs))
	})
	p := civil.Publisher(sdk.PublisherConfig{})
	record := sample.NewCity(1, 40).Marriages()[0]
	inParallel(t, 64, topics, func(i int) error {
		_, err := p.Publish(t.Context(), name(i), record)
		return err
	})
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	x.OpenCase(t, civil, extremeCase, "000711004000", sdk.Subject{Type: "111", Number: record.PartyANumber})
	for _, i := range []int{0, topics / 2, topics - 1} {
		m := &recordsv1.Marriage{}
		if one(t, civil, ask(name(i), sdk.ByKey(record.CertificateNumber)), m); !proto.Equal(record, m) {
			t.Errorf("%v came back", m)
		}
	}
	if grown := heap() - before; grown > 90<<20 {
		t.Errorf("%d MiB for %d topics", grown>>20, topics)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// inParallel does n things by so many goroutines, and ends at the first error.
func inParallel(t *testing.T, goroutines, n int, do func(i int) error) {
	t.Helper()
	next, failed := make(chan int), make(chan error, goroutines)
	for range goroutines {
		go func() {
			for i := range next {
				if err := do(i); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	go func() {
		defer close(next)
		for i := range n {
			select {
			case next <- i:
			case <-t.Context().Done():
				return
			}
		}
	}()
	for range goroutines {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
}
