package subscription

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
)

// Erase takes the dead letters of a record that is erased, in the journal's
// transaction: what was said of why they could not be handled may tell of it.
// Only that of the erasure itself, if there comes to be one, stays. A replay of
// one that is gone finds nothing to deliver.
func Erase(ctx context.Context, tx store.Tx, e journal.Erased) error {
	for _, version := range e.Versions {
		if _, err := tx.ExecContext(ctx, "DELETE FROM dead_letters WHERE idx = $1", int64(version)); err != nil {
			return err
		}
	}
	return nil
}
