package sample

import (
	"fmt"
	"strings"
	"time"
)

// Region is the fictional administrative division of everybody here.
const Region = "999999"

// ResidentID makes a resident identity number (GB 11643-1999). sequence is up
// to 999; it is odd for men and even for women.
func ResidentID(birth time.Time, sequence int) string {
	body := fmt.Sprintf("%s%s%03d", Region, birth.Format("20060102"), sequence%1000)
	weights := [...]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for i, w := range weights {
		sum += int(body[i]-'0') * w
	}
	return body + string("10X98765432"[sum%11])
}

const creditAlphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"

// CreditCode completes the first 17 characters of a unified social credit code
// with its check character (GB 32100-2015). body holds only characters of its
// alphabet.
func CreditCode(body string) string {
	weights := [...]int{1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28}
	sum := 0
	for i, w := range weights {
		sum += strings.IndexByte(creditAlphabet, body[i]) * w
	}
	return body + string(creditAlphabet[(31-sum%31)%31])
}

// enterpriseCode makes the credit code of the n-th fictional enterprise. Its
// middle part is an organisation code, which has a check character of its own
// (GB 11714-1997).
func enterpriseCode(n int) string {
	organisation := fmt.Sprintf("MA%06d", n)
	return CreditCode("91999900" + organisation + organisationCheck(organisation))
}

func organisationCheck(body string) string {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	weights := [...]int{3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for i, w := range weights {
		sum += strings.IndexByte(alphabet, body[i]) * w
	}
	return string("0123456789X"[(11-sum%11)%11])
}

// CertificateID makes an electronic certificate identifier (GB/T 36904-2018):
// the type is a credit code and three digits, the issuer a credit code. The
// check character is ISO 7064 MOD 37,36 over all parts but the root.
func CertificateID(kind, issuer, serial string, version int) string {
	number := fmt.Sprintf("%03d", version)
	check := mod3736(kind + issuer + serial + number)
	return strings.Join([]string{"1.2.156.3005.2", kind, issuer, serial, number, check}, ".")
}

func mod3736(s string) string {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	p := 36
	for i := range len(s) {
		p = (p + strings.IndexByte(alphabet, s[i])) % 36
		if p == 0 {
			p = 36
		}
		p = 2 * p % 37
	}
	return string(alphabet[(37-p)%36])
}
