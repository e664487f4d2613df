package main_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/notice"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// TestAnErasedFanOutStaysErased: nothing of what was asked, answered and reported is
// among the bytes of the database or of JetStream, and where a backup from before is
// restored it is erased again: a fan-out that had its report, and one that broke off
// before.
func TestAnErasedFanOutStaysErased(t *testing.T) {
	f := newForgetful(t)
	whole, broken := f.asked()
	pieces := f.pieces()
	f.close()
	f.search(pieces, true)
	restore := f.backup()
	f.reopen()
	f.register()
	for _, id := range []string{whole, broken} {
		must(t, f.x.Client.EraseFanOut(t.Context(), id, "保管期满"))
	}
	f.listed(3 + 2) // that one has no answer
	f.overwritten()
	f.close()
	f.search(pieces, false)

	restore()
	f.reopen()
	f.register()
	_, err := f.x.Client.GetFanOut(t.Context(), whole, crashBy)
	if fault.RuleOf(err) != "fan_out.unknown" {
		t.Error("the operator reads it: ", err)
	}
	f.overwritten()
	f.noRows()
	f.close()
	f.search(pieces, false)
	f.check()
}

// asked asks a live source twice, and gives a fan-out that is answered and one that
// nobody answers and whose caller went away.
func (f *forgetful) asked() (whole, broken string) {
	t, ctx := f.T, f.Context()
	t.Helper()
	hall, police := f.x.Join(t, sample.ServiceHall, "hall"), f.x.Join(t, sample.PublicSecurity, "live")
	query := []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY}
	for _, topic := range []string{"answered", "unanswered"} {
		must(t, f.x.CreateTopic(ctx, &cataloguev1.Topic{
			Name: topic, Title: "人口", Provider: sample.PublicSecurity.Code, Contract: "huitong.records.v1.Person", AnsweredLive: true,
			SharingClass: cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, Conditions: "补贴审核", DeliveryModes: query,
		}))
		_, err := f.x.CreateGrant(ctx, &accessv1.Grant{
			Topic: topic, Consumer: sample.ServiceHall.Code, Basis: "办法第五条", Scenario: "补贴审核", Fields: []string{"id_number", "name"},
			ServiceItems: []string{crashItem}, DeliveryModes: query,
		})
		must(t, err)
	}
	subject := sdk.Subject{Type: f.people[1].IdType, Number: f.people[1].IdNumber}
	f.x.OpenCase(t, hall, crashCase, crashItem, subject)
	s, err := police.Supply(ctx, "answered", func(context.Context, *sdk.Asked) (*sdk.Supplied, error) { return sdk.Found(f.people[1]), nil })
	must(t, err)
	defer func() { s.Stop(); <-s.Closed() }()
	q := sdk.FanOutQuestion{
		Acting:  sdk.Acting{Person: crashBy, Purpose: crashItem, Case: crashCase},
		Sources: []sdk.Source{{Topic: "answered", Subject: subject, Wait: patience}},
	}
	got, err := hall.AskAll(ctx, q)
	must(t, err)
	life, leave := context.WithCancel(ctx)
	q.Sources[0].Topic, q.Progress = "unanswered", func(*sdk.SourceResult) { leave() }
	if _, err = hall.AskAll(life, q); err == nil {
		t.Fatal("it was answered")
	}
	must(t, f.x.Node.DB.Reader().QueryRowContext(ctx, "SELECT id FROM fan_outs WHERE id <> $1", got.ID).Scan(&broken))
	return got.ID, broken
}

// pieces are the sealed bytes that tell of fan-outs, in records and rows.
func (f *forgetful) pieces() (all [][]byte) {
	f.Helper()
	rows, err := f.x.Node.DB.Reader().QueryContext(f.Context(), `SELECT body FROM sealed WHERE topic IN ($1, $2, $3) AND body IS NOT NULL
		UNION ALL SELECT request FROM fan_outs`, journal.Number(notice.FanOutReports), journal.Number(notice.FanOutRequests), journal.Number(notice.FanOutAnswers))
	must(f.T, err)
	defer rows.Close()
	for rows.Next() {
		var piece []byte
		must(f.T, rows.Scan(&piece))
		all = append(all, piece)
	}
	must(f.T, rows.Err())
	if len(all) != 6 {
		f.Fatalf("%d pieces", len(all))
	}
	return all
}

// overwritten waits until JetStream's copies of what was erased are gone.
func (f *forgetful) overwritten() {
	f.Helper()
	f.within("the stream's copies are overwritten", func() bool {
		var left int
		must(f.T, f.x.Node.DB.Reader().QueryRowContext(f.Context(), "SELECT count(*) FROM stream_erasures WHERE done = 0").Scan(&left))
		return left == 0 && f.x.Node.Bus.Ready() && f.x.Node.Bus.Relayed(0) >= f.x.Node.Journal.Head().Size
	})
}

// search looks in the files of the closed exchange, the database's among them where
// it has any, for pieces: all of them are to be there, or none.
func (f *forgetful) search(pieces [][]byte, there bool) {
	f.Helper()
	dirs := []string{f.dir}
	database, embedded := strings.CutPrefix(f.database, "sqlite:")
	if embedded {
		dirs = append(dirs, database)
	}
	found := map[int]string{}
	for _, dir := range dirs {
		must(f.T, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			for i, piece := range pieces {
				if bytes.Contains(content, piece) {
					found[i] = path
				}
			}
			return err
		}))
	}
	if there && embedded && len(found) < len(pieces) || there && len(found) == 0 || !there && len(found) > 0 {
		f.Errorf("of %d pieces are there %v", len(pieces), found)
	}
}

// noRows fails if a row tells of a fan-out.
func (f *forgetful) noRows() {
	f.Helper()
	var n int
	must(f.T, f.x.Node.DB.Reader().QueryRowContext(f.Context(), `SELECT (SELECT count(*) FROM fan_out_sources)
		+ (SELECT count(*) FROM fan_outs WHERE length(request) > 0 OR length(state) > 0 OR case_token IS NOT NULL)`).Scan(&n))
	if n != 0 {
		f.Errorf("%d rows", n)
	}
}
