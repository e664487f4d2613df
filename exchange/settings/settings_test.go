package settings

import (
	"testing"

	"google.golang.org/protobuf/proto"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// TestSettingsThatCameLaterHaveTheirDefaults: what was set stays, and what there was
// no setting of then is as shipped.
func TestSettingsThatCameLaterHaveTheirDefaults(t *testing.T) {
	set := Defaults()
	set.Deadlines = []*accessv1.DeadlineSetting{{Kind: set.Deadlines[0].Kind, Days: 77, Basis: "本市办法"}}
	set.MaxOpenRequests, set.MaxStatusQuestions, set.ExpiryNoticeDays = 3, 0, 0
	stored := proto.CloneOf(set)
	full := newSettings(completed(set), nil)
	if !proto.Equal(set, stored) {
		t.Error("what is stored was changed")
	}
	for i, d := range Defaults().Deadlines {
		want := Term{Days: int(d.Days), Extension: int(d.Extension), Basis: d.Basis}
		if i == 0 {
			want = Term{Days: 77, Basis: "本市办法"}
		}
		if got := full.terms[d.Kind]; got != want {
			t.Errorf("%s is %+v, not %+v", d.Kind, got, want)
		}
	}
	if full.MaxOpenRequests != 3 || full.MaxStatusQuestions != int(Defaults().MaxStatusQuestions) || full.ExpiryNoticeDays != int(Defaults().ExpiryNoticeDays) {
		t.Errorf("%+v", full)
	}
}
