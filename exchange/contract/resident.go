package contract

import "errors"

// What can be wrong with a resident identity number.
var (
	errResidentLength = errors.New("a resident identity number has 18 characters, or 15 digits in its old form")
	errResidentDigits = errors.New("a resident identity number has digits only, but for a last X")
	errResidentBirth  = errors.New("the birth date within the number does not exist")
	errResidentCheck  = errors.New("the check digit is wrong")
)

// residentWeights are the weighting factors of GB 11643-1999, clause 4.3, and
// residentChecks the check digit for each remainder: ISO 7064 MOD 11-2.
var residentWeights = [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}

const residentChecks = "10X98765432"

// ResidentCheckDigit gives the check digit for the first 17 digits of a
// resident identity number; 0 if they are not 17 digits.
func ResidentCheckDigit(first17 string) byte {
	if len(first17) != 17 || !digits(first17) {
		return 0
	}
	sum := 0
	for i, w := range residentWeights {
		sum += int(first17[i]-'0') * w
	}
	return residentChecks[sum%11]
}

// CheckResidentID checks a resident identity number of 18 characters
// (GB 11643-1999) in upper case, or of 15 digits (GB 11643-1989), which has no
// check digit. Whether its region exists is not checked: divisions change.
func CheckResidentID(number string) error {
	switch len(number) {
	case 15:
		if !digits(number) {
			return errResidentDigits
		}
		_, err := upgradeResidentID(number)
		return err
	case 18:
		if last := number[17]; !digits(number[:17]) || !(isDigit(last) || last == 'X') {
			return errResidentDigits
		}
		if year(number[6:10]) < 1800 || !calendarDay(number[6:10], number[10:12], number[12:14]) {
			return errResidentBirth
		}
		if ResidentCheckDigit(number[:17]) != number[17] {
			return errResidentCheck
		}
		return nil
	}
	return errResidentLength
}

// upgradeResidentID gives the 18 characters of an old number of 15 digits, as
// they were given out in 1999: the century and the check digit are put in.
// Sequence numbers 996 to 999 were kept for those born before 1900.
func upgradeResidentID(number string) (string, error) {
	century := "19"
	if number[12:] >= "996" {
		century = "18"
	}
	b := make([]byte, 0, 18)
	b = append(b, number[:6]...)
	b = append(b, century...)
	b = append(b, number[6:]...)
	if !calendarDay(string(b[6:10]), string(b[10:12]), string(b[12:14])) {
		return "", errResidentBirth
	}
	return string(append(b, ResidentCheckDigit(string(b)))), nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func digits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}
