"""The Jobs and the claim of a QuantizedModel, as plans and manifests; called by quantizedmodel.state and .plan."""

from __future__ import annotations

from trtllm_api.contract import (
    CALIBRATION_PATH,
    DATASET_TOKEN_ENV,
    EVALUATION_PATH,
    HF_TOKEN_ENV,
    SOURCE_PATH,
    STORE_PATH,
    BuildRequest,
    CalibrationRequest,
    DatasetRequest,
    FetchRequest,
    GateRequest,
    QuantizeRequest,
    Stage,
)
from trtllm_api.facts import ModelFacts
from trtllm_api.quantizedmodel import Dataset, QuantizationPlan, QuantizedModelSpec, SourceStatus
from trtllm_operator.children.identity import ChildStage
from trtllm_operator.children.job import CONTAINER, REQUEST_ARGS, JobPlan
from trtllm_operator.children.pod import ClaimMount, ConfigMapMount, PodPlan, SecretEnv, store_mount
from trtllm_operator.children.resources import fetch_resources, quantize_resources
from trtllm_operator.quantizedmodel.observed import Observed


def fetch_job(observed: Observed, spec: QuantizedModelSpec) -> JobPlan:
    """Fetch, pin and verify the source: a CPU Job, whatever the device is."""
    source = spec.source
    secrets: tuple[SecretEnv, ...] = ()
    if source.hugging_face and source.hugging_face.token_secret_ref:
        ref = source.hugging_face.token_secret_ref
        secrets = (SecretEnv(HF_TOKEN_ENV, ref.name, ref.key),)
    env_from = (source.uri.secret_ref.name,) if source.uri and source.uri.secret_ref else ()
    request = BuildRequest(
        stage=Stage.FETCH,
        namespace=observed.owner.namespace,
        name=observed.owner.name,
        request_digest=observed.source_digest,
        fetch=FetchRequest(source=source, trust_remote_code=spec.trust_remote_code),
    )
    pod = PodPlan(
        container=CONTAINER,
        args=REQUEST_ARGS,
        device=None,
        resources=fetch_resources(),
        claims=(store_mount(spec.storage.claim_name, read_only=False), *_source_claims(spec)),
        secret_env=secrets,
        env_from_secrets=env_from,
    )
    return _job(observed, spec, ChildStage.FETCH, request, pod)


def quantize_job(
    observed: Observed, spec: QuantizedModelSpec, source: SourceStatus, facts: ModelFacts, plan: QuantizationPlan
) -> JobPlan:
    """Quantize and judge, on the device asked for."""
    calibration, evaluation = spec.calibration, spec.quality.evaluation
    root = SOURCE_PATH if spec.source.persistent_volume_claim else STORE_PATH
    request = BuildRequest(
        stage=Stage.QUANTIZE,
        namespace=observed.owner.namespace,
        name=observed.owner.name,
        request_digest=observed.request_digest or "",
        quantize=QuantizeRequest(
            source_digest=source.digest,
            source_path=f"{root}/{source.path}".rstrip("/"),
            source_manifest=f"{STORE_PATH}/{source.manifest_path}",
            candidates=plan.candidates,
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
    pod = PodPlan(
        container=CONTAINER,
        args=REQUEST_ARGS,
        device=spec.device,
        resources=quantize_resources(facts, spec.device, in_flight),
        claims=(store_mount(spec.storage.claim_name, read_only=False), *_source_claims(spec), *claims),
        config_maps=files,
        secret_env=tokens,
    )
    return _job(observed, spec, ChildStage.QUANTIZE, request, pod)


def _job(
    observed: Observed, spec: QuantizedModelSpec, stage: ChildStage, request: BuildRequest, pod: PodPlan
) -> JobPlan:
    return JobPlan(observed.owner, stage, request, pod, observed.settings, spec.pod_template, observed.retry)


def _source_claims(spec: QuantizedModelSpec) -> tuple[ClaimMount, ...]:
    volume = spec.source.persistent_volume_claim
    return (ClaimMount(volume.claim_name, SOURCE_PATH),) if volume else ()


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
