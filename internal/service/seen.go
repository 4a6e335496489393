package service

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/trace"
)

// maySee reports whether a caller may see metrics and pages: it shows a
// token, as a bearer token or as the password of a browser, or it is local.
func (s *Service) maySee(r *http.Request) bool {
	if _, password, basic := r.BasicAuth(); basic {
		return len(r.Header.Values("Authorization")) == 1 && password != "" && s.holder(secret.New(password)) != nil
	}
	from, ok := s.authenticate(r)
	return from != nil || ok && s.cfg.Local && local(r)
}

// ofProxies are headers by which proxies tell that they pass a request on, beside those
// that begin with X-.
var ofProxies = []string{"Via", "Forwarded", "Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Fastly-Client-Ip", "Cdn-Loop"}

// passedOn reports whether a header shows a proxy. Of the headers that begin with X-,
// only Prometheus sends its own by itself.
func passedOn(header string) bool {
	return slices.Contains(ofProxies, header) || strings.HasPrefix(header, "X-") && !strings.HasPrefix(header, "X-Prometheus-")
}

// local reports whether a request comes from this machine, past no proxy. The name
// that it asks for is loopback's, so that no page of another site can ask for it.
func local(r *http.Request) bool {
	for h := range r.Header {
		if passedOn(h) {
			return false
		}
	}
	return Loopback(r.RemoteAddr) && Loopback(r.Host)
}

// Loopback reports whether an address, with or without a port, is on loopback.
func Loopback(address string) bool {
	host := address
	if h, _, err := net.SplitHostPort(address); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// shown returns a handler for callers who may see. Others are asked for a token.
func (s *Service) shown(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.maySee(r) {
			s.count("page", http.StatusUnauthorized)
			if len(s.cfg.Events.Callers) > 0 {
				w.Header().Set("WWW-Authenticate", `Basic realm="latchkey: the password is the token of a caller", charset="UTF-8"`)
			}
			http.Error(w, "Show the token of one of the callers in the config, as a bearer token or as the password.", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// count counts an answer.
func (s *Service) count(source string, status int) {
	if s.cfg.Answered != nil {
		s.cfg.Answered(source, status)
	}
}

// counted returns a handler whose answers are counted.
func (s *Service) counted(source string, h http.HandlerFunc) http.Handler {
	if s.cfg.Answered == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := trace.NewStatusWriter(w)
		h(answer, r)
		s.cfg.Answered(source, answer.Status)
	})
}
