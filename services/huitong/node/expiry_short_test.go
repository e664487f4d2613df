package node_test

import (
	"testing"
	"time"

	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// TestWhoReliedOnARecordHearsThatItIsOverAlready: a version whose last day is a day
// gone by ends the record as that day's end would have, and it is told once.
func TestWhoReliedOnARecordHearsThatItIsOverAlready(t *testing.T) {
	in := newIssuing(t)
	in.relyOnCertificates(t)
	lasting, short := certificateOf(certificateID(1, 1)), certificateOf(certificateID(2, 1))
	in.issue(t, lasting)
	in.issue(t, short)
	in.OpenCase(t, in.hall, acting.Case, acting.Purpose, sdk.Subject{Type: "111", Number: earner})
	in.read(t, acting.Case, lasting.Identifier, short.Identifier)
	short.ValidUntil = time.Now().AddDate(0, 0, -40).Format(time.DateOnly)
	in.issue(t, short)
	n := awaitNotices(t, in.Exchange, 1)[0]
	if n.Cause != "expired" || n.Recipient != sample.ServiceHall.Code || n.Date != short.ValidUntil || len(n.CaseNumbers) != 1 || n.CaseNumbers[0] != acting.Case {
		t.Errorf("told is %v", n)
	}
	// The next of an earlier day is found too.
	lasting.ValidUntil = time.Now().AddDate(0, 0, -50).Format(time.DateOnly)
	in.issue(t, lasting)
	if all := awaitNotices(t, in.Exchange, 2); len(all) != 2 || all[1].Date != lasting.ValidUntil {
		t.Errorf("told is %v", all)
	}
	fsck(t, in.Exchange)
}
