package verify_test

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// TestWhoPublishedWhere: the exchange on its own topics, and systems on all
// others.
func TestWhoPublishedWhere(t *testing.T) {
	system := &ledgerv1.LedgerEntry{Actor: "11999900MB00000278/registry", ActorCertificate: make([]byte, 32)}
	for _, c := range []struct {
		by    *ledgerv1.LedgerEntry
		topic string
		good  bool
	}{
		{&ledgerv1.LedgerEntry{}, "huitong-deadlines", true},
		{system, "marriage", true},
		{&ledgerv1.LedgerEntry{}, "marriage", false},
		{system, "huitong-deadlines", false},
		{&ledgerv1.LedgerEntry{ActorCertificate: make([]byte, 32)}, "huitong-notices", false},
	} {
		if err := verify.CheckPublisher(c.by, &ledgerv1.RecordPublished{Topic: c.topic}); (err == nil) != c.good {
			t.Errorf("%q on %s: %v", c.by.Actor, c.topic, err)
		}
	}
}

func TestParticipantOf(t *testing.T) {
	for name, want := range map[string]string{
		"11999900MB00000278/registry": "11999900MB00000278", "11999900MB00000278/registry/marriages": "11999900MB00000278",
		"11999900MB00000278": "11999900MB00000278", "": "",
	} {
		if got := verify.ParticipantOf(name); got != want {
			t.Errorf("%q: %q", name, got)
		}
	}
}
