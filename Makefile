# The only door: what a user or a developer does with this project starts here.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test test-full check format bench fuzz fuzz-packages fuzz-cpu fuzz-bytes fuzz-devices fuzz-images sanitize build install package clean

PREFIX ?= /usr/local
# What `make run` boots, what it calls it, where viewers connect, and any other options.
MEDIA ?=
GUEST ?= demo
NAME ?=
VNC ?=
ARGS ?=
SECONDS_EACH ?= 20
CASES ?=
SEED ?=
DEVICE ?=

# One configuration for everything that is run: the Swift libraries are linked in, so that the
# command is one file that starts fast. Unit tests are built for debugging, and run one after the
# other: many of them wait for real threads and real time, which a crowd of tests would starve.
RELEASE := -c release --static-swift-stdlib
BINARY = $(CURDIR)/.build/release/porthole

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

run: ## Install what is missing, build, and boot a desktop (MEDIA=file NAME= VNC= ARGS=)
	@scripts/install-dependencies.sh run
	@$(MAKE) --no-print-directory build
	@$(BINARY) run $(if $(NAME),--name '$(NAME)') $(if $(VNC),--vnc '$(VNC)') \
	  $(if $(MEDIA),'$(MEDIA)',--guest '$(GUEST)') $(ARGS) || [ $$? -eq 130 ]

test: ## Install what is missing, build, and run every test
	@scripts/install-dependencies.sh test
	@$(MAKE) --no-print-directory build
	swift test --no-parallel
	@scripts/end-to-end.sh "$(BINARY)"

test-full: export PORTHOLE_FULL = 1
test-full: check test sanitize fuzz fuzz-cpu ## Every test, every check, the sanitizer and the fuzzers

check: ## Formatting, the direction of imports, no binaries in the repository
	@scripts/check.sh

format: ## Format the Swift sources
	swift format -i -r Package.swift Sources Tests Fuzz

bench: ## Measure beside QEMU; BENCH_JSON=file saves the rows
	@scripts/install-dependencies.sh bench
	@$(MAKE) --no-print-directory build
	swift build $(RELEASE) --product ExitBenchmark
	swift build $(RELEASE) --product Watcher
	@python3 Benchmarks/bench.py --porthole "$(BINARY)" \
	  --exits "$(CURDIR)/.build/release/ExitBenchmark" \
	  --watcher "$(CURDIR)/.build/release/Watcher" $(ARGS)

fuzz: fuzz-packages build fuzz-bytes fuzz-devices fuzz-images ## Feed desktops and the software processor garbage (SECONDS_EACH=20)
	@python3 Fuzz/fuzz.py --porthole "$(BINARY)" --seconds $(SECONDS_EACH) $(ARGS)

fuzz-packages:
	@scripts/install-dependencies.sh fuzz

fuzz-cpu: fuzz-packages ## Random instructions in software and on the host's processor (SECONDS_EACH= or CASES=)
	swift build $(RELEASE) --product CPUFuzz
	@$(CURDIR)/.build/release/CPUFuzz \
	  $(if $(CASES),--cases $(CASES),--seconds $(SECONDS_EACH)) $(if $(SEED),--seed $(SEED))

fuzz-bytes: fuzz-packages ## Any bytes in any mode of the software processor, guided by coverage (SECONDS_EACH=20)
	swift build -c release --scratch-path .build/fuzzer --target ProcessorFuzzing \
	  -Xswiftc -sanitize=fuzzer
	@scripts/fuzz-bytes.sh .build/fuzzer 128 $(SECONDS_EACH)

fuzz-devices: fuzz-packages ## Any accesses to the chips, guided by coverage (SECONDS_EACH=20 DEVICE=name for one)
	swift build -c release --scratch-path .build/device-fuzzer --target DeviceFuzzing \
	  -Xswiftc -sanitize=fuzzer -Xswiftc -DFUZZING
	@$(if $(DEVICE),FUZZ_DEVICE='$(DEVICE)') scripts/fuzz-bytes.sh .build/device-fuzzer 1024 $(SECONDS_EACH)

fuzz-images: fuzz-packages ## Any bytes as a disk image, guided by coverage (SECONDS_EACH=20)
	swift build -c release --scratch-path .build/image-fuzzer --target ImageFuzzing \
	  -Xswiftc -sanitize=fuzzer -Xswiftc -DFUZZING
	@python3 Fuzz/image_seeds.py .build/image-fuzzer/corpus
	@scripts/fuzz-bytes.sh .build/image-fuzzer 65536 $(SECONDS_EACH)

# The thread sanitizer is left out: it does not know the lock of Swift's Mutex (Swift 6.3 on Linux)
# and reports a race wherever one guards something.
# Left out as well are the tests that run the host's own instructions, at addresses that the address
# sanitizer has for itself; make fuzz-cpu has them. Little of what is freed is kept back, since some
# tests look at how the process grows.
sanitize: fuzz-packages ## The unit tests under the address sanitizer
	LSAN_OPTIONS=suppressions=$(CURDIR)/scripts/lsan.supp ASAN_OPTIONS=quarantine_size_mb=4 \
	  swift test --no-parallel --sanitize=address --scratch-path .build/address \
	  --skip RandomCaseTests

build: ## Only build the command
	swift build $(RELEASE) --product porthole

install: ## Build and install the command (PREFIX=/usr/local)
	@scripts/install-dependencies.sh run
	@$(MAKE) --no-print-directory build
	install -D -m 755 "$(BINARY)" "$(DESTDIR)$(PREFIX)/bin/porthole"

package: ## Build a Debian package of the command
	@scripts/install-dependencies.sh package
	@$(MAKE) --no-print-directory build
	@scripts/package.sh "$(BINARY)" "$(CURDIR)/.build/debian"

clean: ## Remove what was built
	rm -rf .build
