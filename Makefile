# Needs python3 (3.11 or newer) and make; `make test` needs Debian's apt too. Everything else is
# installed here, Python packages into .venv from the lock files in requirements/.
#
#   make run      sets up and starts the whole mesh; make run ARGS="--replay FILE --speed 10"
#   make test     checks and tests; ARGS goes to pytest
#   make test-long  the same with the long forms
#   make setup    what running needs, without starting it; setup-test: what testing needs
#   make check    ruff, mypy, import-linter, buf
#   make protos   generates arbig/*/v1 and deploy/envoy from protos/
#   make page     builds web_bridge/page/dist
#   make bench    measures

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
STAMPS := .venv/stamps
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python
# Most tests wait for processes of theirs, so two run at a time; those of a file one after the other.
PYTEST := $(BIN)/python -m pytest --numprocesses=2 --dist=loadfile
# Our own tools come first, but only where they are wanted: PYTHON must not become that of .venv.
WITH_TOOLS := PATH="$(CURDIR)/$(BIN):$$PATH"

PROTOS = $(shell find protos -name '*.proto')
PAGE := web_bridge/page
PAGE_SOURCES = $(shell find $(PAGE) \( -name node_modules -o -name dist \) -prune -o -type f -print)
# The contracts of the last release: what `buf breaking` compares with.
RELEASED := protos/arbig-0.1.0.binpb

.PHONY: run test test-long setup setup-test check protos page bench
.NOTPARALLEL:
.DELETE_ON_ERROR:

run: setup
	@exec $(BIN)/arbig up $(ARGS)

test: setup-test check
	$(PYTEST) -m "not long" $(ARGS)

test-long: setup-test check
	$(PYTEST) $(ARGS)

setup: $(STAMPS)/run $(STAMPS)/edge page

setup-test: $(STAMPS)/dev page
	@.ci/debian mariadbd=mariadb-server-core,mariadb-client-core redis-server=redis-server curl=curl chromium=chromium,fonts-wqy-microhei

page: $(PAGE)/dist/index.html

check: $(STAMPS)/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/buf format protos --diff --exit-code
	$(BIN)/buf breaking protos --against $(RELEASED)

protos: $(STAMPS)/dev
	$(WITH_TOOLS) python -m grpc_tools.protoc -I protos -I third_party/googleapis \
	    --python_out=. --grpc_python_out=. --mypy_out=. --mypy_grpc_out=. $(PROTOS)
	$(BIN)/python -m arbig.edge deploy/envoy

bench: $(STAMPS)/dev $(STAMPS)/ticks_peer
	$(BIN)/python -m bench.ticks $(ARGS)

$(STAMPS)/setup: requirements/setup.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo 'make: needs Python 3.11 or newer: make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || .ci/debian python3-venv
	@echo 'make: setting up .venv'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/run: requirements/run.txt pyproject.toml $(STAMPS)/setup
	@echo 'make: installing the Python packages'
	@$(INSTALL) --require-hashes -r $<
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# The C++ peer of bench.ticks; without it that is left out.
CPP_PROTOS := $(wildcard protos/arbig/market/v1/*.proto protos/arbig/stream/v1/*.proto)
$(STAMPS)/ticks_peer: bench/ticks_peer.cc $(CPP_PROTOS) | $(STAMPS)/run
	@.ci/debian g++=g++ protoc=protobuf-compiler grpc_cpp_plugin=protobuf-compiler-grpc pkg-config=pkg-config \
	    libgrpc++-dev libprotobuf-dev
	@echo 'make: building the C++ peer of the ticks'
	@mkdir -p $@.d && protoc -I protos -I third_party/googleapis -I /usr/include --cpp_out=$@.d --grpc_out=$@.d \
	    --plugin=protoc-gen-grpc=$$(command -v grpc_cpp_plugin) \
	    $(CPP_PROTOS:protos/%=%) google/api/annotations.proto google/api/http.proto
	@g++ -std=c++17 -O2 -I $@.d -o $@ $< $$(find $@.d -name '*.cc') $$(pkg-config --cflags --libs grpc++ protobuf)

# Envoy has no wheel for some platforms; the mesh runs without it, and this is tried again.
$(STAMPS)/edge: requirements/edge.txt $(STAMPS)/run
	@if $(INSTALL) --require-hashes -r $<; then touch $@; else echo 'make: no Envoy, so no edge'; fi

$(STAMPS)/dev: requirements/dev.txt $(STAMPS)/run
	@echo 'make: installing the Python packages for development'
	@$(INSTALL) --require-hashes -r $<
	@touch $@

$(PAGE)/node_modules/.package-lock.json: $(PAGE)/package-lock.json | $(STAMPS)/run
	@echo 'make: building the page'
	@cd $(PAGE) && $(WITH_TOOLS) npm ci --silent --no-update-notifier
	@touch $@

$(PAGE)/dist/index.html: $(PAGE)/node_modules/.package-lock.json $(PAGE_SOURCES)
	@cd $(PAGE) && $(WITH_TOOLS) npm run --silent build -- --logLevel warn
	@touch $@
