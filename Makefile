# acumen: every target does its own set-up. `make run` trains lenet5 on MNIST; `make help` lists the rest.
SHELL       := /bin/bash
GO          ?= go
export CGO_ENABLED = 0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS     := -s -w -X main.version=$(VERSION)
FUZZTIME    ?= 10s
ARGS        ?=

.DEFAULT_GOAL := help
.PHONY: help run build test test-levels test-long lint race bench bench-quick bench-go fuzz cross clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

run: build ## build, then train lenet5 on MNIST (the data travels in the repository)
	./bin/acumen train $(ARGS)

build: ## bin/acumen, pure Go
	@command -v $(GO) >/dev/null || { echo "make: Go 1.26 or later is needed: https://go.dev/dl" >&2; exit 2; }
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/acumen ./cmd/acumen

test: ## all tests but the long ones; no C compiler needed
	$(GO) test ./...

test-levels: ## the tests, shortened, with AVX2, and in plain Go (x86-64)
	ACUMEN_SIMD=avx2 $(GO) test -short -count=1 ./...
	ACUMEN_SIMD=generic $(GO) test -short -count=1 ./...

test-long: ## tests that train on all of CIFAR-10; ACUMEN_DATA_DIR names the folder with the data
	@$(GO) run ./cmd/acumen data verify cifar10 >/dev/null || { \
	  echo "make test-long: CIFAR-10 was not found. Get it with '$(GO) run ./cmd/acumen data get cifar10', or set ACUMEN_DATA_DIR to the folder that has cifar-10-batches-bin" >&2; exit 2; }
	$(GO) test -tags long -timeout 80m ./...

lint: ## go vet, gofmt, staticcheck
	$(GO) vet ./...
	$(GO) vet -tags long ./...
	$(GO) -C bench/peers vet ./...
	@files=$$(git ls-files '*.go') && test -n "$$files" && out=$$(gofmt -l $$files) || { echo "make lint: gofmt could not be run over the checkout" >&2; exit 1; }; \
	  test -z "$$out" || { echo "not gofmt-ed:"; echo "$$out"; exit 1; }
	$(GO) run $(STATICCHECK) ./...

race: ## the race detector over all tests, shortened (this one needs a C compiler)
	@command -v $${CC:-cc} >/dev/null || { echo "make race: the race detector needs a C compiler: install gcc or clang" >&2; exit 2; }
	CGO_ENABLED=1 $(GO) test -race -short ./...

bench: ## speed beside PyTorch, OpenBLAS, gonum and gomlx, which it installs (Linux on x86-64; needs Python, gcc; half an hour)
	$(GO) run ./bench $(ARGS)

bench-quick: ## acumen's speed beside what the machine can do at most, in two minutes
	$(GO) run ./bench --quick $(ARGS)

bench-go: ## Go benchmarks: the kernels with GFLOP/s and share of the peak
	$(GO) test -run '^$$' -bench . -benchtime 0.5s ./bench ./device/cpu/...

fuzz: ## every fuzz target for FUZZTIME each
	@set -e; for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p; done; done

cross: ## compile for the other platforms
	GOOS=linux GOARCH=arm64 $(GO) build -o /dev/null ./cmd/acumen
	GOOS=darwin GOARCH=arm64 $(GO) build -o /dev/null ./cmd/acumen
	GOOS=windows GOARCH=amd64 $(GO) build -o /dev/null ./cmd/acumen

clean: ## remove what was built
	rm -rf bin build

include cuda/cuda.mk
include cuda/container/container.mk
