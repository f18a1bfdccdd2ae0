# Chạm: the project's commands. `make demo` and `make test` are the two that the README names.
#
# Everything that a fresh Debian 12 machine with a Rust toolchain lacks is installed by `make setup`, which the
# others run first (apt, as root or through sudo; nothing is installed where nothing is missing).

SHELL := /bin/bash
CARGO ?= cargo
# The programs are run as they were built together: `cargo run -p` would build some of them again with other features.
PROGRAMS := $(or $(CARGO_TARGET_DIR),target)/debug

OPTIMISED := $(or $(CARGO_TARGET_DIR),target)/release
FIGURES := $(or $(CARGO_TARGET_DIR),target)/bench

# Where the DESFire clients of others are fetched to: beside the programs' folder.
PEERS := $(or $(CARGO_TARGET_DIR),target)/interoperability-peers

.PHONY: help setup peers build demo run test interoperability simulate soak torn fuzz mutants bench deny

help: ## tell what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-17s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install the system packages that are missing
	@./setup.sh

peers: setup ## fetch the DESFire clients of others that come from the registries; what cannot be had is skipped by name
	@interoperability/fetch_peers.sh $(PEERS)

build: setup ## build every program
	$(CARGO) build --locked --workspace --bins

demo: build ## play a short morning through separate real processes, settle it, print the statement
	$(PROGRAMS)/simulation demo

run: build ## keep the same programs up; tap cards by typing their names
	$(PROGRAMS)/simulation run --folder target/run

test: setup peers ## everything: format, lints, tests through the real pcscd, documentation, that fuzz targets compile
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) test --locked --workspace
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps
	$(CARGO) check --quiet --locked --manifest-path fuzz/Cargo.toml --target-dir $(or $(CARGO_TARGET_DIR),target)

interoperability: build peers ## every DESFire client of others against the virtual card: client, task, result
	$(PROGRAMS)/interoperability

simulate: setup ## run SEEDS (1000) whole cities, each from a seed from SEED (1) on, and look whether every invariant holds
	$(CARGO) build --locked --quiet --release -p simulation
	nice $(OPTIMISED)/simulation simulate --seeds $(or $(SEEDS),1000) --seed $(or $(SEED),1) --figures $(FIGURES)

soak: build ## failing calls, kills at every step, bad network, clock, bits and reader: KILLS (1000) and NTH (300)
	nice $(PROGRAMS)/simulation soak --kills $(or $(KILLS),1000) --nth $(or $(NTH),300) \
		--kills-validator $(or $(KILLS),1000) --nth-validator $(or $(NTH),300) --long-log

torn: setup ## play every way in which the taps of one card can go wrong, PRESENTATIONS (4), and RANDOM_SCHEDULES (20000), and let attackers try
	$(CARGO) build --locked --quiet --release -p simulation
	nice $(OPTIMISED)/simulation attack --figures $(FIGURES)
	nice $(OPTIMISED)/simulation torn --random $(or $(RANDOM_SCHEDULES),20000) --figures $(FIGURES)
	nice $(OPTIMISED)/simulation torn --presentations $(or $(PRESENTATIONS),4) --figures $(FIGURES)

fuzz: setup ## every fuzz target, one after the other, each for SECONDS (60); fails on a finding
	nice fuzz/run.sh $(or $(SECONDS),60)

mutants: setup ## change the code that decides and keeps, one place at a time, and count what no test notices; FILES to choose
	nice ./mutants.sh $(FILES)

bench: setup ## criterion benches, then the tap-budget figures (target/bench/figures.json)
	$(CARGO) bench --locked -p benches
	$(CARGO) run --locked --quiet --release -p benches --bin figures

deny: ## licences, advisories and sources of every dependency (needs cargo-deny)
	$(CARGO) deny --locked check
