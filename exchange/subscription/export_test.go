package subscription

// Sleeping says how many topics have readers that sleep.
func (m *Manager) Sleeping() int {
	m.dormant.mu.Lock()
	defer m.dormant.mu.Unlock()
	return len(m.dormant.topics)
}
