//go:build !crashpoints

// Package crashpoint kills the process at a named point, for crash tests. In a
// binary built without the tag "crashpoints" it does nothing.
package crashpoint

// Here does nothing.
func Here(string) {}
