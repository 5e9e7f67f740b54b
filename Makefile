# `make` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
platform := $(shell uname -s | tr A-Z a-z)-$(patsubst aarch64,arm64,$(patsubst x86_64,x64,$(shell uname -m)))
programs := dist/$(platform)
# The Debian packages that the tests need.
test_packages := openssh-server xz-utils fish tcsh zsh binutils strace python3 python3-venv python3-prometheus-client curl jq uwsgi-core uwsgi-plugin-python3 gunicorn apache2-bin libapache2-mod-wsgi-py3 nginx-light e2fsprogs
# Each strip handles one kind of machine.
release_packages := xz-utils binutils binutils-aarch64-linux-gnu python3 python3-venv
# The torture, the crashes, the CIs and the fleet have targets of their own.
tests := $(filter-out test/torture/% test/crash/% test/ci/% test/fleet/%, $(wildcard test/*.test.ts test/*/*.test.ts test/*/*/*.test.ts))
# These go through many instants, states, servers and shells, and take longer than all the others.
sweeps := $(wildcard test/*.sweep.ts test/*/*.sweep.ts test/*/*/*.sweep.ts)
# Enough to see that the sources do what the binaries do.
essential_tests := test/deploy/json.test.ts
# npm puts the Node that is pinned in package-lock.json first on PATH.
node := npm exec --offline --no -- node
# The time limit ends a test that hangs, and names it. More run than there are cores, because many wait for a second to pass.
run_tests := $(node) --import ./test/lib/compile-cache.mjs --test --test-concurrency=6 --test-timeout=120000

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 20

install: node_modules/.installed ## install what building and testing need, from npm
node_modules/.installed: package.json package-lock.json
# Without warnings about packages that ask for a newer Node: they run with the pinned one.
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

build: install ## compile the three programs to dist/; PLATFORM=linux-arm64 for another kind of machine
	npm run --silent build -- $(PLATFORM)

# One build makes all three programs, so a file of its own has the time of the build.
$(programs)/.built: node_modules/.installed $(shell find scripts build -type f)
	npm run --silent build
	@touch $@

release: install ## compile for all platforms, with checksums and a bill of materials
	build/debian.sh $(release_packages)
	npm run --silent build -- --release

lint: install ## check style and types
	npm run --silent lint
	npm run --silent typecheck

test: install ## run the tests: against the binaries, and the essential ones against the sources, too
	build/debian.sh $(test_packages)
	npm run --silent build
	PUSHLIVE_TEST=binaries $(run_tests) $(tests)
	PUSHLIVE_TEST=sources $(run_tests) $(essential_tests)

