package identity

import (
	"crypto/x509"
	"net/url"
	"regexp"
	"strings"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
)

// Scheme is the scheme of the URI that names a system.
const Scheme = "huitong"

// Name names a system.
type Name struct {
	// Participant is a unified social credit code.
	Participant string
	// System is lower-case letters, digits, "-" and "_", at most 63.
	System string
}

var systemName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// ParseName reads "<participant>/<system>".
func ParseName(id string) (Name, error) {
	participant, system, ok := strings.Cut(id, "/")
	n := Name{participant, system}
	if !ok {
		return Name{}, fault.Field("id", "system.name", `is not "<participant>/<system>"`)
	}
	return n, n.check()
}

func (n Name) check() error {
	if err := contract.CheckCreditCode(n.Participant); err != nil {
		return fault.Field("participant", "identifier.credit_code", "%v", err)
	}
	if !systemName.MatchString(n.System) {
		return fault.Field("system", "system.name",
			`a system's name starts with a lower-case letter or digit, has lower-case letters, digits, "-" and "_", and at most 63 of them`)
	}
	return nil
}

// String gives "<participant>/<system>".
func (n Name) String() string { return n.Participant + "/" + n.System }

// URI gives the name as a certificate carries it.
func (n Name) URI() *url.URL {
	return &url.URL{Scheme: Scheme, Host: n.Participant, Path: "/" + n.System}
}

// ParseURI reads a name from a URI. Nothing but participant and system may be
// in it: what is passed over here might mean something to somebody else.
func ParseURI(u *url.URL) (Name, error) {
	n := Name{u.Host, strings.TrimPrefix(u.Path, "/")}
	if u.Scheme != Scheme || u.String() != n.URI().String() {
		return Name{}, fault.Field("certificate", "certificate.name", "the URI is not huitong://<participant>/<system>")
	}
	return n, n.check()
}

// NameOf reads the name of a certificate's system: it has exactly one such URI.
func NameOf(c *x509.Certificate) (Name, error) {
	var found *url.URL
	for _, u := range c.URIs {
		if u.Scheme != Scheme {
			continue
		}
		if found != nil {
			return Name{}, fault.Field("certificate", "certificate.name", "the certificate names more than one system")
		}
		found = u
	}
	if found == nil {
		return Name{}, fault.Field("certificate", "certificate.name", "the certificate has no URI huitong://<participant>/<system>")
	}
	return ParseURI(found)
}
