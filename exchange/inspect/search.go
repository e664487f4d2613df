package inspect

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// window is how many blocks of bits are read at once.
const window = 16

// span is a range of entries, [low, high), and the order to walk it in.
type span struct {
	low, high  uint64
	descending bool
}

func (s span) empty() bool { return s.low >= s.high }

// after is what is left of the span once an entry was seen.
func (s span) after(index uint64) span {
	if s.descending {
		s.high = index
	} else {
		s.low = index + 1
	}
	return s
}

// search gives candidates of a query in order: all that the span holds up to
// some place, and the rest of the span from there. An empty rest is the end.
func (x *Index) search(ctx context.Context, q *query, s span) (found []uint64, rest span, err error) {
	switch {
	case s.empty():
		return nil, s, nil
	case len(q.tokens) > 0:
		found, err = x.byTokens(ctx, q.tokens, s)
		s.high = s.low
		return found, s, err
	case len(q.groups) == 0:
		return all(s)
	}
	return x.byBits(ctx, q.groups, s)
}

// all gives every entry of a span, a block's worth at a time.
func all(s span) (found []uint64, rest span, err error) {
	for len(found) < blockSize && !s.empty() {
		index := s.low
		if s.descending {
			index = s.high - 1
		}
		found = append(found, index)
		s = s.after(index)
	}
	return found, s, nil
}

// byTokens gives the entries that have one token of each list.
func (x *Index) byTokens(ctx context.Context, lists [][]int64, s span) ([]uint64, error) {
	var found []uint64
	for i, list := range lists {
		var these []uint64
		for _, token := range list {
			more, err := x.withToken(ctx, token, s)
			if err != nil {
				return nil, err
			}
			these = append(these, more...)
		}
		slices.Sort(these)
		these = slices.Compact(these)
		if i > 0 {
			these = slices.DeleteFunc(these, func(index uint64) bool {
				_, ok := slices.BinarySearch(found, index)
				return !ok
			})
		}
		found = these
	}
	if s.descending {
		slices.Reverse(found)
	}
	return found, nil
}

func (x *Index) withToken(ctx context.Context, token int64, s span) ([]uint64, error) {
	rows, err := x.DB.Index.Read().QueryContext(ctx, "SELECT idx FROM index_tokens WHERE token = $1 AND idx >= $2 AND idx < $3",
		token, int64(s.low), int64(s.high))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []uint64
	for rows.Next() {
		var index uint64
		if err := rows.Scan(&index); err != nil {
			return nil, err
		}
		found = append(found, index)
	}
	return found, rows.Err()
}

// byBits gives the entries of the next window of blocks that hold one term of
// each group. It leaps over blocks where some group has no term at all.
func (x *Index) byBits(ctx context.Context, groups [][]int64, s span) (found []uint64, rest span, err error) {
	block, ok, err := x.leap(ctx, groups, s)
	if err != nil || !ok {
		s.high = s.low
		return nil, s, err
	}
	from, to := block, block+window
	if s.descending {
		from, to = max(block-window+1, 0), block+1
	}
	sets, err := x.window(ctx, groups, from, to)
	if err != nil {
		return nil, s, err
	}
	for _, b := range slices.Sorted(mapKeys(sets)) {
		for _, place := range sets[b].places() {
			if index := uint64(b)*blockSize + uint64(place); index >= s.low && index < s.high {
				found = append(found, index)
			}
		}
	}
	if s.descending {
		slices.Reverse(found)
		s.high = max(min(s.high, uint64(from)*blockSize), s.low)
	} else {
		s.low = min(max(s.low, uint64(to)*blockSize), s.high)
	}
	return found, s, nil
}

func mapKeys(sets map[int64]bitset) func(yield func(int64) bool) {
	return func(yield func(int64) bool) {
		for b := range sets {
			if !yield(b) {
				return
			}
		}
	}
}

// leap gives the first block of a span where every group may have a term.
func (x *Index) leap(ctx context.Context, groups [][]int64, s span) (block int64, ok bool, err error) {
	block, _ = blockOf(s.low)
	end, _ := blockOf(s.high - 1)
	if s.descending {
		block, end = end, block
	}
	for settled := false; !settled; {
		settled = true
		for _, group := range groups {
			next, ok, err := x.nextBlock(ctx, group, block, s.descending)
			if err != nil || !ok {
				return 0, false, err
			}
			if s.descending && next < end || !s.descending && next > end {
				return 0, false, nil
			}
			if next != block {
				block, settled = next, false
			}
		}
	}
	return block, true, nil
}

// nextBlock gives the first block, from one on, where one of the terms stands.
func (x *Index) nextBlock(ctx context.Context, group []int64, from int64, descending bool) (block int64, ok bool, err error) {
	query := "SELECT coalesce(min(block), -1) FROM index_bits WHERE term = $1 AND block >= $2"
	if descending {
		query = "SELECT coalesce(max(block), -1) FROM index_bits WHERE term = $1 AND block <= $2"
	}
	for _, term := range group {
		var found int64
		if err := x.DB.Index.Read().QueryRowContext(ctx, query, term, from).Scan(&found); err != nil {
			return 0, false, err
		}
		if found >= 0 && (!ok || descending && found > block || !descending && found < block) {
			block, ok = found, true
		}
	}
	return block, ok, nil
}

// window reads the blocks [from, to) and intersects the groups in each.
func (x *Index) window(ctx context.Context, groups [][]int64, from, to int64) (map[int64]bitset, error) {
	var sets map[int64]bitset
	for i, group := range groups {
		these, err := x.bits(ctx, group, from, to)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			for b, have := range sets {
				sets[b] = have.and(these[b])
			}
			continue
		}
		sets = these
	}
	return sets, nil
}

// bits gives, for each block, the places that have one of the terms.
func (x *Index) bits(ctx context.Context, group []int64, from, to int64) (map[int64]bitset, error) {
	args := []any{from, to}
	marks := make([]string, len(group))
	for i, term := range group {
		args = append(args, term)
		marks[i] = "$" + strconv.Itoa(i+3)
	}
	rows, err := x.DB.Index.Read().QueryContext(ctx,
		"SELECT block, bits FROM index_bits WHERE block >= $1 AND block < $2 AND term IN ("+strings.Join(marks, ",")+")", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	sets := map[int64]bitset{}
	for rows.Next() {
		var block int64
		var bits bitset
		if err := rows.Scan(&block, (*[]byte)(&bits)); err != nil {
			return nil, err
		}
		sets[block] = sets[block].or(bits)
	}
	return sets, rows.Err()
}
