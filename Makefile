TOOLS := .ci/tools/go.mod
TOOL  := go tool -modfile=$(TOOLS)
GO    ?= go
# The module whose .proto file defines the validation rules.
PROTOVALIDATE := v1.2.2

# Flags for go test, for example TESTFLAGS=-v or TESTFLAGS='-run Heal'.
TESTFLAGS ?=
# How long each fuzz target runs.
FUZZTIME ?= 5s
# What `make breaking` compares the contracts with: the last tag before this
# commit, else the commit before it.
BASE ?= $(shell git describe --tags --abbrev=0 HEAD^ 2>/dev/null || git rev-parse -q --verify HEAD^)

# Packages where goroutines meet run under the race detector, and the one whose
# decoder is without Go's memory safety: it checks pointers too. The others gain
# little from it and would take the time of these.
RACE_PACKAGES := ./exchange/store/... ./exchange/journal/... ./exchange/bus/... ./exchange/subscription/... ./exchange/contract/... ./sdk/...
# Of these, which run without it too, all but what is long under it.
RACE_ALSO := ./exchange/catalog
RACE_SKIP := TenThousand|AreBounded
# The race detector needs a C compiler, everything else needs Go alone.
RACE := $(if $(shell command -v gcc || command -v clang),-race)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

.PHONY: test
test: ## All tests, on SQLite and embedded NATS; HUITONG_TEST_DATABASE names a PostgreSQL instead
	@test -n "$(RACE)" || echo "NO C COMPILER: the race detector is off" >&2
	$(GO) test $(RACE) $(TESTFLAGS) $$($(GO) list $(RACE_PACKAGES))
	$(if $(RACE),$(GO) test $(RACE) $(TESTFLAGS) -skip '$(RACE_SKIP)' $(RACE_ALSO))
	$(GO) test $(TESTFLAGS) $$($(GO) list ./... | grep -vxF "$$($(GO) list $(RACE_PACKAGES))")

.PHONY: fuzz
fuzz: ## Every fuzz target for FUZZTIME
	GO=$(GO) FUZZTIME=$(FUZZTIME) .ci/fuzz

.PHONY: proto-deps
proto-deps:
	@dir=$$($(GO) mod download -json github.com/bufbuild/protovalidate@$(PROTOVALIDATE) | sed -n 's/.*"Dir": "\(.*\)".*/\1/p') && \
	rm -rf .cache/protovalidate && mkdir -p .cache/protovalidate/buf/validate && \
	cp "$$dir/proto/protovalidate/buf/validate/validate.proto" .cache/protovalidate/buf/validate/ && \
	chmod -R u+w .cache

.PHONY: generate
generate: proto-deps ## Generate proto/gen from the .proto files
	$(TOOL) buf format -w proto
	$(TOOL) buf generate --template proto/buf.gen.yaml

.PHONY: lint
lint: proto-deps ## buf lint, go vet, gofmt, staticcheck, and go.mod as it should be
	$(TOOL) buf lint
	$(GO) vet ./...
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(TOOL) staticcheck ./...
	$(GO) mod tidy -diff

.PHONY: breaking
breaking: proto-deps ## What changed incompatibly in the contracts since BASE; informs, does not forbid
	BASE=$(BASE) .ci/breaking $(TOOL) buf

.PHONY: vuln
vuln: ## Known vulnerabilities in what is called
	.ci/vuln $(TOOL) govulncheck
