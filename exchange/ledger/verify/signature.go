package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
)

// Sign signs a statement with the key of a client certificate.
func Sign(key crypto.Signer, statement []byte) ([]byte, error) {
	switch public := key.Public().(type) {
	case ed25519.PublicKey:
		return key.Sign(rand.Reader, statement, crypto.Hash(0))
	case *ecdsa.PublicKey:
		digest, hash, err := ecdsaDigest(public, statement)
		if err != nil {
			return nil, err
		}
		return key.Sign(rand.Reader, digest, hash)
	default:
		return nil, fmt.Errorf("a key of type %T cannot sign; use ECDSA P-256, P-384 or Ed25519", public)
	}
}

// CheckSignature checks a statement's signature by a client certificate's
// public key.
func CheckSignature(key crypto.PublicKey, statement, signature []byte) error {
	good := false
	switch public := key.(type) {
	case ed25519.PublicKey:
		good = ed25519.Verify(public, statement, signature)
	case *ecdsa.PublicKey:
		digest, _, err := ecdsaDigest(public, statement)
		if err != nil {
			return err
		}
		good = ecdsa.VerifyASN1(public, digest, signature)
	default:
		return fmt.Errorf("keys of type %T do not sign", key)
	}
	if !good {
		return errors.New("the signature is not by this key over this statement")
	}
	return nil
}

func ecdsaDigest(public *ecdsa.PublicKey, statement []byte) ([]byte, crypto.Hash, error) {
	switch public.Curve {
	case elliptic.P256():
		d := sha256.Sum256(statement)
		return d[:], crypto.SHA256, nil
	case elliptic.P384():
		d := sha512.Sum384(statement)
		return d[:], crypto.SHA384, nil
	}
	return nil, 0, fmt.Errorf("curve %s is not supported; use P-256 or P-384", public.Params().Name)
}
