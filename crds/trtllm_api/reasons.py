"""Reason: the one vocabulary of condition reasons, Event reasons and the failure metric's label.

A reason is given by one fact. A failure's reason says what is wrong. Each docstring gives the meaning, then what to do.
docs/reasons.md is generated from this file and from trtllm_api.reason_docs.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a condition has its status."""

    # Done
    ARTIFACT_READY = "ArtifactReady"
    """A candidate passed the quality gate, or `onFailure: Warn` lets it pass, and is published."""
    ARTIFACT_REUSED = "ArtifactReused"
    """Another QuantizedModel has published the artifact of the same request; it is used."""
    SERVING = "Serving"
    """Every replica has answered its known prompt with the current artifact."""
    SCALED_TO_ZERO = "ScaledToZero"
    """No replica is wanted. Raise `spec.serving.replicas` to serve."""
    ENGINE_READY = "EngineReady"
    """Every rank of the engine was built, checked and published."""
    ENGINE_REUSED = "EngineReused"
    """Another EngineBuild has built the engine of the same request; it is used."""

    # A stage has passed
    FETCHED = "Fetched"
    """The source is pinned and verified; its shapes are known."""
    SOURCE_REUSED = "SourceReused"
    """Another resource has fetched the same source; it is used."""
    MODEL_READY = "ModelReady"
    """The QuantizedModel of `spec.modelRef` has an artifact for its present spec."""
    LAST_GOOD_ARTIFACT = "LastGoodArtifact"
    """The QuantizedModel has failed or is gone; its last good artifact keeps serving. Read the QuantizedModel's
    conditions."""
    MODEL_UPDATING = "ModelUpdating"
    """The QuantizedModel is making a new artifact; the last good one keeps serving."""
    PASSED = "Passed"
    """No rule of preflight refuses the spec; or the quality gate passed the method of the spec."""
    PASSED_BY_FALLBACK = "PassedByFallback"
    """The quality gate refused the method of the spec and passed a fallback. Compare the candidates in
    `status.quality`."""
    WARNED = "Warned"
    """The quality gate refused the artifact, and `onFailure: Warn` ships it all the same. Read the numbers before you
    serve it."""
    QUANTIZED = "Quantized"
    """A candidate is published."""
    AVAILABLE = "Available"
    """One replica or more answers."""

    # At work
    FETCHING = "Fetching"
    """A Job downloads and verifies the source."""
    QUANTIZING = "Quantizing"
    """A Job quantizes and measures candidates."""
    CONVERTING = "Converting"
    """A Job converts the checkpoint for TensorRT-LLM."""
    BUILDING = "Building"
    """A Job builds the engine's ranks."""
    PUBLISHING = "Publishing"
    """A Job checks and publishes the engine's ranks."""
    ROLLING_OUT = "RollingOut"
    """New servers are starting; the old ones keep serving until they are ready."""
    POD_PENDING = "PodPending"
    """The Job has no pod yet."""
    POD_STARTING = "PodStarting"
    """The pod is scheduled, and its container does not run yet."""
    POD_RUNNING = "PodRunning"
    """The container runs."""
    POD_RETRYING = "PodRetrying"
    """A pod was lost or ended with a transient error; the Job makes another."""
    POD_MOVED = "PodMoved"
    """The pod was drained, preempted or taken back by a queue; the Job makes another."""
    PULLING_IMAGE = "PullingImage"
    """The pod is scheduled, and the node downloads its image."""
    RESULT_LOST = "ResultLost"
    """A Job ended, and its pods were gone before their result was read; the Job runs again and finds its work on the
    claim."""

    # Waiting
    NOT_REACHED = "NotReached"
    """The condition's stage waits for an earlier stage."""
    QUEUED = "Queued"
    """The Job is suspended, or its pod has a scheduling gate: a queue such as Kueue has not admitted it yet. Look at
    the queue: `kubectl get workloads`."""
    WAITING_FOR_SIBLING = "WaitingForSibling"
    """An older resource of the namespace already does the same work; its result will be used."""
    MODEL_NOT_FOUND = "ModelNotFound"
    """`spec.modelRef` names a QuantizedModel that does not exist. Create it in the same namespace, or correct the
    name."""
    MODEL_NOT_READY = "ModelNotReady"
    """The QuantizedModel has no artifact yet."""
    DATASET_MISSING = "DatasetMissing"
    """A ConfigMap with calibration or evaluation data does not exist, or lacks the key. Create it."""
    NO_GPU_NODES = "NoGpuNodes"
    """The spec names no method, and no schedulable node has a labelled NVIDIA GPU. Add such a node, or set
    `spec.quantization.method`."""
    REPLICAS_NOT_READY = "ReplicasNotReady"
    """Servers of the current artifact have stopped answering, or more of them are starting."""
    POD_REFUSED = "PodRefused"
    """Kubernetes refuses to create pods: a quota, Pod Security or another admission policy. Follow the API server's
    words in the message."""
    APPLY_REFUSED = "ApplyRefused"
    """The API server refuses an object that the operator makes. Follow its words in the message; the operator tries
    again."""
    API_SERVER_ERROR = "ApiServerError"
    """The API server, or a webhook that it calls, keeps failing or does not answer. Follow its words in the message."""
    CHILDREN_CONTESTED = "ChildrenContested"
    """Somebody else keeps changing objects that the operator makes. Find out who (`kubectl get -o yaml
    --show-managed-fields`), and stop one of the two."""
    NAME_TAKEN = "NameTaken"
    """An object with the name of a child exists and belongs to somebody else. Delete or rename it, or rename the
    resource."""

    # Stopped by the user
    SUSPENDED = "Suspended"
    """`spec.suspend` is true: no Job runs and no change is rolled out; what serves keeps serving. Set `spec.suspend:
    false`."""
    DELETING = "Deleting"
    """The resource is being deleted."""

    # Refused before a GPU is used
    INVALID_SPEC = "InvalidSpec"
    """The spec does not fit this operator's API: an older schema let it in. Correct the fields that the message names.
    """
    ALREADY_QUANTIZED = "AlreadyQuantized"
    """The source is a quantized checkpoint; it cannot be quantized again. Serve it with an EngineBuild, or name the
    original."""
    CHECKPOINT_NOT_SUPPORTED = "CheckpointNotSupported"
    """The checkpoint is quantized or laid out in a way that this runtime does not load. Use the runtime that the
    message names, or quantize the original."""
    ARCHITECTURE_NOT_SUPPORTED = "ArchitectureNotSupported"
    """The runtime, ModelOpt or the image's transformers does not know the model's architecture. Use an image or a
    runtime that knows it."""
    ROPE_SCALING_NOT_SUPPORTED = "RopeScalingNotSupported"
    """The rotary embedding's scaling is of a type, or written in a form, that this version does not read. Use a newer
    image, or correct `rope_scaling` in config.json."""
    CUSTOM_CODE_NOT_TRUSTED = "CustomCodeNotTrusted"
    """The model brings Python code of its own, and `spec.trustRemoteCode` is false. Read the code, then set
    `spec.trustRemoteCode: true`."""
    QUANTIZATION_NOT_SUPPORTED = "QuantizationNotSupported"
    """ModelOpt or the runtime cannot apply the method to this model or on this device. Choose one of the methods in
    the message."""
    KV_CACHE_NOT_SUPPORTED = "KVCacheNotSupported"
    """The KV cache's format is not available for this checkpoint format. Choose another `spec.quantization.kvCache`."""
    EFFECTIVE_BITS_OUT_OF_REACH = "EffectiveBitsOutOfReach"
    """`spec.quantization.auto.effectiveBits` cannot be reached with its candidates. Raise it, or name smaller formats.
    """
    GROUP_SIZE_NOT_DIVISIBLE = "GroupSizeNotDivisible"
    """The group size does not divide the input width of a layer. Choose a group size from the message, or leave it
    out."""
    MIXED_PRECISION_NOT_POSSIBLE = "MixedPrecisionNotPossible"
    """Fallback Mixed has no method before it that a mix can be made of. Name such a method first."""
    NO_METHOD_FITS = "NoMethodFits"
    """The spec names no method, and none of those that the GPU runs natively suits the model. Name a method."""
    SEQUENCE_TOO_LONG = "SequenceTooLong"
    """A calibration or evaluation sequence is longer than the model's positions. Use the length in the message or
    less."""
    DATASET_TOKENS_DIFFER = "DatasetTokensDiffer"
    """Calibration and evaluation data take their tokens from two Secrets. Use one Secret for both."""
    METHOD_SLOW = "MethodSlow"
    """The method takes many hours for a model of this size on this device. A warning. Choose a faster method, or a
    GPU."""
    GPU_NOT_SUPPORTED = "GpuNotSupported"
    """The GPU's generation lacks the algorithm or the kernel. Choose an algorithm or a GPU from the message."""
    NO_MATCHING_GPU = "NoMatchingGpu"
    """No node has the GPUs that `spec.gpu` names. Correct `spec.gpu`, or add such nodes."""
    NO_LAYOUT_FITS = "NoLayoutFits"
    """No tensor and pipeline parallelism fits the model on the cluster's GPUs. Use what the message says would fit."""
    HEADS_NOT_DIVISIBLE = "HeadsNotDivisible"
    """Attention heads or KV heads do not divide by the tensor parallelism. Use a tensor parallelism from the message.
    """
    PIPELINE_TOO_LONG = "PipelineTooLong"
    """There are more pipeline stages than layers. Use fewer stages."""
    EXPERTS_NOT_DIVISIBLE = "ExpertsNotDivisible"
    """The experts do not divide by the expert parallelism. Use an expert parallelism from the message."""
    EXPERT_PARALLELISM_INVALID = "ExpertParallelismInvalid"
    """The expert parallelism contradicts the model or the other parallelisms. Follow the message, or leave it out."""
    SHARD_NOT_ALIGNED = "ShardNotAligned"
    """A weight's shard does not fit the kernel's or the quantization's block. Use a tensor parallelism from the
    message."""
    WORLD_SIZE_MISMATCH = "WorldSizeMismatch"
    """The number of processes, GPUs or rank files is not the product of the parallelisms. Make them agree, or leave
    them out."""
    GPUS_IDLE = "GpusIdle"
    """GPUs of the last pod stay idle. A warning. Choose a layout that fills its nodes."""
    TENSOR_SPANS_NODES = "TensorSpansNodes"
    """Tensor parallelism spans nodes: every layer waits for the network. A warning. Use pipeline parallelism across
    nodes."""
    LIMITS_INVALID = "LimitsInvalid"
    """Lengths, batch size or tokens contradict each other, the model or the kernels. Use the limits in the message."""
    SERVING_EXCEEDS_ENGINE = "ServingExceedsEngine"
    """`spec.serving` asks for more than the engine was built for. Lower it, or raise `spec.limits` and build again."""
    GPU_MEMORY_TOO_SMALL = "GpuMemoryTooSmall"
    """Weights, activations and KV cache exceed the GPU's memory. Use what the message says would fit."""
    HOST_MEMORY_TOO_SMALL = "HostMemoryTooSmall"
    """Nodes have less host memory or disk than a conversion or build of this size needs. A warning where it is a
    heuristic. Use larger nodes."""
    OPTIONS_CONFLICT = "OptionsConflict"
    """Two options exclude each other on this version. Change the one that the message names."""
    INVALID_OPTIONS = "InvalidOptions"
    """An option is unknown, out of range or reserved for the operator. Follow the message."""
    POD_UNSUITABLE = "PodUnsuitable"
    """The pod, its volume, its GPU share or its node does not suit the work. Follow the message."""
    FALLBACK_REFUSED = "FallbackRefused"
    """If the quality gate steps down to a fallback, its engine would be refused. A warning of `trtllm plan`. Change
    the fallback or the layout."""
    LEADER_WORKER_SET_MISSING = "LeaderWorkerSetMissing"
    """A replica of several nodes needs LeaderWorkerSets, which the cluster does not know. Install LeaderWorkerSet, or
    use GPUs of one node."""

    # The source
    SOURCE_NOT_FOUND = "SourceNotFound"
    """The repository, revision, path or URI does not exist. Correct `spec.source`."""
    SOURCE_ACCESS_DENIED = "SourceAccessDenied"
    """The hub or object store refuses the token, or there is none, or the licence was not accepted. Accept the
    licence, and name a Secret with a token."""
    SOURCE_UNREACHABLE = "SourceUnreachable"
    """The hub or object store does not answer, or offline mode forbids requests. Check the network and the proxy."""
    RATE_LIMITED = "RateLimited"
    """The hub refuses more requests for now. Wait, or use a token."""
    SOURCE_CORRUPT = "SourceCorrupt"
    """A file is a Git-LFS pointer, truncated, damaged, or not what its header, index or hash says. Download it again.
    """
    SOURCE_INCOMPLETE = "SourceIncomplete"
    """A file that a model needs is missing: config.json, weights, tokenizer. Complete the directory."""
    STORAGE_FULL = "StorageFull"
    """The volume is full, or has less room than the stage will write. Enlarge the claim."""
    DATASET_UNUSABLE = "DatasetUnusable"
    """The calibration or evaluation data is missing, empty, too short or unreadable. Follow the message."""
    TOKENIZER_UNUSABLE = "TokenizerUnusable"
    """The tokenizer is missing, of a custom class or without a pad token. Add the tokenizer's files."""
    CHAT_TEMPLATE_MISSING = "ChatTemplateMissing"
    """The tokenizer has no chat template, and the chat endpoint needs one. Use an instruction-tuned model, give a
    template, or use completions."""
    MODEL_FAILED = "ModelFailed"
    """The QuantizedModel of `spec.modelRef` cannot continue without a person. Read its conditions."""

    # Quality
    QUALITY_REFUSED = "QualityRefused"
    """The quality gate refused every candidate. Loosen the limits, or add a fallback."""
    QUALITY_PASSED = "QualityPassed"
    """The candidate is within every limit of the quality gate."""
    NOT_A_NUMBER = "NotANumber"
    """The candidate answers with NaN or infinity."""
    DEGENERATE_OUTPUT = "DegenerateOutput"
    """A free answer of the candidate repeats itself or is no text."""
    PERPLEXITY_TOO_HIGH = "PerplexityTooHigh"
    """The candidate's perplexity exceeds `spec.quality.maxPerplexityIncrease`."""
    DIVERGENCE_TOO_HIGH = "DivergenceTooHigh"
    """The candidate's KL divergence exceeds `spec.quality.maxKLDivergence`."""
    AGREEMENT_TOO_LOW = "AgreementTooLow"
    """The candidate's top token agrees with the source's less often than `spec.quality.minTopTokenAgreement`."""
    CANARY_WRONG = "CanaryWrong"
    """The candidate's answer to a canary prompt lacks the text that it should contain."""

    # A Job failed
    BAD_REQUEST = "BadRequest"
    """The builder cannot read its request, or the request asks for something impossible. Use builder and operator of
    one release."""
    CALIBRATION_FAILED = "CalibrationFailed"
    """Calibration gave no usable ranges. Use more or other calibration data."""
    EXPORT_INCOMPLETE = "ExportIncomplete"
    """The export only warned, and wrote no checkpoint that can be loaded. Choose another method; see the message."""
    CONVERSION_FAILED = "ConversionFailed"
    """convert_checkpoint.py did not write a whole checkpoint. Read the Job's log."""
    ENGINE_BUILD_FAILED = "EngineBuildFailed"
    """trtllm-build did not write every rank. Read the Job's log."""
    CHECKPOINT_MISMATCH = "CheckpointMismatch"
    """Names or shapes of the weights differ from the configuration. Use a matching config.json, or convert again."""
    OPTIONS_DOWNGRADED = "OptionsDowngraded"
    """The build went on without an option of the spec. Change the option that the message names."""
    ARTIFACT_CORRUPT = "ArtifactCorrupt"
    """A published artifact does not match its manifest. Delete it; the next Job makes it again."""
    IMAGE_MISMATCH = "ImageMismatch"
    """The image is not the TensorRT-LLM version of the spec, or lacks a program or a module. Correct `spec.image` or
    `spec.imageVersion`."""
    VERSION_MISMATCH = "VersionMismatch"
    """Two parts come from versions that do not work together. Use versions of one release."""
    BAD_TERMINATION = "BadTermination"
    """The container ended without a result that can be read. Read the pod's log."""
    INTERNAL_ERROR = "InternalError"
    """The builder or the operator has a fault; it tries again with growing pauses. Report it with the log."""
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    """The Job took longer than its deadline. Raise the deadline, or use a faster method."""
    UNKNOWN = "Unknown"
    """The failure is not in the catalogue; the message quotes the first error. Read the log."""

    # GPUs, memory and processes
    NO_GPU = "NoGpu"
    """The process sees no GPU. Check the device plugin and the pod's requests."""
    TOO_FEW_GPUS = "TooFewGpus"
    """The process sees fewer GPUs than its parallelism needs. Check `spec.gpu` and the node."""
    GPU_MISMATCH = "GpuMismatch"
    """The pod runs on another GPU than the engine is for, or sees fewer GPUs than it needs. Correct the node's labels,
    or build for that GPU."""
    GPU_FAULT = "GpuFault"
    """The GPU, its link or a kernel on it failed while running. Drain the node and check the GPU."""
    GPU_OUT_OF_MEMORY = "GpuOutOfMemory"
    """A GPU ran out of memory. Lower the batch or the lengths, or use more GPUs."""
    DRIVER_TOO_OLD = "DriverTooOld"
    """The node's driver is older than the image's CUDA. Update the driver, or use an older image."""
    HOST_OUT_OF_MEMORY = "HostOutOfMemory"
    """The container or the node ran out of memory. Raise the memory limit in the pod template."""
    EPHEMERAL_STORAGE_FULL = "EphemeralStorageFull"
    """The node's own disk is full, or the pod wrote more to it than it may. Free the disk, or raise the limit."""
    SHARED_MEMORY_TOO_SMALL = "SharedMemoryTooSmall"
    """Shared memory (/dev/shm) is too small. Raise `spec.serving.sharedMemory`."""
    PERMISSION_DENIED = "PermissionDenied"
    """The process may not write where it tries to, often a cache below a HOME that it does not own. Follow the
    message."""
    FILE_NOT_FOUND = "FileNotFound"
    """A file is missing. Follow the message."""
    LAUNCH_FAILED = "LaunchFailed"
    """MPI could not start or reach a rank. Follow the message."""
    COMMUNICATION_FAILED = "CommunicationFailed"
    """GPUs or nodes lost the connection to each other. Check the network and the interconnect."""
    CRASHED = "Crashed"
    """The process aborted or broke memory protection. Read the log."""
    TERMINATED = "Terminated"
    """The process received a signal to stop."""

    # Servers
    ROLLOUT_FAILED = "RolloutFailed"
    """New servers did not become ready in time, or refuse their artifact; old ones keep serving. Follow the message,
    then change the spec."""
    UNAVAILABLE = "Unavailable"
    """No replica answers."""
    ENGINE_INCOMPATIBLE = "EngineIncompatible"
    """The engine was built for another GPU or version, or is damaged. Build it again for the GPU and version in use."""
    KV_CACHE_TOO_SMALL = "KvCacheTooSmall"
    """The KV cache does not hold one sequence. Lower the lengths, or raise `spec.serving.kvCacheFraction`."""
    REQUEST_TOO_LONG = "RequestTooLong"
    """A request is longer than the server's limits. Shorten it, or raise the limits."""
    BIND_FAILED = "BindFailed"
    """The server cannot use its address, or listens on one that probes cannot reach. Follow the message."""
    EXECUTOR_CRASHED = "ExecutorCrashed"
    """The server's executor died while the process lives. Read the server's log."""
    PROBE_FAILED = "ProbeFailed"
    """Kubernetes restarted the container because a probe failed. Read the server's log."""
    CRASH_LOOP = "CrashLoop"
    """The container fails again and again, and its log matches no known failure. Read the log."""

    # Pods that do not start
    UNSCHEDULABLE = "Unschedulable"
    """No node takes the pod. Follow the scheduler's words in the message."""
    EVICTED = "Evicted"
    """The node evicted the pod. See what the node lacked."""
    IMAGE_PULL_FAILED = "ImagePullFailed"
    """The image cannot be pulled. Correct its name, or add a pull secret."""
    CONTAINER_CONFIG_INVALID = "ContainerConfigInvalid"
    """The pod refers to a Secret, ConfigMap or key that does not exist, or its security context contradicts the image.
    Create it, or correct the name."""
    VOLUME_NOT_MOUNTED = "VolumeNotMounted"
    """A volume cannot be attached or mounted. Follow the kubelet's words in the message."""
    POD_NETWORK_FAILED = "PodNetworkFailed"
    """The node cannot set up the pod's sandbox or network. Check the node's CNI."""
