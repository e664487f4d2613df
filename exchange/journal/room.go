package journal

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// room bounds the bytes of what waits. One caller may take a part of it only: the
// rest of what it brings waits outside, where it is in nobody's way.
type room struct {
	size int64
	all  *semaphore.Weighted

	mu sync.Mutex
	of map[string]*part
}

// part is one caller's part, known for as long as the caller uses it.
type part struct {
	*semaphore.Weighted
	users int
}

// callerPart is the share of the room that one caller may take.
const callerPart = 4

func newRoom(size int64) *room {
	return &room{size: size, all: semaphore.NewWeighted(size), of: map[string]*part{}}
}

// acquire waits for room and takes it until release. What is larger than the
// caller's part takes all of that.
func (r *room) acquire(ctx context.Context, from string, size int64) (release func(), err error) {
	size = min(size, r.size/callerPart)
	p := r.part(from)
	if err := p.Acquire(ctx, size); err != nil {
		r.leave(from, p)
		return nil, err
	}
	if err := r.all.Acquire(ctx, size); err != nil {
		p.Release(size)
		r.leave(from, p)
		return nil, err
	}
	return func() {
		r.all.Release(size)
		p.Release(size)
		r.leave(from, p)
	}, nil
}

func (r *room) part(from string) *part {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.of[from]
	if p == nil {
		p = &part{Weighted: semaphore.NewWeighted(r.size / callerPart)}
		r.of[from] = p
	}
	p.users++
	return p
}

func (r *room) leave(from string, p *part) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.users--; p.users == 0 {
		delete(r.of, from)
	}
}
