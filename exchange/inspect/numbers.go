package inspect

import (
	"encoding/binary"

	"github.com/huitong-bus/huitong/exchange/identity"
)

// tokenNumber gives the number by which the index knows a subject's or case's
// token: 63 bits of its HMAC. Whoever looks up by it compares the whole token
// where the entry holds it.
func tokenNumber(token []byte) int64 {
	if len(token) < 9 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(token[1:9]) >> 1)
}

// recordNumber gives the number of a record's key token, in the order of the
// tokens.
func recordNumber(keyToken []byte) int64 {
	if len(keyToken) < 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(keyToken) >> 1)
}

// splitTokens gives the subject tokens of a publication, each once.
func splitTokens(joined []byte) [][]byte {
	var tokens [][]byte
	for i := 0; i+identity.TokenSize <= len(joined); i += identity.TokenSize {
		token := joined[i : i+identity.TokenSize]
		if !holdsToken(joined[:i], token) {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

func holdsToken(joined, token []byte) bool {
	for i := 0; i+identity.TokenSize <= len(joined); i += identity.TokenSize {
		if string(joined[i:i+identity.TokenSize]) == string(token) {
			return true
		}
	}
	return false
}

// numbers packs the numbers of tokens as index_entries holds them.
func packNumbers(numbers []int64) []byte {
	b := make([]byte, 0, 8*len(numbers))
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return b
}

func unpackNumbers(b []byte) []int64 {
	numbers := make([]int64, 0, len(b)/8)
	for ; len(b) >= 8; b = b[8:] {
		numbers = append(numbers, int64(binary.BigEndian.Uint64(b)))
	}
	return numbers
}
