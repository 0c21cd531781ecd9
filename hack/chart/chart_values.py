"""Values of the Helm chart: the one source of values.yaml, values.schema.json and the table in the chart's README.

A field is a value, its docstring the text that users read, its default the chart's. Unknown values are refused.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from trtllm_api.base import ApiModel

Name = Annotated[str, StringConstraints(min_length=1, max_length=253)]
Names = Annotated[tuple[Name, ...], Field(json_schema_extra={"uniqueItems": True})]
Strings = dict[str, str]
Amounts = dict[str, str | int]
"""Kubernetes quantities by resource name."""
Repository = Annotated[str, StringConstraints(min_length=1)]
KubernetesObject = dict[str, Any]
"""An object of Kubernetes' own API, which checks it."""


class PullPolicy(StrEnum):
    """Pull policy of an image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class LogLevel(StrEnum):
    """Least severity of a log line."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """Format of a log line."""

    JSON = "json"
    PLAIN = "plain"


_REQUIRED = ConfigDict(json_schema_extra={"required": ["repository"]})
"""Helm drops a value that is null: without a repository there is no image."""


class Image(ApiModel):
    """Image of the operator."""

    model_config = _REQUIRED

    repository: Repository = "trtllm-operator"
    """Repository of the image, with its registry."""
    tag: str = ""
    """Tag of the image. Empty: the chart's appVersion."""
    pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    """Pull policy of the image: Always, IfNotPresent or Never."""


class BuilderImage(ApiModel):
    """Image of Jobs and of Transformers servers, and of the init container of TensorRT-LLM's pods."""

    model_config = _REQUIRED

    repository: Repository = "trtllm-builder"
    """Repository of the image, with its registry."""
    tag: str = ""
    """Tag of the image. Empty: the chart's appVersion."""
    pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    """Pull policy of the image: Always, IfNotPresent or Never."""
    pull_secrets: Names = ()
    """Names of image pull Secrets in the namespaces of the resources."""
    env: Annotated[Strings, Field(json_schema_extra={"propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}})] = (
        Field(default={})
    )
    """
    Environment variables of every builder and server pod, such as HF_ENDPOINT. Bounds of sources:
    TRTLLM_TOKEN_ORIGINS, origins that may get a hub token, separated by commas (https://huggingface.co);
    TRTLLM_SOURCE_NETWORKS, private networks of sources, mirrors and proxies, such as 10.0.0.0/8 (none);
    TRTLLM_SOURCE_MAX_BYTES, size of the largest source (4 TiB).
    """


class Store(ApiModel):
    """PersistentVolumeClaims that the operator creates."""

    storage_class_name: str = ""
    """StorageClass of claims whose resource names none. Empty: the cluster's default."""


class NetworkPolicy(ApiModel):
    """NetworkPolicy of the servers: calls such as /release_memory change them without authentication."""

    enabled: bool = False
    """Whether NetworkPolicies are created."""
    namespaces: Names = ()
    """Namespaces of the servers. Empty: watchNamespaces, or else the release's own."""
    from_: Annotated[tuple[KubernetesObject, ...], Field(alias="from")] = ()
    """NetworkPolicyPeers that may reach ports 8000 and 8001. Empty: everybody."""


class Log(ApiModel):
    """Log of the operator."""

    level: LogLevel = LogLevel.INFO
    """Least severity that is written: debug, info, warning or error."""
    format: LogFormat = LogFormat.JSON
    """Format of a line: json or plain."""


class ServiceAccount(ApiModel):
    """ServiceAccount of the operator."""

    create: bool = True
    """Whether the ServiceAccount is created. If not, name must exist."""
    name: str = ""
    """Name of the ServiceAccount. Empty: the release's name."""
    annotations: Strings = Field(default={})
    """Annotations of the ServiceAccount."""


class ServiceMonitor(ApiModel):
    """ServiceMonitor for the Prometheus operator."""

    enabled: bool = False
    """Whether a ServiceMonitor is created; the cluster must have its definition."""
    interval: Annotated[str, StringConstraints(pattern=r"^[0-9]+(ms|s|m|h)$")] = "30s"
    """Time between two scrapes, with its unit."""
    labels: Strings = Field(default={})
    """Labels of the ServiceMonitor."""


class Metrics(ApiModel):
    """Metrics of the operator."""

    port: Annotated[int, Field(ge=1, le=65535)] = 9090
    """Port of /metrics."""
    service_monitor: ServiceMonitor = ServiceMonitor()


class Resources(ApiModel):
    """Requests and limits of the operator's container."""

    requests: Amounts = Field(default={"cpu": "50m", "memory": "96Mi"})
    """Amounts that the scheduler reserves, by resource name."""
    limits: Amounts = Field(default={"memory": "512Mi"})
    """Amounts that the container cannot exceed, by resource name."""
    claims: tuple[KubernetesObject, ...] | None = None
    """Claims of dynamic resource allocation."""


class Values(ApiModel):
    """Values of the chart trtllm-operator."""

    global_: Annotated[KubernetesObject | None, Field(alias="global")] = None
    """Values of a parent chart; this chart reads none of them."""
    image: Image = Image()
    image_pull_secrets: Names = ()
    """Names of image pull Secrets in the release's namespace."""
    builder_image: BuilderImage = BuilderImage()
    replicas: Annotated[int, Field(ge=0)] = 1
    """Number of operator pods. One works; a second one takes over when the first is gone."""
    watch_namespaces: Names = ()
    """Namespaces whose resources the operator works on, with a Role in each. Empty: all, with a ClusterRole."""
    store: Store = Store()
    drain_seconds: Annotated[int, Field(ge=1, le=86400)] = 120
    """Time that a server may take to finish running requests after SIGTERM, in seconds."""
    network_policy: NetworkPolicy = NetworkPolicy()
    log: Log = Log()
    resources: Resources = Resources()
    service_account: ServiceAccount = ServiceAccount()
    metrics: Metrics = Metrics()
    pod_labels: Strings = Field(default={})
    """Labels of the operator's pods."""
    pod_annotations: Strings = Field(default={})
    """Annotations of the operator's pods."""
    node_selector: Strings = Field(default={})
    """Labels that a node must have to run the operator."""
    tolerations: tuple[KubernetesObject, ...] = ()
    """Tolerations of the operator's pods."""
    affinity: KubernetesObject = Field(default={})
    """Affinity of the operator's pods."""
    priority_class_name: str = ""
    """PriorityClass of the operator's pods. Empty: the cluster's default."""
