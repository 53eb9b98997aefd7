# Each target does all of its own set-up, on a bare Debian 12 or 13 with Python 3.11 or later.
#
#   make demo                a node of its own, a pod in it, its log, an exec, its start as a waterfall; then all is gone
#   make test                lint, types, unit tests, integration tests
#   make node                builds the images of docker/, and starts a node from the one for kind
#   make serve               the demo's node, kept up until Ctrl-C; options pass through ARGS=
#   make bench               beside containerd's own CRI plugin

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the node is built and entered with; gcc makes a program of the test images.
PACKAGES := python3-venv mmdebstrap debian-archive-keyring util-linux gcc libc6-dev
ARGS ?=

.PHONY: demo test node serve bench packages clean

demo: $(VENV)/.installed | packages
	@$(BIN)/cri-shim demo $(ARGS)

serve: $(VENV)/.installed | packages
	@exec $(BIN)/cri-shim demo --serve $(ARGS)

test: $(VENV)/.installed | packages
	$(BIN)/nox $(ARGS)

node: PACKAGES += buildah
node: $(VENV)/.installed | packages
	$(BIN)/nox -s node -- $(ARGS)

bench: $(VENV)/.installed | packages
	$(BIN)/nox -s bench -- $(ARGS)

$(VENV)/.installed: pyproject.toml hatch_build.py $(shell find protos -name '*.proto') | packages
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing cri-shim and its tools into $(VENV)" >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check -e . nox
	@touch $@

# Installs only what is missing, and says so; without root it says what to install.
packages:
	@missing=""; for p in $(PACKAGES); do \
	  dpkg-query -W -f='$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" -ne 0 ]; then \
	    echo "missing Debian packages; install them with: sudo apt-get install$$missing" >&2; exit 1; fi; \
	  echo "installing Debian packages:$$missing" >&2; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing; } >/dev/null; \
	fi

clean:
	rm -rf $(VENV) .nox build dist cri_shim/api .mypy_cache .ruff_cache .pytest_cache .hypothesis
