# Thin on purpose: `python3 run.py NAME` does the same where make is missing. ARGS="..." is handed on.
PYTHON ?= python3

.PHONY: up demo test env machine screenshots chaos
up demo test env machine screenshots:
	@$(PYTHON) run.py $@ $(ARGS)

# Some twelve minutes on two cores: 500 workers killed over 20,000 mails. What it prints stands in the README.
chaos:
	@$(PYTHON) run.py chaos --kills 500 --messages 20000 $(ARGS)
