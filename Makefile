TOOLS := .ci/tools/go.mod
TOOL  := go tool -modfile=$(TOOLS)
GO    ?= go
# The module whose .proto file defines the validation rules.
PROTOVALIDATE := v1.2.2

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

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
lint: proto-deps ## buf lint, go vet, gofmt and staticcheck
	$(TOOL) buf lint
	$(GO) vet ./...
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(TOOL) staticcheck ./...
