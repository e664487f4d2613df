package access

import accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"

// Open says how many windows are open.
func (r *Refusals) Open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open)
}

// PutForTest puts a grant into memory only.
func (p *Policy) PutForTest(m *accessv1.Grant) {
	p.grants.mu.Lock()
	defer p.grants.mu.Unlock()
	p.grants.put(newGrant(m))
}
