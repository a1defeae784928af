# Everything that is run by hand or by CI. `make help` lists it.
GO ?= go

# Tools are run at these versions and are no part of go.mod: what they need does not
# have to agree with what the program needs.
GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
ACTIONLINT    = github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GOVULNCHECK   = golang.org/x/vuln/cmd/govulncheck@v1.9.0

# What `reconciler version` says of an archive.
VERSION ?= $(shell git describe --tags --always --dirty)

.DEFAULT_GOAL := help
.PHONY: help build test specs sim planted planted-few fleet crash power fuzz race vet fmt lint vuln check generate bench dist clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 12

build: ## both binaries, static, into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/ ./cmd/...

# Tests have small heaps and make much garbage. Collected less often, those of apply take a sixth less
# CPU under the race detector, the program's scenarios a fiftieth.
test race: export GOGC ?= 400
test: fmt vet ## format, go vet, all tests, the engine's with the race detector (eight minutes or more)
	@sums=$$(mktemp -d); JUDGED=$$sums $(MAKE) --no-print-directory --output-sync=target --keep-going -j5 program-rest program-promises program-s race-engine rooms; failed=$$?; \
	cat $$sums/* | awk '{ n += $$1; none += $$2 } END { print n+0 " exchanges with vendors in all were held against published descriptions" (none ? ", which are not all there (make specs)" : "") }'; \
	rm -r $$sums; exit $$failed

# The program's own tests wait more than they work, so they run in parts beside the rooms'. The
# parts are told apart by name, so that none is left out (TestPartsMissNoTest): scenarios (under the
# race detector by their first digit), promises, and whatever is neither.
race: vet ## all tests with the race detector, the program's and the providers', too (some fifteen minutes)
	@$(GO) build -race ./... # once, not four times at once
	@$(MAKE) --no-print-directory --output-sync=target --keep-going -j4 race-rooms race-s0 race-s3 race-rest

.PHONY: race-rooms race-s0 race-s3 race-rest race-engine rooms program-s program-promises program-rest
# What is tested was vetted as a whole. A limit is for what hangs, not for a machine that is half as fast or has other work to do.
LIMIT = 40m
RACE = $(GO) test -race -vet=off -timeout $(LIMIT)

race-rooms:
	$(RACE) $$($(GO) list ./... | grep -v '/cmd/reconciler$$')

race-s0:
	$(RACE) ./cmd/reconciler -run '^TestS[0-2]'

race-s3:
	$(RACE) ./cmd/reconciler -run '^TestS[3-9]'

race-rest:
	$(RACE) ./cmd/reconciler -skip '^TestS[0-9]'

# What these run was vetted before. What passes is told in short, and of the rooms' and the program's
# tests how many exchanges were judged.
race-engine:
	@$(RACE) -skip '^($(PLAYED))$$' $(addprefix ./internal/,$(ENGINE))

# What `make test` tests with the race detector: whatever the daemon does many of at a time. What it
# doesn't, and simulators, have it in `make race`, which costs three times as much.
ENGINE = apply bolt daemon drift github health journal notify reconcile review secret source web

# Long runs of theirs that play one thing after another, which cost three to ten times as much under
# the race detector. There `make test` has shorter ones, and `make race` all.
PLAYED_IN = apply|bolt|github|reconcile|source
PLAYED = TestS24SimNamesPassOn|TestRuleVersionsUpgradeInAnyOrder|TestSimSeedsThatWereRed|TestS24SimNamesThatWereRed|TestS41LooksAtALargeFleetLeaveHalfOfAWindow|TestS41WhatAListCostsIsCharged|TestS34RebuildWaitsThroughTheWindowsOfVendors|TestSimRepeats|TestSimTellsTheSmallestRun|TestP5SimDatabasesMove|TestI14AYear|TestP11OneChangeAmongMany|TestThreat01AThousandProposals|TestP3CreatesOnceWhateverGoesWrong|TestP3UpdatesWhateverGoesWrong|TestP3DeletesWhateverGoesWrong|TestP3StoreFailsAnywhere|TestP3P8RandomWorldsConverge|TestP8KilledAtAnyBorder|TestP8KilledInsideAnyCall|TestP8CancelledAnywhere|TestTheTestStorePassesTheSuite|TestP8PowerLoss|TestP8Rekey|TestSpoiledPages|TestMutatedPayloads|TestHostileForks|TestP11OneFileAmongTenThousand|TestP5TheOldOwnerServesUntilTheNewOneDoes|TestRuleGuardWaves|TestP4UntouchedClientsAreNotWritten|TestExternalRecordsWait|TestS41BudgetSpreadsLooks

rooms: # and whatever else there is, but for the program
	@$(GO) test -vet=off -timeout $(LIMIT) $(patsubst %,./internal/%,$(subst |, ,$(PLAYED_IN))) -run '^($(PLAYED))$$' || failed=1; \
	.ci/tested rooms $(GO) test -v -vet=off -timeout $(LIMIT) $$($(GO) list ./... | grep -v -e '/cmd/reconciler$$' $(foreach room,$(ENGINE),-e '/internal/$(room)$$')) && exit $${failed:-0}

program-s:
	@.ci/tested program-s $(GO) test -v -vet=off -timeout $(LIMIT) ./cmd/reconciler -run '^TestS[0-9]'

program-promises:
	@.ci/tested program-promises $(GO) test -v -vet=off -timeout $(LIMIT) ./cmd/reconciler -run '^TestP[0-9]'

program-rest:
	@.ci/tested program-rest $(GO) test -v -vet=off -timeout $(LIMIT) ./cmd/reconciler -skip '^Test[PS][0-9]'

specs: ## where the vendors' published descriptions are, by which tests judge what is said to and by vendors
	@out=$$($(GO) test ./internal/contract -run '^TestSpecs$$' -v -count=1) || failed=1; \
	printf '%s\n' "$$out" | sed -n 's/^ *specs_test\.go:[0-9]*: //p'; exit $${failed:-0}

vet: ## go vet
	$(GO) vet ./...

fmt: ## fails when a file is not formatted
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "not formatted (gofmt -w mends it):"; echo "$$out"; exit 1; fi

lint: ## golangci-lint and actionlint, at their pinned versions
	$(GO) run $(GOLANGCI_LINT) run
	$(GO) run $(ACTIONLINT)

vuln: ## known vulnerabilities in what is called (asks vuln.go.dev)
	$(GO) run $(GOVULNCHECK) ./...

check: test build lint ## what CI asks of a change, but for its random runs (sim, crash)

generate: ## schemas and reference from the manifest's types
	$(GO) generate ./...

# How much of what is drawn at random; SEED is the first, 0: another each time.
SEED    ?= 0
SEEDS   ?= 10000
FOR     ?= 0s
REDS    ?= 0
COMMITS ?= 10000
CLIENTS ?= 500
KILLS   ?= 2000
EACH    ?= 5
IMAGES  ?= 10000
RUNS    ?= 400
ONLY    ?=
PLANTED ?= 10000
# How long each fuzz target searches. What it finds is put into its testdata/fuzz.
FUZZTIME ?= 1m

sim: ## random runs of the engine against its laws: SEEDS=n, SEED=first, FOR=at least so long, HOSTILE=yes, NAMES=yes (names pass from client to client), MOVES=yes (databases move), NEAR=yes (near those that were red once), MIXED=yes (some of each kind but those), REDS=so many red ones fail nothing
	$(GO) test ./internal/reconcile -run '^TestSim$$' -v -count=1 -timeout 24h -sim.seeds=$(SEEDS) -sim.seed=$(SEED) -sim.for=$(FOR) -sim.reds=$(REDS) $(if $(HOSTILE),-sim.hostile) $(if $(NAMES),-sim.names) $(if $(MOVES),-sim.moves) $(if $(NEAR),-sim.near) $(if $(MIXED),-sim.mixed)

planted: ## plant bugs, each by itself, and let the simulation, or the test that is named there, find them; ONLY='a name|another' plants some
	$(GO) test -tags planted ./internal/reconcile -run '^TestPlantedBugsAreFound$$' -v -count=1 -timeout 24h -planted.only='$(ONLY)' -planted.seeds=$(PLANTED)

planted-few: ## plant three that are found at once
	$(MAKE) planted PLANTED=50 ONLY='the outcome is lost|an empty tree is accepted|a held removal is carried out'

fleet: ## COMMITS= random commits on CLIENTS= clients: nobody else is written
	$(GO) test ./internal/reconcile -run '^TestP4Untouched' -v -count=1 -timeout 24h -fleet.commits=$(COMMITS) -fleet.clients=$(CLIENTS)

crash: ## kill the program KILLS times at random and EACH times at every named point (0: not there)
	$(GO) test ./cmd/reconciler -run '^TestP8(RandomKills$(if $(filter-out 0,$(EACH)),|KilledAtEveryPoint(OfAMove)?))$$' -v -timeout 6h -args -crash.kills=$(KILLS) -crash.each=$(EACH) -crash.seed=$(SEED)

power: ## IMAGES images of the state file at a power loss, each opened and read; the program goes on from RUNS
	$(GO) test ./internal/bolt -run '^TestP8PowerLoss$$' -v -timeout 6h -args -power.images=$(IMAGES) -power.seed=$(SEED)
	$(GO) test ./cmd/reconciler -run '^TestP8PowerLossOfTheProgram$$' -v -timeout 6h -args -crash.images=$(RUNS) -crash.seed=$(SEED)

fuzz: ## every fuzz target, one after the other, FUZZTIME each (10m for a release)
	@set -u; failed=0; log=$$(mktemp); \
	for file in $$(grep -rl --include='*_test.go' '^func Fuzz' cmd internal | sort); do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\)(.*/\1/p' $$file); do \
			dir=./$$(dirname $$file); \
			if $(GO) test $$dir -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 2s >$$log 2>&1; then \
				found="no finding"; else found=FINDING; failed=1; fi; \
			printf '%s %s: %s execs, %s\n' "$$dir" "$$name" "$$(sed -n 's/.*execs: \([0-9]*\).*/\1/p' $$log | tail -1)" "$$found"; \
			if [ "$$found" = FINDING ]; then cat $$log; fi; \
		done; \
	done; rm -f $$log; exit $$failed

bench: ## benchmarks, without the tests
	$(GO) test -run '^$$' -bench . -benchmem -timeout 30m ./...

dist: ## archives for every platform and their checksums, into dist/
	rm -rf dist && mkdir -p dist
	@set -eu; for p in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64; do \
		name=reconciler_$${p%/*}_$${p#*/}; mkdir dist/$$name; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o dist/$$name/ ./cmd/...; \
		cp LICENSE README.md CHANGELOG.md dist/$$name/; \
		tar -C dist -czf dist/$$name.tar.gz $$name; rm -r dist/$$name; echo dist/$$name.tar.gz; \
	done
	cd dist && sha256sum *.tar.gz > SHA256SUMS

clean: ## what was built
	rm -rf bin dist
