// Command bare is what latchkey is compared with: an HTTP server of the standard library
// that reads each body, parses it if it is a structured CloudEvent, and answers 204. It
// prints its address.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	s := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var fields map[string]any
		if err == nil && r.Header.Get("Content-Type") == "application/cloudevents+json" {
			err = json.Unmarshal(body, &fields)
		}
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})}
	_ = s.Serve(l)
}
