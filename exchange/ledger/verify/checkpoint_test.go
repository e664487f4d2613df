package verify_test

import (
	"strings"
	"testing"
)

// TestOneSpellingOfASignature: the last letter of a signature has bits that are
// not of its bytes; none of them may be changed either.
func TestOneSpellingOfASignature(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	l := newLog(t, 5, 0, 5)
	signed := []byte(l.proof.Checkpoint)
	if _, err := l.verifier(t).Open(signed); err != nil {
		t.Fatal(err)
	}
	last := strings.LastIndexByte(string(signed), '=') - 1
	value := strings.IndexByte(alphabet, signed[last])
	for unused := 1; unused < 4; unused++ {
		signed[last] = alphabet[value|unused]
		if _, err := l.verifier(t).Open(signed); err == nil {
			t.Errorf("a signature that ends with %q is taken for one that ends with %q", signed[last], alphabet[value])
		}
	}
}
