"""The quantize Job of a QuantizedModel as a plan."""

from __future__ import annotations

from trtllm_api.contract import (
    CALIBRATION_PATH,
    DATASET_TOKEN_ENV,
    EVALUATION_PATH,
    BuildRequest,
    CalibrationRequest,
    DatasetRequest,
    GateRequest,
    QuantizeRequest,
    Stage,
)
from trtllm_api.facts import ModelFacts
from trtllm_api.modelstatus import QuantizationPlan, SourceStatus
from trtllm_api.quality import Dataset
from trtllm_api.quantizedmodel import QuantizedModelSpec
from trtllm_operator.manifests.identity import ChildStage
from trtllm_operator.manifests.job import CONTAINER, REQUEST_ARGS, DesiredJob
from trtllm_operator.manifests.pod import ClaimMount, ConfigMapMount, DesiredPod, SecretEnv, store_mount
from trtllm_operator.manifests.resources import quantize_resources
from trtllm_operator.quantizedmodel.observed import Observed
from trtllm_operator.shared.fetch import manifest_path, source_claims, source_path


def quantize_job(
    observed: Observed, spec: QuantizedModelSpec, source: SourceStatus, facts: ModelFacts, plan: QuantizationPlan
) -> DesiredJob:
    """Quantize and judge, on the device asked for."""
    calibration, evaluation = spec.calibration, spec.quality.evaluation
    request = BuildRequest(
        stage=Stage.QUANTIZE,
        namespace=observed.owner.namespace,
        name=observed.owner.name,
        request_digest=observed.request_digest or "",
        quantize=QuantizeRequest(
            source_digest=source.digest,
            source_path=source_path(spec.source, source),
            source_manifest=manifest_path(source),
            candidates=plan.candidates,
            checkpoint=spec.checkpoint,
            calibration=CalibrationRequest(
                dataset=_dataset(calibration.dataset, CALIBRATION_PATH),
                samples=calibration.samples,
                sequence_length=calibration.sequence_length,
                batch_size=calibration.batch_size,
            ),
            gate=GateRequest(
                max_perplexity_increase=spec.quality.max_perplexity_increase,
                max_kl_divergence=spec.quality.max_kl_divergence,
                min_top_token_agreement=spec.quality.min_top_token_agreement,
                dataset=_dataset(evaluation.dataset, EVALUATION_PATH),
                tokens=evaluation.tokens,
                sequence_length=evaluation.sequence_length,
                canaries=spec.quality.canaries,
                on_failure=spec.quality.on_failure,
            ),
            device=spec.device,
            trust_remote_code=spec.trust_remote_code,
        ),
    )
    files, claims, tokens = _data_mounts(spec)
    in_flight = max(calibration.batch_size * calibration.sequence_length, evaluation.sequence_length)
    pod = DesiredPod(
        container=CONTAINER,
        args=REQUEST_ARGS,
        device=spec.device,
        resources=quantize_resources(facts, spec.device, in_flight),
        claims=(store_mount(spec.storage.claim_name, read_only=False), *source_claims(spec.source), *claims),
        files=files,
        secret_env=tokens,
    )
    return DesiredJob(
        observed.owner, ChildStage.QUANTIZE, request, pod, observed.settings, spec.pod_template, observed.retry
    )


def _dataset(dataset: Dataset | None, mount: str) -> DatasetRequest | None:
    if dataset is None:
        return None
    if dataset.config_map:
        return DatasetRequest(path=f"{mount}/{dataset.config_map.key}")
    if dataset.persistent_volume_claim:
        return DatasetRequest(path=f"{mount}/{dataset.persistent_volume_claim.path}".rstrip("/"))
    return DatasetRequest(hugging_face=dataset.hugging_face)


def _data_mounts(
    spec: QuantizedModelSpec,
) -> tuple[tuple[ConfigMapMount, ...], tuple[ClaimMount, ...], tuple[SecretEnv, ...]]:
    files: list[ConfigMapMount] = []
    claims: list[ClaimMount] = []
    tokens: list[SecretEnv] = []
    data_sets = ((spec.calibration.dataset, CALIBRATION_PATH), (spec.quality.evaluation.dataset, EVALUATION_PATH))
    for dataset, path in data_sets:
        if dataset is None:
            continue
        if dataset.config_map:
            files.append(ConfigMapMount(dataset.config_map.name, dataset.config_map.key, path))
        if dataset.persistent_volume_claim:
            claims.append(ClaimMount(dataset.persistent_volume_claim.claim_name, path))
        if dataset.hugging_face and dataset.hugging_face.token_secret_ref:
            ref = dataset.hugging_face.token_secret_ref
            tokens.append(SecretEnv(DATASET_TOKEN_ENV, ref.name, ref.key))
    # both data sets may name the same token, which preflight makes sure of
    return tuple(files), tuple(claims), tuple(dict.fromkeys(tokens))
