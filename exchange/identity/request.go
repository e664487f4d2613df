package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// maxRequest bounds a certificate request or a certificate, in bytes.
const maxRequest = 16 << 10

// ParseRequest reads a PKCS #10 request, PEM or DER, and gives its public key;
// everything else in it is passed over. The request's own signature shows that
// whoever made it holds the key (RFC 2986, section 3).
func ParseRequest(raw []byte) (crypto.PublicKey, error) {
	der, err := unwrap(raw, "certificate_request", "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
	if err != nil {
		return nil, err
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fault.Field("certificate_request", "request.broken", "is no PKCS #10 request")
	}
	if err := CheckKey(r.PublicKey); err != nil {
		return nil, err
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fault.Field("certificate_request", "request.signature", "is not signed by the key it holds")
	}
	return r.PublicKey, nil
}

// ParseCertificate reads a certificate, PEM or DER.
func ParseCertificate(raw []byte) (*x509.Certificate, error) {
	der, err := unwrap(raw, "certificate", "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault.Field("certificate", "certificate.broken", "is no X.509 certificate")
	}
	return c, nil
}

// unwrap gives the DER bytes of one PEM block of the given types, or of raw
// itself if it is DER.
func unwrap(raw []byte, field string, types ...string) ([]byte, error) {
	if len(raw) == 0 {
		return nil, fault.Field(field, field+".required", "is required")
	}
	if len(raw) > maxRequest {
		return nil, fault.Field(field, field+".size", "has more than %d bytes", maxRequest)
	}
	if !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("-----BEGIN ")) {
		return raw, nil
	}
	block, rest := pem.Decode(bytes.TrimSpace(raw))
	if block == nil || len(bytes.TrimSpace(rest)) != 0 {
		return nil, fault.Field(field, field+".pem", "is not one PEM block")
	}
	for _, t := range types {
		if block.Type == t {
			return block.Bytes, nil
		}
	}
	return nil, fault.Field(field, field+".pem", "is a PEM block of another type than %s", types[0])
}

// CheckKey accepts ECDSA P-256, ECDSA P-384 and Ed25519 keys.
func CheckKey(key crypto.PublicKey) error {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() {
			return nil
		}
	}
	return fault.Field("public_key", "key.algorithm", "use an ECDSA P-256, ECDSA P-384 or Ed25519 key")
}

// NewKey makes a key for a system.
func NewKey() (crypto.Signer, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// NewRequest makes a PKCS #10 request, PEM, for a system's key.
func NewRequest(name Name, key crypto.Signer) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: name.String()},
	}, key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// EncodeKey gives a private key as PKCS #8, PEM.
func EncodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// EncodeCertificate gives certificates as PEM.
func EncodeCertificate(certificates ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certificates {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}
