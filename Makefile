# Everything that is run by hand or by CI. `make help` lists it.
GO ?= go
GOLANGCI_LINT ?= v2.12.2

.PHONY: help build generate test vet fmt lint bench clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

build: ## both binaries, static, into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/...

generate: ## schemas and the manifest reference, from the types
	$(GO) generate ./...

test: fmt vet ## all tests, with the race detector
	$(GO) test -race -timeout 10m ./...

vet:
	$(GO) vet ./...

fmt: ## fails when a file is not formatted
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "not formatted:"; echo "$$out"; exit 1; fi

lint: ## golangci-lint, fetched at its pinned version
	$(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT) run

bench: ## benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

clean: ## what was built
	rm -rf bin
