package cli

import (
	"context"
	"errors"
	"io"

	"github.com/huitong-bus/huitong/sdk"
)

const (
	// checkLines and checkBytes bound one call of a dry run.
	checkLines = 500
	checkBytes = 2 << 20
)

// check has the exchange check every line and publishes none.
func (l *load) check(ctx context.Context) error {
	p := l.client.Publisher(sdk.PublisherConfig{Unsigned: l.unsigned})
	defer func() { _ = p.Close(ctx) }()
	progress := l.watch()
	defer progress()
	b := &checkBatch{load: l, publisher: p}
	for {
		next, err := l.lines.next()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err != nil || !b.fits(next) {
			if err := b.call(ctx); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
		b.add(next)
	}
}

// checkBatch is the lines of one call, in order, with what is wrong with them
// already.
type checkBatch struct {
	load      *load
	publisher *sdk.Publisher
	lines     []*line
	wrong     []error
	pubs      []sdk.Publication
	size      int
}

func (b *checkBatch) fits(next *line) bool {
	return len(b.lines) == 0 || len(b.lines) < checkLines && b.size+len(next.raw) <= checkBytes
}

func (b *checkBatch) add(next *line) {
	pub, err := b.load.template.of(next)
	b.lines, b.wrong, b.size = append(b.lines, next), append(b.wrong, err), b.size+len(next.raw)
	if err == nil {
		b.pubs = append(b.pubs, pub)
	}
}

func (b *checkBatch) call(ctx context.Context) error {
	results, err := b.publisher.Validate(ctx, b.pubs)
	if err != nil {
		return err
	}
	for i, l := range b.lines {
		r := sdk.Result{Err: b.wrong[i]}
		if r.Err == nil {
			r, results = results[0], results[1:]
		}
		if err := b.load.count(l, r.Receipt, r.Err); err != nil {
			return err
		}
	}
	b.lines, b.wrong, b.pubs, b.size = b.lines[:0], b.wrong[:0], b.pubs[:0], 0
	return nil
}
