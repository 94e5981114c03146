# Thin names for what the scripts do; nothing here is needed to run or to test the gateway.
PYTHON = .venv/bin/python

.PHONY: check test soak bench vm-test generated

check: ## style, types, import contracts, generated files
	.ci/check

test: ## the whole suite
	./test

soak: ## the long variants: 100 kills on either kernel with a table of every line, 50 of each process, a minute without the broker
	@reports=$$(mktemp -d) && echo "reports in $$reports" && status=0 && \
	{ KG_SOAK=1 KG_REPORTS=$$reports ./test tests/system || status=$$?; } && cat "$$reports"/*.txt; exit $$status

bench: ## the whole chain, measured
	$(PYTHON) -m bench.pipeline

vm-test: ## the bus code on a real kernel's device nodes, in a small virtual machine (builds it first)
	tests/vm/run

generated: ## config/schema.json and docs/drivers from the code
	.ci/generated
