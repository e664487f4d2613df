package contract

import (
	"errors"
	"strings"
)

// What can be wrong with an electronic certificate identifier.
var (
	errCertificateForm  = errors.New("an electronic certificate identifier is 1.2.156.3005.2, type (21), issuer (18), serial, version (3 digits) and check character, joined by dots")
	errCertificateCheck = errors.New("the check character is wrong")
)

// certificateRoot is the object identifier under which certificates are numbered.
const certificateRoot = "1.2.156.3005.2."

// CheckCertificateID checks an electronic certificate identifier
// (GB/T 36904-2018), in upper case: its parts and its check character. The
// codes of type and issuer are not checked for themselves: real certificates
// carry codes older than the rules for them.
func CheckCertificateID(id string) error {
	rest, ok := strings.CutPrefix(id, certificateRoot)
	if !ok {
		return errCertificateForm
	}
	kind, rest, _ := strings.Cut(rest, ".")
	issuer, rest, _ := strings.Cut(rest, ".")
	serial, rest, _ := strings.Cut(rest, ".")
	version, check, ok := strings.Cut(rest, ".")
	if !ok || len(kind) != 21 || len(issuer) != 18 || serial == "" || len(serial) > 64 ||
		len(version) != 3 || len(check) != 1 || !digits(version) || !digits(kind[18:]) {
		return errCertificateForm
	}
	want := certificateCheck(kind, issuer, serial, version)
	if want == 0 {
		return errCertificateForm
	}
	if want != check[0] {
		return errCertificateCheck
	}
	return nil
}

// CertificateID puts an identifier together and computes its check character;
// empty if a part has other characters than digits and capital letters.
func CertificateID(kind, issuer, serial, version string) string {
	check := certificateCheck(kind, issuer, serial, version)
	if check == 0 {
		return ""
	}
	return certificateRoot + kind + "." + issuer + "." + serial + "." + version + "." + string(check)
}

// certificateCheck is ISO 7064 MOD 37,36 over the parts without root and dots;
// 0 if a character has no value.
func certificateCheck(parts ...string) byte {
	p := 36
	for _, part := range parts {
		for i := range len(part) {
			v := value36(part[i])
			if v < 0 {
				return 0
			}
			if p += v; p > 36 {
				p -= 36
			}
			if p *= 2; p >= 37 {
				p -= 37
			}
		}
	}
	return "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[(37-p)%36]
}

// value36 is the value of a digit or capital letter; -1 for all else.
func value36(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case c >= 'A' && c <= 'Z':
		return int(c-'A') + 10
	}
	return -1
}
