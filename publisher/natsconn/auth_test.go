package natsconn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// A file with what a user of a decentralised account has to show.
func TestCredsFile(t *testing.T) {
	content, edit := decentralised(t)
	s := serve(t, edit)
	path := filepath.Join(t.TempDir(), "user.creds")
	conn, err := Connect(t.Context(), Config{URL: s.ClientURL(), CredsFile: write(t, path, content)})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	other, _ := decentralised(t)
	token, _, _ := strings.Cut(content, "-----BEGIN USER NKEY SEED-----")
	_, seed, _ := strings.Cut(other, "-----BEGIN USER NKEY SEED-----")
	_, err = Connect(t.Context(), Config{URL: s.ClientURL(), CredsFile: write(t, path, token+"-----BEGIN USER NKEY SEED-----"+seed)})
	if !errors.Is(err, ErrAuth) {
		t.Errorf("with another user's seed: %v", err)
	}
}

// decentralised returns credentials of a user and what makes a server know their
// operator, and no other.
func decentralised(t *testing.T) (creds string, edit func(*server.Options)) {
	t.Helper()
	operator, account, user := pair(t, nkeys.CreateOperator), pair(t, nkeys.CreateAccount), pair(t, nkeys.CreateUser)
	claims := jwt.NewAccountClaims(public(t, account))
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: -1, MemoryStorage: -1}
	accountJWT, err := claims.Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	userJWT, err := jwt.NewUserClaims(public(t, user)).Encode(account)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	content, err := jwt.FormatUserConfig(userJWT, seed)
	if err != nil {
		t.Fatal(err)
	}
	system := pair(t, nkeys.CreateAccount)
	systemJWT, err := jwt.NewAccountClaims(public(t, system)).Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	return string(content), func(o *server.Options) {
		o.TrustedKeys = []string{public(t, operator)}
		o.SystemAccount = public(t, system)
		resolver := &server.MemAccResolver{}
		for key, token := range map[string]string{public(t, account): accountJWT, public(t, system): systemJWT} {
			if err := resolver.Store(key, token); err != nil {
				t.Fatal(err)
			}
		}
		o.AccountResolver = resolver
	}
}

// write puts content into a file and returns its path.
func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pair(t *testing.T, create func() (nkeys.KeyPair, error)) nkeys.KeyPair {
	t.Helper()
	p, err := create()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func public(t *testing.T, p nkeys.KeyPair) string {
	t.Helper()
	key, err := p.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// The server is trusted by its authority, and knows the client by a certificate.
func TestTLS(t *testing.T) {
	certFile, keyFile := selfSigned(t)
	otherCert, _ := selfSigned(t)
	s := serve(t, mutualTLS(t, certFile, keyFile))
	tests := []struct {
		name   string
		config Config
		ok     bool
	}{
		{name: "all three", config: Config{CAFile: certFile, CertFile: certFile, KeyFile: keyFile}, ok: true},
		{name: "another authority", config: Config{CAFile: otherCert, CertFile: certFile, KeyFile: keyFile}},
		{name: "no certificate", config: Config{CAFile: certFile}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.URL = s.ClientURL()
			conn, err := Dial(t.Context(), tt.config)
			if conn != nil {
				defer conn.Close()
			}
			if tt.ok != (err == nil) {
				t.Errorf("Dial: %v", err)
			}
		})
	}
}

// mutualTLS makes a server show a certificate and ask for the same one.
func mutualTLS(t *testing.T, certFile, keyFile string) func(*server.Options) {
	return func(o *server.Options) {
		cert, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		body, err := os.ReadFile(certFile)
		if err != nil || !pool.AppendCertsFromPEM(body) {
			t.Fatal(err)
		}
		o.TLS, o.TLSVerify, o.TLSTimeout = true, true, 2
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	}
}

// selfSigned writes a certificate for 127.0.0.1 that is its own authority.
func selfSigned(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "roomwatch test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
}
