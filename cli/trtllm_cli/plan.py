"""`trtllm plan`: checks and plans documents as the operator would, without a cluster."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from trtllm_api import quantizedmodel as qm
from trtllm_api.digest import digest_of
from trtllm_api.enginebuild import EngineBuildSpec, Runtime
from trtllm_api.modelstatus import MethodLadder
from trtllm_api.quantizedmodel import QuantizedModelSpec
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
from trtllm_cli.key import Key
from trtllm_cli.kubectl import Cluster
from trtllm_cli.models import Models, paths_of
from trtllm_cli.problem import Exit, Unreadable
from trtllm_cli.quality import model_status
from trtllm_cli.showplan import show
from trtllm_cli.terminal import Terminal
from trtllm_planner.inventory import Inventory, gpu_inventory, narrow
from trtllm_planner.quantization.ladder import method_ladder


@dataclass(frozen=True)
class Surroundings:
    """Everything besides the documents: models, nodes and the cluster; None if not given."""

    models: Models
    nodes: Nodes | None = None
    cluster: Cluster | None = None


def run(arguments: Namespace) -> int:
    """The exit code: 1 if anything is refused or, with --strict, if there is a warning."""
    documents = read_documents(arguments.filename, arguments.namespace or "")
    models = Models(paths_of(arguments.model, [document.key for document in documents if document.has_source]))
    cluster = Cluster(arguments.namespace, arguments.context) if arguments.cluster else None
    answers = judge_documents(documents, Surroundings(models, _nodes(arguments, cluster), cluster))
    if arguments.output == "json":
        sys.stdout.write(as_json(as_data(answers, strict=arguments.strict)))
    elif arguments.output == "yaml":
        sys.stdout.write(as_yaml(as_data(answers, strict=arguments.strict)))
    else:
        show(answers, Terminal())
    return Exit.REFUSED if any(failed(answer, strict=arguments.strict) for answer in answers) else Exit.FINE


def judge_documents(documents: Sequence[Document], around: Surroundings) -> list[Answer]:
    """Answers in the documents' order. QuantizedModels are judged first, because EngineBuilds refer to them."""
    models = [_model(document, around) if document.key.kind == qm.KIND else None for document in documents]
    judged = {answer.document.key: answer for answer in models if answer is not None}
    return [
        answer if answer is not None else _engine(document, judged, around)
        for document, answer in zip(documents, models, strict=True)
    ]


def _model(document: Document, around: Surroundings) -> Answer:
    spec = document.spec
    if not isinstance(spec, QuantizedModelSpec):
        return Answer(document, document.mistakes)
    facts = around.models.facts(document.key, spec.source)
    return judge_model(document, spec, facts, _ladder(document, spec, around.nodes))


def _engine(document: Document, judged: Mapping[Key, Answer], around: Surroundings) -> Answer:
    spec = document.spec
    if not isinstance(spec, EngineBuildSpec):
        return Answer(document, document.mistakes)
    model = Key(qm.KIND, document.key.namespace, spec.model_ref.name if spec.model_ref is not None else "")
    subject = _subject(document.key, spec, model, judged, around)
    if subject is None:
        return not_judged(document, judged[model])
    if around.nodes is None and spec.runtime is not Runtime.TRANSFORMERS and not narrow(Inventory(), spec.gpu).kinds():
        raise Unreadable(
            f"{document.key} cannot be planned without GPUs",
            f"add --gpus {EXAMPLE}, --inventory nodes.json or --cluster; or set spec.gpu.product and spec.gpu.perNode",
        )
    return judge_engine(document, spec, subject, gpu_inventory(around.nodes or ()))


def _subject(
    engine: Key, spec: EngineBuildSpec, model: Key, judged: Mapping[Key, Answer], around: Surroundings
) -> Subject | None:
    """The engine's checkpoint; None if it comes from a QuantizedModel in the files that is refused."""
    if spec.source is not None:
        return Subject(around.models.facts(engine, spec.source))
    return planned_subject(judged[model]) if model in judged else _published(engine, model, judged, around)


def _ladder(document: Document, spec: QuantizedModelSpec, nodes: Nodes | None) -> MethodLadder | None:
    """Methods that are tried if the spec names none, for the GPUs that its nodeSelector allows."""
    if spec.quantization.method is not None:
        return None
    wanted = (spec.pod_template.node_selector or {}).items()
    allowed = [node for node in nodes or () if wanted <= (node["metadata"].get("labels") or {}).items()]
    found = method_ladder(spec, gpu_inventory(allowed), digest_of("planned without a cluster"))
    if found is None:
        cause = "no node with GPUs has the labels of spec.podTemplate.nodeSelector" if nodes else "no GPUs are given"
        remedy = "change that selector" if nodes else f"add --gpus {EXAMPLE} or --cluster"
        raise Unreadable(
            f"{document.key} omits spec.quantization.method, whose default depends on the GPUs, and {cause}",
            f"{remedy}, or set spec.quantization.method",
        )
    return found


def _published(engine: Key, model: Key, judged: Mapping[Key, Answer], around: Surroundings) -> Subject:
    """Artifact of a QuantizedModel that is in the cluster and not in the files."""
    if around.cluster is None:
        others = [str(key) for key in judged if key.name == model.name]
        elsewhere = f" ({', '.join(others)} is in another namespace)" if others else ""
        raise Unreadable(
            f"{engine} refers to {model}, which is not in the files{elsewhere}",
            "add its file with another -f, or add --cluster to read it from the cluster",
        )
    found = replace(around.cluster, namespace=model.namespace or None).resource(model.kind, model.name)
    subject = published_subject(model_status(found))
    if subject is None:
        raise Unreadable(f"{engine}: {model} has no artifact yet", "add its file with another -f")
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
        raise Unreadable("--gpus and --inventory exclude each other", "use one of them")
    return found[0] if found else None
