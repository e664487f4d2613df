package inspect

import (
	"math/bits"
	"slices"
)

// blockSize is how many entries share a row of index_bits.
const blockSize = 2048

// blockOf gives the block of an entry and its place in it.
func blockOf(index uint64) (block int64, place int) {
	return int64(index / blockSize), int(index % blockSize)
}

// bitset is a set of places in a block, as long as its last byte that is not 0.
type bitset []byte

func (s bitset) with(place int) bitset {
	for len(s) <= place/8 {
		s = append(s, 0)
	}
	s[place/8] |= 1 << (place % 8)
	return s
}

// or adds the places of another set.
func (s bitset) or(o bitset) bitset {
	s = slices.Clone(s)
	for len(s) < len(o) {
		s = append(s, 0)
	}
	for i, b := range o {
		s[i] |= b
	}
	return s
}

// and keeps the places that are in another set too.
func (s bitset) and(o bitset) bitset {
	s = slices.Clone(s[:min(len(s), len(o))])
	for i := range s {
		s[i] &= o[i]
	}
	return s
}

// places gives the places that are in the set, ascending.
func (s bitset) places() []int {
	var list []int
	for i, b := range s {
		for ; b != 0; b &= b - 1 {
			list = append(list, 8*i+bits.TrailingZeros8(b))
		}
	}
	return list
}
