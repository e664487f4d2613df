package inspect

import (
	"context"
	"fmt"
	"strconv"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
)

const (
	// exportPage is how many leaves are read at once.
	exportPage = 256
	// exportBytes is how many bytes of leaves are sent at once.
	exportBytes = 1 << 20
)

// Export gives the leaves [from, until), in order; until 0 is the ledger's size.
// checkpoint covers them all, and stands with the first of them. It is for
// auditors.
func (l *Ledger) Export(ctx context.Context, caller *identity.Caller, from, until uint64, send func(first uint64, leaves [][]byte, checkpoint string) error) error {
	text := fmt.Sprintf("from_index=%q until_index=%q", strconv.FormatUint(from, 10), strconv.FormatUint(until, 10))
	if _, _, err := l.enter(ctx, caller, access.ExportLedger, "export", text); err != nil {
		return err
	}
	head := l.Journal.Head()
	if until == 0 {
		until = head.Size
	}
	if until > head.Size || from > until {
		return fault.Field("until_index", "export.range", "the range must lie in a ledger of %d entries", head.Size)
	}
	checkpoint := string(head.Checkpoint)
	if from == until {
		return send(from, nil, checkpoint)
	}
	for from < until {
		lines, err := l.leaves(ctx, from, min(until, from+exportPage))
		if err != nil {
			return err
		}
		for len(lines) > 0 {
			n := fill(lines)
			if err := send(from, lines[:n:n], checkpoint); err != nil {
				return err
			}
			from, lines, checkpoint = from+uint64(n), lines[n:], ""
		}
	}
	return nil
}

// fill gives how many leaves go into one message, at least one.
func fill(leaves [][]byte) int {
	size := 0
	for n, leaf := range leaves {
		if size += len(leaf); n > 0 && size > exportBytes {
			return n
		}
	}
	return len(leaves)
}

func (l *Ledger) leaves(ctx context.Context, from, to uint64) ([][]byte, error) {
	rows, err := l.DB.Reader().QueryContext(ctx, "SELECT idx, leaf FROM ledger WHERE idx >= $1 AND idx < $2 ORDER BY idx", int64(from), int64(to))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var leaves [][]byte
	for next := from; rows.Next(); next++ {
		var index uint64
		var leaf []byte
		if err := rows.Scan(&index, &leaf); err != nil {
			return nil, err
		}
		if index != next {
			return nil, fmt.Errorf("inspect: entry %d is missing in the ledger", next)
		}
		leaves = append(leaves, leaf)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if uint64(len(leaves)) != to-from {
		return nil, fmt.Errorf("inspect: entry %d is missing in the ledger", from+uint64(len(leaves)))
	}
	return leaves, nil
}
