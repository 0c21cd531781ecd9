# Commands that people rely on; README.md explains them. Everything is done by the scripts in hack/.
PYTHON ?= python3
CLUSTER := hack/cluster/cluster --name trtllm-demo --index 0
TOOLS := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help demo test check generate verify lock bench images cluster-up cluster-down environments builder-environment

help:
	@echo "make demo          from nothing to a chat answer from a quantized model on a local cluster"
	@echo "make test          everything that CI runs"
	@echo "make check         format, types, imports, unit tests: under 45 seconds"
	@echo "make generate      what is made from code: CRDs, chart, docs, golden files; make verify proves it fresh"
	@echo "make bench         the figures of docs/benchmarks.md"
	@echo "make cluster-up    the demo's cluster alone; make cluster-down removes it"
	@echo "make lock          requirements/*.txt from requirements/*.in"

demo:
	@$(PYTHON) hack/demo/demo.py

test:
	@$(PYTHON) hack/test/run.py

check: environments
	@$(PYTHON) hack/test/run.py check

environments:
	@$(PYTHON) hack/test/run.py environments

builder-environment:
	@$(PYTHON) hack/test/run.py builder-environment

generate: environments builder-environment
	@.venv-builder/bin/python hack/class_defaults/class_defaults.py planner/trtllm_planner/model_config
	@$(TOOLS)/python -m trtllm_api.generate crds charts/trtllm-operator/crds
	@$(TOOLS)/python -m trtllm_api.field_docs docs/spec
	@$(TOOLS)/python hack/chart/chart_documents.py charts/trtllm-operator
	@$(TOOLS)/python tests/support/golden_manifests.py
	@$(TOOLS)/python tests/unit/planner/commands/generate_llm_args.py
	@$(TOOLS)/python tests/unit/planner/commands/generate_commands.py
	@$(TOOLS)/python -m trtllm_diagnosis.docs docs/failures.md
	@$(TOOLS)/python -m trtllm_api.reason_docs docs/reasons.md
	@$(TOOLS)/python benchmarks/estimator.py docs/planning.md > /dev/null

verify: generate
	@git diff --exit-code --stat -- "crds/*.yaml" charts/trtllm-operator docs/spec docs/failures.md docs/reasons.md docs/planning.md "planner/**/*.json" tests/unit/operator/golden tests/unit/planner/commands/golden \
	  || { echo "Generated files are stale: run make generate and commit what changes."; exit 1; }

bench: environments
	@$(PYTHON) hack/test/run.py bench

images:
	@$(CLUSTER) images $(addprefix --double=,$(DOUBLE))

cluster-up:
	@$(CLUSTER) up

cluster-down:
	@$(CLUSTER) down

lock: environments
	@$(PYTHON) hack/test/run.py lock
