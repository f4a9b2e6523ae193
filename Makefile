# The two commands of the README: each makes its own environment the first time.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: evidence period test lint demo clean

evidence: $(VENV)/.installed
	@rm -rf build/evidence
	@$(BIN)/auditkit run --from demo --config data/demo/auditkit.toml --out build/evidence

# The recorded cluster over four months, of which four days were captured: it ends with 3, as days were missed.
RECORDED = tests/recordings/northwind-prod
period: $(VENV)/.installed
	@rm -rf build/period
	@$(BIN)/auditkit period $(patsubst %,--from $(RECORDED)/%,2026-07-01 2026-08-15 2026-09-30 2026-10-31) --tls-secrets \
	  --config tests/northwind-period.toml --out build/period || test $$? -eq 3

# On every core. A file's tests stay together, as they share what they build; files in order of their names, as the
# longest are not those with the most tests.
test: $(VENV)/.installed-test
	@$(BIN)/python -m pytest -n logical --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.installed-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# The demo cluster as it is kept today: after a Struct of auditkit/kinds has changed.
demo: $(VENV)/.installed
	@rm -rf build/demo
	@$(BIN)/auditkit capture --from tests/recordings/northwind-prod/2026-10-31 --secrets --tls-secrets --secret-facts --out build/demo
	@rm -rf data/demo/objects && cp -r build/demo/. data/demo

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "auditkit needs Python 3.11 or later")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	@touch $@

clean:
	@rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis
