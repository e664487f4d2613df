package contract

import (
	"errors"
	"strconv"
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
	p, ok := partsOfCertificate(id)
	if !ok {
		return errCertificateForm
	}
	want := certificateCheck(p.kind, p.issuer, p.serial, p.version)
	if want == 0 {
		return errCertificateForm
	}
	if want != p.check[0] {
		return errCertificateCheck
	}
	return nil
}

// certificateParts are the parts of an identifier behind its root.
type certificateParts struct{ kind, issuer, serial, version, check string }

// partsOfCertificate takes an identifier apart, if it has the form of one.
func partsOfCertificate(id string) (p certificateParts, ok bool) {
	rest, ok := strings.CutPrefix(id, certificateRoot)
	if !ok {
		return p, false
	}
	p.kind, rest, _ = strings.Cut(rest, ".")
	p.issuer, rest, _ = strings.Cut(rest, ".")
	p.serial, rest, _ = strings.Cut(rest, ".")
	p.version, p.check, ok = strings.Cut(rest, ".")
	return p, ok && len(p.kind) == 21 && len(p.issuer) == 18 && p.serial != "" && len(p.serial) <= 64 &&
		len(p.version) == 3 && len(p.check) == 1 && digits(p.version) && digits(p.kind[18:])
}

// CertificateVersion gives the version that an identifier says, from 1; 0 if it
// is not well formed.
func CertificateVersion(id string) uint32 {
	p, ok := partsOfCertificate(id)
	if !ok {
		return 0
	}
	n, _ := strconv.ParseUint(p.version, 10, 32)
	return uint32(n)
}

// SameCertificate says whether two well-formed identifiers are versions of one
// certificate.
func SameCertificate(a, b string) bool {
	p, ok := partsOfCertificate(a)
	q, also := partsOfCertificate(b)
	return ok && also && p.kind == q.kind && p.issuer == q.issuer && p.serial == q.serial
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
