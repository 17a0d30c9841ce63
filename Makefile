# The book and its code. `make` lists the targets; README.md says what they need and how long they take.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
RESULTS := data/results
QUARTO ?= quarto
QUARTO_PACKAGE := quarto-cli==1.7.34
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PY) -m pytest --numprocesses 2 # two processes, one thread each

TEX_PACKAGES := texlive-latex-recommended texlive-latex-extra texlive-fonts-recommended \
	texlive-xetex texlive-luatex lmodern librsvg2-bin poppler-utils

ROCQ_PACKAGES := coq libcoq-mathcomp-ssreflect libcoq-coquelicot

.DEFAULT_GOAL := help
.PHONY: help setup tex rocq browser report html pdf test proofs fuzz lint prose experiment bench preview clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with the pinned packages

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python >= 3.11 is needed, this is " + sys.version.split()[0] + ": name another with PYTHON=") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# $(call install,TEST,PACKAGES,WHO NEEDS THEM): install Debian's packages unless the test finds what they bring
define install
	@if { $(1); } >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing $(2)"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2) >/dev/null; \
	else \
		echo "$(3). On Debian or Ubuntu: sudo apt-get install $(2)" >&2; exit 1; \
	fi
endef

tex:
	$(call install,command -v xelatex && command -v pdftotext && kpsewhich scrreprt.cls tcolorbox.sty lmodern.sty,$(TEX_PACKAGES),The PDF needs TeX)

rocq:
	$(call install,command -v coqc && cd "$$(coqc -where)/user-contrib" && [ -d mathcomp/ssreflect ] && [ -d Coquelicot ],$(ROCQ_PACKAGES),The proofs need Rocq)

browser:
	$(call install,command -v chromium || command -v chromium-browser || command -v google-chrome,chromium,The tests of the pages need Chromium)

# pip tries once for each .venv; Quarto itself comes with that download, which fails on a closed network.
$(VENV)/.quarto-tried: $(READY)
	@PATH="$$PATH:$(CURDIR)/$(VENV)/bin"; command -v "$(QUARTO)" >/dev/null || { \
		echo "no quarto found: trying, once, pip install $(QUARTO_PACKAGE), which runs code that requirements.txt does not" \
			"pin (\`touch $@\` avoids it; code/book builds the same book)" >&2; \
		timeout 300 $(PY) -m pip install --quiet --disable-pip-version-check $(QUARTO_PACKAGE) >/dev/null 2>&1 || true; }
	@touch $@

# Quarto where there is one: named by QUARTO=, on the PATH or in .venv. Otherwise the builder in code/book.
define build
	@export PATH="$$PATH:$(CURDIR)/$(VENV)/bin"; \
	if command -v "$(QUARTO)" >/dev/null; then \
		echo "building with $$(command -v "$(QUARTO)")"; "$(QUARTO)" render $(if $(1),--to $(1)); \
	elif [ "$(QUARTO)" != quarto ]; then \
		echo "QUARTO=$(QUARTO): no such program; unset it, or name the quarto to use" >&2; exit 1; \
	else \
		echo "no quarto here: building with code/book"; $(PY) code/book $(if $(1),--to $(1)); \
	fi
endef

report: $(VENV)/.quarto-tried tex ## build the book, HTML and PDF, in _book/
	$(call build,)

html: $(VENV)/.quarto-tried ## build the HTML pages only
	$(call build,html)

pdf: $(VENV)/.quarto-tried tex ## build the PDF only
	$(call build,pdf)

test: setup ## run the tests (MNIST_ROOT= names the folder of the MNIST files)
	$(PYTEST)

proofs: rocq ## let Rocq check the theorems in code/proofs
	$(PYTHON) code/proofs/check.py

fuzz: setup ## run the property tests on new random examples, again and again for SECONDS= (default 600)
	@end=$$(($$(date +%s) + $(or $(SECONDS),600))); \
	while [ "$$(date +%s)" -lt "$$end" ]; do \
		$(PYTEST) --quiet --hypothesis-profile fuzz -m "not slow" || exit 1; \
	done

lint: setup ## check style, types and the hosted workflow
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/zizmor --offline --quiet .github/workflows

prose: setup ## check the spelling, the style and the length of sentences
	$(VENV)/bin/codespell
	$(PYTEST) tests/test_prose.py

experiment: setup ## run the MNIST experiment again, and the studies or one (STUDY=grid), into data/results/ (resumes)
	$(PY) -m implicit_bias experiment $(if $(STUDY),--study $(STUDY))

bench: setup ## measure the trainer's speed and record it in data/results/
	$(PY) -m implicit_bias benchmark --out $(RESULTS)/benchmark.json

preview: html ## build the pages and serve them on http://localhost:8000
	$(PY) -m http.server --directory _book --bind localhost 8000

clean: ## delete what the other targets made, except the recorded results and .venv
	rm -rf _book .quarto .cache .pytest_cache .hypothesis .mypy_cache .ruff_cache
	cd code/proofs && rm -f *.vo* *.glob .*.aux .*.cache
