# Thin on purpose: `python3 run.py NAME` does the same where make is missing. ARGS="..." is handed on.
PYTHON ?= python3

.PHONY: up demo test env
up demo test env:
	@$(PYTHON) run.py $@ $(ARGS)
