# Two commands that need nothing but Python >= 3.10: `make demo` and `make test`. Both make or reuse .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test lint types unit clean

demo: $(STAMP)  ## watch a small policy learn to answer and to keep the format (about three minutes)
	$(BIN)/python -m recipes.gsm8k_r1 --embedded

test: lint types unit  ## everything that guards the project

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

unit: $(STAMP)
	$(BIN)/python -m pytest

# The constraints pin torch to the build that was tested; it goes in first, so that nothing asks for another.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[engine,lora,trl,test]'
	touch $@

clean:
	rm -rf $(VENV) runs .mypy_cache .ruff_cache .pytest_cache .hypothesis
