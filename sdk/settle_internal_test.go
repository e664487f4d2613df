package sdk

import "testing"

// TestAcknowledgementLostTwice: a delivery is handled, and the connection breaks
// before its acknowledgement is confirmed, and again when it came once more. It
// is acknowledged the third time, and never handled twice.
func TestAcknowledgementLostTwice(t *testing.T) {
	s := newSettler()
	come := func() *parcel { return &parcel{Delivery: Delivery{Sequence: 7}} }
	first := come()
	if !s.arrived(first) {
		t.Fatal("the first delivery is not handled")
	}
	s.ack(first)
	for session := range 4 {
		s.opened(0)
		if s.arrived(come()) {
			t.Fatalf("session %d has it handled once more", session)
		}
		m, err := s.next(nil)
		if err != nil || len(m.GetAcks()) != 1 {
			t.Fatalf("session %d acknowledges %v, %v", session, m, err)
		}
	}
}
