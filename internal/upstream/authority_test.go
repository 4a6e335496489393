package upstream_test

import (
	"bytes"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/latchkey-io/latchkey/internal/upstream"
)

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestACAFileIsReadAgain(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	file := filepath.Join(t.TempDir(), "ca.pem")
	client := &http.Client{Transport: upstream.NewTransportTrusting(file)}
	defer client.CloseIdleConnections()
	reached := func() bool {
		resp, err := client.Get(server.URL)
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	}
	if reached() {
		t.Error("without the file")
	}
	put(t, file, string(own))
	if !reached() {
		t.Error("the error of a missing file is kept")
	}
	put(t, file, "half a fi")
	if !reached() {
		t.Error("a file that is not valid has replaced the last one")
	}
	put(t, file, string(bytes.Repeat(own, 2)))
	if !reached() {
		t.Error("another content")
	}
	if err := os.Remove(file); err != nil || !reached() {
		t.Errorf("without the file, later (%v)", err)
	}
}