pm2 := dist/pm2
$(pm2)/.installed: $(wildcard test/hook/pm2/*)
	mkdir -p $(@D)
	cp test/hook/pm2/*.json $(@D)
	npm ci --prefix $(@D) --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error
	@touch $@

hook_tools := dist/hook-tools
$(hook_tools)/.installed: $(wildcard test/hook/hook-tools/*)
	build/debian.sh python3-venv
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement test/hook/hook-tools/requirements.txt
	cp test/hook/hook-tools/*.json $(@D)
	npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

test-sweeps: build $(pm2)/.installed $(hook_tools)/.installed ## run the tests that go through many instants, states, servers and shells
	build/debian.sh $(test_packages) php-fpm puma chromium systemd
	PUSHLIVE_TEST=binaries PUSHLIVE_FAULTS=30 $(run_tests) $(sweeps)

# Only root can mount the full and the read-only disks. They are gone when the namespace is.
own_mounts := $(if $(filter 0,$(shell id -u)),unshare --mount --propagation private)

torture: build ## random histories with faults, RUNS of them; SEED and PATH_, as a failure prints them, replay one
	build/debian.sh $(test_packages) faketime
	PUSHLIVE_TEST=binaries PUSHLIVE_TORTURE_RUNS=$(or $(RUNS),100) \
	$(if $(SEED),PUSHLIVE_TORTURE_SEED=$(SEED)) $(if $(PATH_),PUSHLIVE_TORTURE_PATH=$(PATH_)) \
	$(own_mounts) $(node) --test test/torture/torture.test.ts test/torture/simultaneous.test.ts

test-crash: build ## kill the hook at each instant of deployments and rollbacks; EVERY=10 tries a tenth, POINT, as a failure prints it, one
	build/debian.sh python3
	PUSHLIVE_TEST=binaries PUSHLIVE_CRASH_EVERY=$(or $(EVERY),1) PUSHLIVE_CRASH_POINT=$(POINT) \
	$(node) --test test/crash/crash.test.ts

mutation := dist/mutation
$(mutation)/.installed: $(wildcard test/mutation/*.json)
	mkdir -p $(@D)
	cp test/mutation/*.json $(@D)
	npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

test-mutation: install $(mutation)/.installed ## break the sources on purpose, and look whether a test notices; ONLY=ssh/remote
	build/debian.sh $(test_packages)
	$(node) test/mutation/run.ts $(ONLY)

test-flexmeasures: build ## deploy FlexMeasures itself: pushes to a real server
	build/debian.sh openssh-server $(shell cat test/flexmeasures/debian-packages)
	PUSHLIVE_TEST=binaries $(node) --test test/flexmeasures/test.ts

runners := dist/runners
$(runners)/.installed: $(wildcard test/ci/runners/*)
	build/debian.sh python3-venv
	test/ci/runners/install.sh $(CURDIR)/$(runners)
	@touch $@

test-ci: build $(runners)/.installed ## run the examples for CIs: in act, Gitea's engine, gitlab-ci-local and bb-run
	build/debian.sh openssh-server rsync
	PUSHLIVE_TEST=binaries $(node) --test --test-timeout=120000 test/ci/*.test.ts

ansible := dist/ansible
peers := dist/peers
$(ansible)/.installed: test/fleet/requirements.txt
$(peers)/.installed: bench/peers/requirements.txt
$(ansible)/.installed $(peers)/.installed:
	build/debian.sh python3-venv
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

test-fleet: build $(ansible)/.installed ## set up servers by Ansible, and deploy to them
	build/debian.sh openssh-server python3-apt uwsgi-core uwsgi-plugin-python3 nginx-light postgresql python3-psycopg2
	PUSHLIVE_TEST=binaries $(own_mounts) test/fleet/with-own-etc $(node) --test --test-concurrency=1 --test-timeout=300000 test/fleet/fleet.test.ts test/fleet/under-load.test.ts

test-fleet-debians: build $(ansible)/.installed ## the same role on Debian 11, 12 and 13
	build/debian.sh openssh-server debootstrap
	PUSHLIVE_TEST=binaries $(node) --test --test-timeout=480000 test/fleet/debians.test.ts

first_hour := dist/first-hour
$(first_hour)/.installed: test/first-hour/make-debian.sh test/first-hour/systemctl
	build/debian.sh debootstrap
	rm -rf $(first_hour)
	mkdir -p $(first_hour)
	$< $(first_hour)/bookworm
	@touch $@

test-first-hour: build $(first_hour)/.installed ## from a bare Debian to green, for each kind of application, by three commands (as root)
	build/debian.sh openssh-server python3-venv
	PUSHLIVE_TEST=binaries unshare --mount --propagation private $(node) --test test/first-hour/test.ts

test-release: release build ## build the release again elsewhere, start it on arm64, push with it on old and new Debians
	build/debian.sh openssh-server debootstrap qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross man-db
	PUSHLIVE_TEST=binaries $(node) --test test/release/test.ts

bench: build $(peers)/.installed ## time the same pushes through plain bash, the binaries, and other tools
	build/debian.sh openssh-server capistrano ruby-ed25519 ruby-bcrypt-pbkdf $(shell cat test/flexmeasures/debian-packages)
	PUSHLIVE_TEST=binaries $(node) bench/bench.ts $(ARGS)
	PUSHLIVE_TEST=binaries $(node) bench/peers.ts $(ARGS)

bench-fleet: build $(ansible)/.installed ## time fifty hosts, by batch size, beside Ansible's own git module
	build/debian.sh openssh-server
	PUSHLIVE_TEST=binaries $(node) bench/fleet.ts $(ARGS)

site := dist/site
$(site)/.installed: build/site/requirements.txt
	build/debian.sh git python3-venv
	python3 -m venv $(@D)/venv
	$(@D)/venv/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

site: $(site)/.installed ## make the documentation's site, with search, in dist/site/html; it fails where a link leads nowhere
	rm -rf $(site)/pages
	mkdir $(site)/pages
	git ls-files -z | xargs -0 cp --parents --target-directory $(site)/pages
	NO_MKDOCS_2_WARNING=1 $(site)/venv/bin/mkdocs build --strict --clean --config-file build/site/mkdocs.yml

demo: build ## deploy a small application to a throw-away server on this machine
	build/debian.sh git openssh-server python3 uwsgi-core uwsgi-plugin-python3
	$(node) examples/demo.ts

pictures: build ## make the README's pictures from real deployments
	build/debian.sh openssh-server chromium
	PUSHLIVE_TEST=binaries $(node) docs/pictures.ts

setup-ssh: $(programs)/.built ## set up the CI's key and known hosts, once
	$(programs)/setup-ssh $(ARGS)

install-hook: $(programs)/.built ## install or update the hook and its settings (HOOK_ENV, or server.env) on the server
	$(programs)/setup-ssh --hook "$${HOOK_ENV:-server.env}" $(if $(HOOK_ENV),,--keep-settings) $(ARGS)

clean: ## remove what was built and installed
	rm -rf dist node_modules

.PHONY: help install build release lint test test-sweeps torture test-crash test-mutation test-flexmeasures test-ci test-fleet test-fleet-debians test-first-hour test-release bench bench-fleet site demo pictures setup-ssh install-hook clean
