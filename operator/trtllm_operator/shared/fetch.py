"""Fetching a model, the same for both kinds: identity of what is asked for, the Job, what its result says.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from trtllm_api.contract import HF_TOKEN_ENV, SOURCE_PATH, STORE_PATH, BuildRequest, FetchRequest, FetchResult, Stage
from trtllm_api.digest import digest_of
from trtllm_api.meta import PodTemplate
from trtllm_api.modelstatus import SourceStatus
from trtllm_api.source import Source, Storage
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.manifests.identity import ChildStage, Owner
from trtllm_operator.manifests.job import CONTAINER, REQUEST_ARGS, DesiredJob
from trtllm_operator.manifests.pod import ClaimMount, DesiredPod, SecretEnv, store_mount
from trtllm_operator.manifests.resources import fetch_resources


@dataclass(frozen=True)
class Wanted:
    """A source as a resource asks for it."""

    owner: Owner
    source: Source
    trust_remote_code: bool
    storage: Storage

    @property
    def digest(self) -> str:
        """Identity of the source as asked for, in this namespace, on this claim."""
        return digest_of(
            {
                "namespace": self.owner.namespace,
                "claim": self.storage.claim_name,
                "source": self.source.to_wire(),
                "trustRemoteCode": self.trust_remote_code,
            }
        )


def fetch_job(wanted: Wanted, settings: BuilderSettings, user: PodTemplate, retry: str) -> DesiredJob:
    """Fetch, pin and verify the source: a CPU Job, whatever the device is."""
    source = wanted.source
    secrets: tuple[SecretEnv, ...] = ()
    if source.hugging_face and source.hugging_face.token_secret_ref:
        ref = source.hugging_face.token_secret_ref
        secrets = (SecretEnv(HF_TOKEN_ENV, ref.name, ref.key),)
    env_from = (source.uri.secret_ref.name,) if source.uri and source.uri.secret_ref else ()
    request = BuildRequest(
        stage=Stage.FETCH,
        namespace=wanted.owner.namespace,
        name=wanted.owner.name,
        request_digest=wanted.digest,
        fetch=FetchRequest(source=source, trust_remote_code=wanted.trust_remote_code),
    )
    pod = DesiredPod(
        container=CONTAINER,
        args=REQUEST_ARGS,
        device=None,
        resources=fetch_resources(),
        claims=(store_mount(wanted.storage.claim_name, read_only=False), *source_claims(source)),
        secret_env=secrets,
        env_from_secrets=env_from,
    )
    return DesiredJob(wanted.owner, ChildStage.FETCH, request, pod, settings, user, retry)


def source_claims(source: Source) -> tuple[ClaimMount, ...]:
    """The claim of a source that is read where it lies."""
    volume = source.persistent_volume_claim
    return (ClaimMount(volume.claim_name, SOURCE_PATH),) if volume else ()


def source_status(wanted: Wanted, fetch: FetchResult) -> SourceStatus:
    """The source of the fetch Job's result."""
    volume = wanted.source.persistent_volume_claim
    return SourceStatus(
        request_digest=wanted.digest,
        digest=fetch.digest,
        revision=fetch.revision,
        claim_name=volume.claim_name if volume else wanted.storage.claim_name,
        path=fetch.path,
        manifest_path=fetch.manifest_path,
        bytes=fetch.bytes,
    )


def source_path(source: Source, status: SourceStatus) -> str:
    """The model's directory inside a pod."""
    root = SOURCE_PATH if source.persistent_volume_claim else STORE_PATH
    return f"{root}/{status.path}".rstrip("/")


def manifest_path(status: SourceStatus) -> str:
    """Its manifest inside a pod."""
    return f"{STORE_PATH}/{status.manifest_path}"
