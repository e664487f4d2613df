package contract

import "errors"

var errRegion = errors.New("an administrative division code has six digits: province, prefecture, county, the lower levels 00 where it names a higher one")

// CheckRegion checks the form of an administrative division code (GB/T 2260):
// two digits a level, nothing below a level that is not named. Whether the
// division exists is not checked: the list changes every year.
func CheckRegion(code string) error {
	if len(code) != 6 || !digits(code) || code[0] == '0' {
		return errRegion
	}
	if code[2:4] == "00" && code[4:] != "00" {
		return errRegion
	}
	return nil
}
