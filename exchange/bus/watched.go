package bus

import "sync"

// watched is a pointer whose coming and going can be waited for.
type watched[T any] struct {
	mu    sync.Mutex
	value *T
	come  chan struct{} // closed while value is set
	went  chan struct{} // closed while value is nil
}

func (w *watched[T]) init() {
	if w.come == nil {
		w.come, w.went = make(chan struct{}), make(chan struct{})
		close(w.went)
	}
}

// Load gives the value; nil if there is none.
func (w *watched[T]) Load() *T {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.value
}

// Store sets the value, or takes it away with nil.
func (w *watched[T]) Store(value *T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.init()
	had, has := w.value != nil, value != nil
	w.value = value
	switch {
	case has && !had:
		close(w.come)
		w.went = make(chan struct{})
	case had && !has:
		close(w.went)
		w.come = make(chan struct{})
	}
}

func (w *watched[T]) set() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.init()
	return w.come
}

func (w *watched[T]) unset() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.init()
	return w.went
}
