"""The pipeline: what each message sets off. Each body gathers, decides and acts; messages carry ids, the ledger carries truth."""
