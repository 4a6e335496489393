# make run   the main job on the emulated IBM Cloud: no account, nothing left behind
# make test  all tests that need only Go and make

GO       ?= go
BIN      := bin/latchkey
CACHE    := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/latchkey
LINT     := v2.12.2
LINT_BIN := $(CACHE)/golangci-lint-$(LINT)/golangci-lint

# The race detector needs a C compiler; without one the same tests run without it.
CC_FOUND := $(shell command -v $(or $(CC),gcc) || command -v cc || command -v clang)
RACE     := $(if $(CC_FOUND),-race)

.PHONY: all build run test test-real lint clean
all: build

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN) ./function/latchkey

# KEEP=1 stays up afterwards and prints curl lines to play with.
run: build
	$(BIN) demo $(if $(KEEP),--keep)

test:
	@echo $(if $(RACE),"testing with the race detector","testing without the race detector: no C compiler found")
	$(if $(RACE),CGO_ENABLED=1) $(GO) test $(RACE) -shuffle=on -timeout 10m ./...

# What needs more than Go and make.
test-real:
	@echo "no test needs a real server yet"

# golangci-lint is built from its module, outside of the product's go.mod.
$(LINT_BIN):
	GOBIN=$(dir $(LINT_BIN)) GOFLAGS=-mod=mod $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT)

lint: $(LINT_BIN)
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) mod tidy -diff
	$(LINT_BIN) run ./...

clean:
	rm -rf bin dist
