# make demo    a real video with sound, through a real ComfyUI     (PROMPT= SECONDS= ASPECT= SEED= STEPS=)
# make test    unit tests, then host tests
# make gpu     tests on an accelerator
# make ui      the editor with the pack loaded
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PY := $(VENV)/bin/python
# What people write has quotes and dollars in it: it goes through the environment, where no shell reads it.
override PROMPT := $(value PROMPT)
export PROMPT
ASPECT ?=
SEED ?=
STEPS ?=
# SECONDS is a variable of the shell itself: it is only passed on when it came with the command.
LENGTH := $(if $(filter command line,$(origin SECONDS)),$(SECONDS))

.PHONY: setup demo test unit host gpu ui lint workflows clean

setup:
	@$(PYTHON) scripts/setup.py

demo: setup
	@$(PY) scripts/demo.py --prompt "$$PROMPT" --seconds "$(LENGTH)" --aspect "$(ASPECT)" --seed "$(SEED)" --steps "$(STEPS)"

test: unit host

unit: setup
	@$(PY) -m pytest tests/unit -n auto --maxprocesses 4 --dist worksteal

host: setup
	@$(PY) -m pytest tests/host

gpu: setup
	@$(PY) -m pytest tests/gpu -m gpu

ui: setup
	@$(PY) scripts/ui.py

lint: setup
	@$(PY) -m ruff check . && $(PY) -m ruff format --check .

workflows: setup
	@$(PY) scripts/object_info.py .cache/object_info.json
	@$(PY) scripts/workflows.py .cache/object_info.json && $(PY) scripts/node_texts.py .cache/object_info.json
	@$(PY) scripts/thumbnails.py

clean:
	rm -rf .venv .cache build dist *.egg-info
