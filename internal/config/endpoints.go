package config

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/latchkey-io/latchkey/internal/hosts"
)

// Endpoint is a server that the config makes latchkey call.
type Endpoint struct {
	// Host is its name. An asterisk stands for what an expression yields.
	Host string `json:"host,omitempty"`
	Port int    `json:"port,omitempty"`
	// Kubeconfig is the variable or file with the address of a cluster's API server;
	// Host and Port are then empty.
	Kubeconfig string `json:"kubeconfig,omitempty"`
	For        string `json:"for"` // the first field of the config that needs it
}

// String returns host:port, or where they stand.
func (e Endpoint) String() string {
	if e.Kubeconfig != "" {
		return "the API server of the kubeconfig " + e.Kubeconfig
	}
	return e.Host + ":" + strconv.Itoa(e.Port)
}

// https is the port of https.
const https = 443

// apiServer is the API server of the cluster that latchkey runs in.
const apiServer = "kubernetes.default.svc"

// endpoints gathers the servers that a config needs.
type endpoints struct {
	private bool
	all     []Endpoint
}

func (n *endpoints) add(e Endpoint) {
	same := func(had Endpoint) bool {
		had.For = e.For
		return had == e
	}
	if !slices.ContainsFunc(n.all, same) {
		n.all = append(n.all, e)
	}
}

// ibm adds a host of IBM Cloud.
func (n *endpoints) ibm(host, what string) { n.add(Endpoint{Host: host, Port: https, For: what}) }

// at adds the server of a URL, which the decoder has checked.
func (n *endpoints) at(address, what string) {
	u, err := url.Parse(address)
	if err != nil {
		return
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		port = https
		if u.Scheme == "http" {
			port = 80
		}
	}
	n.add(Endpoint{Host: u.Hostname(), Port: port, For: what})
}

// endpoints returns the servers that the config makes latchkey call.
func (c *Config) endpoints() []Endpoint {
	n := &endpoints{private: c.Endpoints == Private}
	n.ibm(hosts.IAM(n.private), "identity")
	for i, region := range c.Regions {
		n.ibm(hosts.CodeEngine(region, n.private), fmt.Sprintf("regions[%d]", i))
	}
	for _, e := range c.Entries {
		n.proofs(e)
		var searched []string
		if e.ForEach != "" {
			searched = c.Regions
		}
		for _, s := range e.stores {
			n.store(s, searched)
		}
	}
	for i, s := range c.Outcomes {
		at := fmt.Sprintf("outcomes[%d]", i)
		if s.Notifications != nil {
			n.ibm(hosts.EventNotifications(s.Notifications.Region, n.private), at+".eventNotifications")
		} else {
			n.at(s.URL, at+".url")
		}
	}
	if p := c.Provider; p != nil {
		for i, instance := range p.Instances {
			n.ibm(hosts.SecretsManager(instance, hosts.Any, n.private), fmt.Sprintf("provider.instances[%d]", i))
		}
		if p.Logs != nil {
			n.ibm(hosts.CloudLogs(p.Logs.Instance, p.Logs.Region, n.private), "provider.prove.logs")
		}
	}
	return n.all
}

func (n *endpoints) proofs(e *Entry) {
	if l := e.prove.logs; l != nil {
		n.ibm(hosts.CloudLogs(l.instance.pattern(), l.region.pattern(), n.private), l.at.path)
	}
	for _, h := range e.prove.http {
		at := h.at.path
		switch {
		case h.url != nil:
			address := h.url.parts[0].literal // an expression is behind the host
			rest := strings.TrimPrefix(address, "https://")
			if end := strings.IndexAny(rest, "/?"); end >= 0 {
				rest = rest[:end]
			}
			n.at("https://"+rest, at+".url")
		case h.logs != nil:
			n.ibm(hosts.CloudLogs(h.logs.instance.pattern(), h.logs.region.pattern(), n.private), at+".logs")
		case h.objects != nil:
			n.ibm(hosts.ObjectStorage(h.objects.region.pattern(), n.private), at+".cos")
		case h.topic != nil:
			n.at(h.topic.server, at+".eventStreams")
		case h.image != nil:
			n.ibm(hosts.ContainerRegistry(registries[h.image.region], n.private), at+".containerRegistry")
		case h.secrets != nil:
			n.ibm(hosts.SecretsManager(h.secrets.instance.pattern(), h.secrets.region.pattern(), n.private), at+".secretsManager")
		}
	}
}

// store adds the server of a store. The projects of forEach are in the regions that are
// searched for them.
func (n *endpoints) store(s storeTemplate, searched []string) {
	at := s.at.path
	switch {
	case s.codeEngine != nil:
		if r := s.codeEngine.region; r != nil && (searched == nil || r.pattern() != hosts.Any) {
			searched = []string{r.pattern()}
		}
		for _, region := range searched {
			n.ibm(hosts.CodeEngine(region, n.private), at+".codeEngine")
		}
	case s.secretsManager != nil:
		n.ibm(hosts.SecretsManager(s.secretsManager.instance.pattern(), s.secretsManager.region.pattern(), n.private), at+".secretsManager")
	case s.kubernetes != nil:
		if from := cmp.Or(s.kubernetes.kubeconfigEnv, s.kubernetes.kubeconfigFile); from != "" {
			n.add(Endpoint{Kubeconfig: from, For: at + ".kubernetes"})
		} else {
			n.add(Endpoint{Host: apiServer, Port: https, For: at + ".kubernetes"})
		}
	case s.vault != nil:
		n.at(s.vault.address, at+".vault")
	}
}

// pattern returns the text of a template, with an asterisk for each expression.
func (t *template) pattern() string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.source != "" {
			b.WriteString(hosts.Any)
		}
		b.WriteString(p.literal)
	}
	return b.String()
}
