package verify

import "fmt"

// StatusText is what a StatusAsked entry commits to under kind 'a': how the
// record stands, in a word, since when (µs UTC, 0 where that is not told), and
// the version that took its place, 0 if none.
func StatusText(word string, sinceUs int64, version uint32) string {
	return fmt.Sprintf("%s %d %d", word, sinceUs, version)
}
