package contract

import "slices"

// Mode says what a new version of a contract must keep towards earlier ones.
// Its numbers are those of huitong.catalogue.v1.Compatibility; 0 is
// FullTransitive.
type Mode uint8

const (
	// FullTransitive: old and new read each other, for every earlier version.
	FullTransitive Mode = 1 + iota
	// Backward: the new version reads what the one before wrote.
	Backward
	// Forward: the version before reads what the new one writes.
	Forward
	// None: nothing is kept.
	None
)

// Check says why next is not compatible with the versions before it; it is if
// there are no findings. The order of versions does not matter.
func Check(versions []*Contract, next *Contract, mode Mode) []Finding {
	earlier := slices.SortedFunc(slices.Values(versions), func(a, b *Contract) int { return int(a.version) - int(b.version) })
	if mode == None || len(earlier) == 0 {
		return nil
	}
	want := breaksBackward | breaksForward
	switch mode {
	case Backward:
		want, earlier = breaksBackward, earlier[len(earlier)-1:]
	case Forward:
		want, earlier = breaksForward, earlier[len(earlier)-1:]
	}
	var findings []Finding
	for _, old := range earlier {
		for _, d := range differences(old, next) {
			if d.breaks&want != 0 && len(findings) < maxFindings {
				findings = append(findings, d.finding)
			}
		}
	}
	return findings
}

// Compare says in what old and next do not read each other, in either
// direction.
func Compare(old, next *Contract) []Finding {
	return Check([]*Contract{old}, next, FullTransitive)
}

// direction is which reading a difference breaks.
type direction uint8

const (
	// breaksBackward: the new version does not read what the old one wrote.
	breaksBackward direction = 1 << iota
	// breaksForward: the old version does not read what the new one writes.
	breaksForward
	breaksBoth = breaksBackward | breaksForward
)

func (d direction) String() string {
	return [...]string{"none", "backward", "forward", "both"}[d&breaksBoth]
}

type difference struct {
	finding Finding
	breaks  direction
}
