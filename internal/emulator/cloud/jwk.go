package cloud

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"sync"
)

// The two primes of the key that signs access tokens. Generating a key takes
// longer than most tests, so every cloud has the same one. It protects nothing:
// a token is valid only in the cloud whose key ID it has.
const (
	primeP = "d655fe22798baa978ff679d50321d42280f87845e0651aa1faaa0a7f6e8e6e91" +
		"7ceee6588a5c3f94e8f255257cba2a903c0fd88bfd4a674e9b25255a83ef597d" +
		"f9b5717e914c16a7d5c9b281e820b6b77cc6a554a9994cb091fe050d406d93af" +
		"fe147ef33eaca421f4cca4750adcefdd6ae3f995e60854a32812905e9fad3d1d"
	primeQ = "c9dc65c667eed66f154308d7b54d1d72dcc212f501699a1d3c04b1956a717eb3" +
		"91c7abe91bc2e041f00256615b2b98ff760139895c18540ee3a84275f5a8a68a" +
		"4c952f2ea1402c4706c37ff4376ce2569e69676ad1444aa11262a016eb998c5b" +
		"4b99b26725a877f724f740ac7106f66987a1166b86d0a980c298c95214ee4665"
)

const publicExponent = 65537

var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	p, q, e, one := number(primeP), number(primeQ), big.NewInt(publicExponent), big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	k := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: publicExponent},
		D:         new(big.Int).ModInverse(e, phi), Primes: []*big.Int{p, q},
	}
	k.Precompute()
	return k
})

func number(hex string) *big.Int {
	n, ok := new(big.Int).SetString(hex, 16)
	if !ok {
		panic("reading a prime") // a constant
	}
	return n
}

// JWK is a public key that verifies access tokens (RFC 7517).
type JWK struct {
	Type      string `json:"kty"`
	Modulus   string `json:"n"`
	Exponent  string `json:"e"`
	Algorithm string `json:"alg"`
	ID        string `json:"kid"`
}

// Keys returns the keys that verify this cloud's access tokens.
func (c *Cloud) Keys() []JWK {
	public := signingKey().PublicKey
	return []JWK{{Type: "RSA", Algorithm: "RS256", ID: c.keyID,
		Modulus:  base64.RawURLEncoding.EncodeToString(public.N.Bytes()),
		Exponent: base64.RawURLEncoding.EncodeToString(big.NewInt(publicExponent).Bytes()),
	}}
}

// newKeyID returns a key ID of twelve digits. IAM's key IDs are digits, too.
func newKeyID(random []byte) string {
	return fmt.Sprintf("%012d", binary.BigEndian.Uint64(random)%1_000_000_000_000)
}

// sign returns the RS256 signature of a token.
func sign(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	signature, err := rsa.SignPKCS1v15(nil, signingKey(), crypto.SHA256, sum[:])
	if err != nil {
		panic("signing a token: " + err.Error()) // the key is a constant
	}
	return signature
}

func verifies(s string, signature []byte) bool {
	sum := sha256.Sum256([]byte(s))
	return rsa.VerifyPKCS1v15(&signingKey().PublicKey, crypto.SHA256, sum[:], signature) == nil
}
