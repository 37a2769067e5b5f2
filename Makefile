# Two commands a newcomer needs: `make demo` and `make test`. Everything else is for who works on tenfold.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TORCH  := torch==2.13.0

.PHONY: demo test lint format bench floor gateway-bench data-bench clean

demo: $(VENV)/.demo
	$(BIN)/tenfold demo

test: $(VENV)/.dev
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix src tests bench
	$(BIN)/ruff format src tests bench

# Every measured claim, on a quiet machine; writes bench/results. `make floor FLAGS=--quick` only looks.
bench: floor gateway-bench data-bench

floor: $(VENV)/.dev
	$(BIN)/python bench/floor.py $(FLAGS)

# Peers get environments of their own, once, in the user's cache; nginx and wrk come from the system.
gateway-bench: $(VENV)/.dev
	$(BIN)/python bench/peers.py
	$(BIN)/python bench/gateway.py $(FLAGS)
	$(BIN)/python bench/gateway_growth.py $(FLAGS)
	$(BIN)/python bench/gateway_soak.py $(FLAGS)

# Needs the real data beside the checkout (shared/); parts without theirs say so.
data-bench: $(VENV)/.dev
	$(BIN)/python bench/peers.py
	$(BIN)/python bench/data.py $(FLAGS)

clean:
	rm -rf $(VENV) tenfold-demo build dist

# torch goes first, and exactly: a plain `torch` pulls gigabytes of CUDA.
$(VENV)/.torch:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tenfold needs Python 3.11 or newer; try make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade "pip>=25.1"
	$(BIN)/python -m pip install -q $(TORCH)
	@touch $@

$(VENV)/.demo: $(VENV)/.torch pyproject.toml
	$(BIN)/python -m pip install -q -e '.[train]'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(BIN)/python -m pip install -q -e '.[train,postgres,data,pdf]' --group dev
	@touch $@
