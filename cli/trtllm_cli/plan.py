"""`trtllm plan`: judges and plans documents as the operator would, without one; called by main."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence

from trtllm_api import quantizedmodel as qm
from trtllm_api.digest import digest_of
from trtllm_api.enginebuild import EngineBuildSpec, Runtime
from trtllm_api.quantizedmodel import MethodLadder, QuantizedModelSpec
from trtllm_cli.asdata import as_data, as_json, as_yaml, failed
from trtllm_cli.documents import Document, read_documents
from trtllm_cli.gpus import EXAMPLE, Nodes, nodes_of_file, nodes_of_flag, nodes_with_gpus
from trtllm_cli.judge import (
    Answer,
    Subject,
    judge_engine,
    judge_model,
    not_judged,
    planned_subject,
    published_subject,
)
from trtllm_cli.kubectl import Cluster
from trtllm_cli.models import Models, paths_of
from trtllm_cli.problem import Exit, Unreadable
from trtllm_cli.quality import model_status
from trtllm_cli.showplan import show
from trtllm_cli.terminal import Terminal
from trtllm_planner.inventory import Inventory, gpu_inventory, narrow
from trtllm_planner.quantization.ladder import method_ladder


def run(arguments: Namespace) -> int:
    """The exit code: 1 when anything is refused, with --strict when there are warnings."""
    documents = read_documents(arguments.filename)
    models = Models(paths_of(arguments.model, (document.name for document in documents)))
    cluster = Cluster(arguments.namespace, arguments.context) if arguments.cluster else None
    answers = judge_documents(documents, models, _nodes(arguments, cluster), cluster)
    if arguments.output == "json":
        sys.stdout.write(as_json(as_data(answers, strict=arguments.strict)))
    elif arguments.output == "yaml":
        sys.stdout.write(as_yaml(as_data(answers, strict=arguments.strict)))
    else:
        show(answers, Terminal())
    return Exit.REFUSED if any(failed(answer, strict=arguments.strict) for answer in answers) else Exit.FINE


def judge_documents(
    documents: Sequence[Document], models: Models, nodes: Nodes | None, cluster: Cluster | None = None
) -> list[Answer]:
    """In the documents' order; QuantizedModels first, because EngineBuilds are made of them."""
    judged: dict[str, Answer] = {}
    specs: dict[str, QuantizedModelSpec] = {}
    for document in documents:
        if document.kind != qm.KIND:
            continue
        if isinstance(document.spec, QuantizedModelSpec):
            specs[document.name] = document.spec
            facts = models.facts(document.name, document.spec.source)
            judged[document.name] = judge_model(document, document.spec, facts, _ladder(document, nodes))
        else:
            judged[document.name] = Answer(document, document.mistakes)
    answers = []
    for document in documents:
        if isinstance(document.spec, EngineBuildSpec):
            answers.append(_engine(document, document.spec, judged, specs, models, nodes, cluster))
        elif document.kind == qm.KIND:
            answers.append(judged[document.name])
        else:
            answers.append(Answer(document, document.mistakes))
    return answers


def _engine(
    document: Document,
    spec: EngineBuildSpec,
    judged: Mapping[str, Answer],
    specs: Mapping[str, QuantizedModelSpec],
    models: Models,
    nodes: Nodes | None,
    cluster: Cluster | None,
) -> Answer:
    if spec.source is not None:
        subject: Subject | None = Subject(models.facts(document.name, spec.source))
    else:
        name = spec.model_ref.name if spec.model_ref is not None else ""
        if name in judged:
            subject = planned_subject(judged[name], specs[name], name) if name in specs else None
        else:
            subject = _from_cluster(document, name, cluster)
        if subject is None:
            return not_judged(document, judged, name)
    if nodes is None and spec.runtime is not Runtime.TRANSFORMERS and not narrow(Inventory(), spec.gpu).kinds():
        raise Unreadable(
            f"{document.title}: no GPUs to plan on: add --gpus {EXAMPLE}, --inventory nodes.json or --cluster"
        )
    if subject is None:
        raise ValueError("every EngineBuild has a source or a modelRef")
    return judge_engine(document, spec, subject, gpu_inventory(nodes or ()))


def _ladder(document: Document, nodes: Nodes | None) -> MethodLadder | None:
    """What a QuantizedModel without a method is tried with, on the GPUs that its nodeSelector allows."""
    spec = document.spec
    if not isinstance(spec, QuantizedModelSpec) or spec.quantization.method is not None:
        return None
    wanted = (spec.pod_template.node_selector or {}).items()
    allowed = [node for node in nodes or () if wanted <= (node["metadata"].get("labels") or {}).items()]
    found = method_ladder(spec, gpu_inventory(allowed), digest_of("planned without a cluster"))
    if found is None:
        which = "of those none has the labels of its nodeSelector" if nodes else f"add --gpus {EXAMPLE} or --cluster"
        raise Unreadable(f"{document.title} names no method, which depends on the GPUs: {which}")
    return found


def _from_cluster(document: Document, name: str, cluster: Cluster | None) -> Subject:
    """The artifact of a QuantizedModel that is not in the files."""
    if cluster is None:
        raise Unreadable(
            f"{document.title} is made of QuantizedModel {name}, which is not in the files: "
            "add its file with another -f, or let --cluster ask for it"
        )
    found = cluster.resource(qm.KIND, name)
    subject = published_subject(model_status(found))
    if subject is None:
        raise Unreadable(f"{document.title}: QuantizedModel {name} has no artifact yet: add its file with another -f")
    return subject


def _nodes(arguments: Namespace, cluster: Cluster | None) -> Nodes | None:
    found: list[Nodes] = []
    if arguments.gpus:
        found.append(nodes_of_flag(arguments.gpus))
    if arguments.inventory:
        found.append(nodes_of_file(arguments.inventory))
    if cluster is not None and not found:
        found.append(nodes_with_gpus(cluster.get("nodes"), "the cluster"))
    if len(found) > 1:
        raise Unreadable("--gpus and --inventory both say what GPUs there are: use one of them")
    return found[0] if found else None
