package access

import (
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/identity"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// Reads says whether a caller may read some of a topic's records now, in
// whichever way and for whichever purpose. It is no decision to read: that needs
// both.
func (p *Policy) Reads(caller *identity.Caller, topic *catalog.Topic) bool {
	switch {
	case !topic.Active():
		return false
	case topic.Provider == caller.Participant, topic.SharingClass == cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL:
		return true
	}
	today := DayOf(p.Clock())
	for _, list := range p.candidates(topic.Name, caller) {
		for _, g := range list {
			if g.State == accessv1.GrantState_GRANT_STATE_ACTIVE && g.validFrom <= today && today <= g.until {
				return true
			}
		}
	}
	return false
}
