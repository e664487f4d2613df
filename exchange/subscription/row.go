package subscription

import (
	"encoding/binary"
	"errors"
)

// maxUnsettled bounds how much of a lane may be unsettled; past it the lane
// reads on only when some of it is settled.
const maxUnsettled = 4096

// unsettled is what a lane's row holds of one delivery that is not settled.
type unsettled struct {
	sequence uint64
	// attempts is how often it was sent; 0 while it waits for its first time.
	attempts uint32
	// due is when it may be sent again, µs UTC; 0 where no delay was asked for.
	due int64
	// late marks what comes beside what the lane reads, owed what settles an
	// arrear: both is an arrear, late alone a dead letter once more.
	late, owed bool
	// enrolled is the entry that it is owed for; its own row has it.
	enrolled int64
}

// plain says whether a delivery was sent just once, as nearly all were.
func (u *unsettled) plain() bool { return u.attempts == 1 && u.due == 0 && !u.late && !u.owed }

// formatRow is the first byte of an encoded set that is not empty; formatOld had
// no mark for what is owed.
const (
	formatRow = 2
	formatOld = 1
)

var errRow = errors.New("a lane's row is not readable")

// encodeRow writes the set of what is unsettled, in ascending order and none
// beyond seen, from the last to the first: each as its distance from the one
// before, doubled. Where it was sent just once, as nearly all were, that is all;
// else the lowest bit is set and attempts, marks and delay follow.
func encodeRow(seen uint64, set []unsettled) []byte {
	if len(set) == 0 {
		return []byte{}
	}
	b := make([]byte, 1, 1+3*len(set))
	b[0] = formatRow
	above := seen + 1
	for i := len(set) - 1; i >= 0; i-- {
		u := &set[i]
		distance := (above - u.sequence) << 1
		above = u.sequence
		if u.plain() {
			b = binary.AppendUvarint(b, distance)
			continue
		}
		more := uint64(u.attempts) << 3
		if u.owed {
			more |= 4
		}
		if u.late {
			more |= 2
		}
		if u.due != 0 {
			more |= 1
		}
		b = binary.AppendUvarint(b, distance|1)
		b = binary.AppendUvarint(b, more)
		if u.due != 0 {
			b = binary.AppendUvarint(b, uint64(u.due))
		}
	}
	return b
}

// decodeRow reads what encodeRow wrote.
func decodeRow(seen uint64, b []byte) ([]unsettled, error) {
	if len(b) == 0 {
		return nil, nil
	}
	if b[0] != formatRow && b[0] != formatOld || seen >= 1<<62 {
		return nil, errRow
	}
	r := rowReader{b: b[1:], old: b[0] == formatOld}
	var set []unsettled
	above := seen + 1
	for len(r.b) > 0 {
		word := r.uvarint()
		u := unsettled{attempts: 1}
		distance := word >> 1
		if distance == 0 || distance >= above {
			return nil, errRow
		}
		above -= distance
		u.sequence = above
		if word&1 != 0 {
			r.more(&u)
		}
		if r.bad {
			return nil, errRow
		}
		set = append(set, u)
	}
	for i, j := 0, len(set)-1; i < j; i, j = i+1, j-1 {
		set[i], set[j] = set[j], set[i]
	}
	return set, nil
}

type rowReader struct {
	b        []byte
	old, bad bool
}

func (r *rowReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *rowReader) more(u *unsettled) {
	more := r.uvarint()
	if r.old {
		more = more&^3<<1 | more&3
	}
	u.attempts, u.owed, u.late = uint32(more>>3), more&4 != 0, more&2 != 0
	if more&1 != 0 {
		u.due = int64(r.uvarint())
		r.bad = r.bad || u.due <= 0
	}
	r.bad = r.bad || more>>3 > 1<<31 || u.plain()
}

// floorOf gives the sequence up to which everything is settled. A dead letter
// that is delivered once more was settled before.
func floorOf(seen uint64, set []unsettled) uint64 {
	for i := range set {
		if !set[i].late {
			return set[i].sequence - 1
		}
	}
	return seen
}
