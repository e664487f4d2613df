package contract

import (
	"errors"
	"strings"
)

// What can be wrong with a unified social credit code.
var (
	errCreditLength = errors.New("a unified social credit code has 18 characters")
	errCreditLetter = errors.New("a unified social credit code has digits and capital letters other than I, O, S, V and Z")
	errCreditCheck  = errors.New("the check character is wrong")
)

// creditAlphabet gives the characters of GB 32100-2015 in the order of their
// values, creditWeights the weighting factors of its clause 5.4: 3^i mod 31.
const creditAlphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"

var creditWeights = [17]int{1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28}

// CreditCheckCharacter gives the check character for the first 17 characters of
// a unified social credit code; 0 if they cannot be its first 17.
func CreditCheckCharacter(first17 string) byte {
	if len(first17) != 17 {
		return 0
	}
	sum := 0
	for i, w := range creditWeights {
		v := strings.IndexByte(creditAlphabet, first17[i])
		if v < 0 {
			return 0
		}
		sum += v * w
	}
	return creditAlphabet[(31-sum%31)%31]
}

// CheckCreditCode checks a unified social credit code (GB 32100-2015), in upper
// case.
func CheckCreditCode(code string) error {
	if len(code) != 18 {
		return errCreditLength
	}
	check := CreditCheckCharacter(code[:17])
	if check == 0 || strings.IndexByte(creditAlphabet, code[17]) < 0 {
		return errCreditLetter
	}
	if check != code[17] {
		return errCreditCheck
	}
	return nil
}
