"""What nodes, networks, compilers and controllers say, as public reports have it; numbers and names are ours."""

from __future__ import annotations

OF_NODES = [
    ("N1", "Failed to initialize NVML: Unknown Error"),
    ("N1", "RuntimeError: NVMLError_Unknown: Unknown Error"),
    (
        "N2",
        (
            "nvidia-container-cli: mount error: file creation failed: "
            "/var/lib/docker/overlay2/9f/merged/usr/bin/nvidia-smi: "
            "file exists: unknown"
        ),
    ),
    (
        "N2",
        (
            "nvidia-container-cli: mount error: file creation failed: /run/rootfs/usr/lib/libcuda.so.1: "
            "file exists: unknown"
        ),
    ),
    ("N3", "Error: failed to create container: CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=0"),
    ("N3", "Error: could not inject CDI devices: nvidia.com/gpu=all"),
    (
        "N4",
        (
            "Allocate failed due to requested number of devices unavailable for nvidia.com/gpu. "
            "Requested: {n}, Available: 0, "
            "which is unexpected"
        ),
    ),
    ("N5", "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown"),
    ("N5", 'Failed to create pod sandbox: rpc error: no runtime for "nvidia" is configured'),
    ("N6", "OSError: [Errno 24] Too many open files: '/models/a-{n}.safetensors'"),
    ("N6", "Error: connect EMFILE 10.0.0.3:443"),
    ("N7", "RuntimeError: can't start new thread"),
    ("N7", "OpenBLAS blas_thread_init: pthread_create failed for thread 11 of 64: Resource temporarily unavailable"),
    ("N7", "libgomp: Thread creation failed: Resource temporarily unavailable"),
    ("N7", "bash: fork: retry: Resource temporarily unavailable\nbash: fork: Resource temporarily unavailable"),
    ("N8", "nvrtc: error: invalid value for --gpu-architecture (-arch)"),
    ("N8", "RuntimeError: NVRTC_ERROR_INVALID_OPTION"),
    ("N8", "FAILED: kernel.cuda.o\nninja: build stopped: subcommand failed."),
    ("N8", "RuntimeError: Error building extension 'frob_kernels'"),
    ("N8", "RuntimeError: Could not find nvcc and default cuda_home='/usr/local/cuda' does not exist"),
    ("N9", "RuntimeError: Failed to download cubin fmha_frob_sm100 from https://edge.example/flashinfer"),
    ("T1", "node-0:7:9 [2] transport/nvls.cc:{n} NCCL WARN Cuda failure 1 'invalid argument'"),
    ("T1", "node-0:7:9 [0] NCCL WARN Failed to bind NVLink SHARP (NVLS) Multicast memory of size {n}"),
    ("T1", "RuntimeError: Fabric Manager is not running on this node"),
    ("T2", "node-0:7:9 [0] NCCL WARN MNNVL needs the IMEX service, which is not running"),
    ("T2", "RuntimeError: failed to export a fabric handle of the buffer"),
    (
        "T3",
        (
            "node-0:7:9 [1] transport/net_ib.cc:1 NCCL WARN NET/IB: Got completion from peer "
            "10.0.0.7<41234> with status=12 "
            "opcode=129 len=0 vendor err {n} (Recv)"
        ),
    ),
    ("T3", "node-0:7:9 [1] NCCL WARN Call to ibv_modify_qp failed with error Connection timed out"),
    ("T4", "node-0:7:9 [1] NCCL WARN socketStartConnect: Connect to 10.0.0.7<41234> failed : No route to host"),
    (
        "T4",
        (
            "node-0:7:9 [1] NCCL WARN socketPollConnect: connect to 10.0.0.7<41234> returned Connection refused, "
            "exceeded error retry count after {n} attempts\nRuntimeError: NCCL error: unhandled system error"
        ),
    ),
    ("T5", "node-0:7:9 [0] NCCL WARN Bootstrap : no socket interface found"),
    ("T5", "RuntimeError: Unable to find address for: ens9"),
    (
        "T6",
        "[W1 05:18:04.{n} socket.cpp:1] [c10d] The IPv4 network addresses of (lead-0.lead, 29500) cannot be retrieved",
    ),
    ("T6", "socket.gaierror: lead-0.lead.team.svc.cluster.local: Name or service not known"),
    ("D6p", "PermissionError: [Errno 13] Permission denied: '/opt/py/site-packages/flashinfer_cubin/cubins'"),
    ("D6p", "mkdir: cannot create directory /usr/lib/python3/dist-packages/frob/cache: Permission denied"),
    (
        "K4d",
        (
            'Warning  Failed  kubelet  Failed to pull image "r.example/a:1": failed to extract layer '
            "sha256:ab: write /var/lib/x: "
            "no space left on device"
        ),
    ),
    ("K4b", "      Reason:       ImagePullBackOff"),
    ("K6b", "Reason:       Evicted"),
    (
        "K7",
        (
            'Error creating: pods "a-1" is forbidden: violates PodSecurity "baseline:latest": hostPath '
            'volumes (volume "x")'
        ),
    ),
    (
        "K8",
        (
            'Error creating: pods "a-1" is forbidden: exceeded quota: q, requested: requests.cpu={n}, '
            "used: requests.cpu=6, "
            "limited: requests.cpu=8"
        ),
    ),
    ("K8", 'Error creating: pods "a-1" is forbidden: failed quota: q: must specify limits.memory for: server'),
    (
        "K9",
        (
            'Error creating: admission webhook "validate.kyverno.svc-fail" denied the request: resource '
            "Pod/team/a-1 was blocked"
        ),
    ),
    (
        "K10",
        (
            'Error creating: Internal error occurred: failed calling webhook "pods.example.io": failed '
            "to call webhook: Post "
            '"https://hook.ns.svc:443/mutate": dial tcp 10.0.0.{n}:443: connect: connection refused'
        ),
    ),
    (
        "K11",
        'Error creating: pods "a-1" is forbidden: maximum memory usage per Container is 64Gi, but limit is 96Gi',
    ),
    (
        "G9v",
        (
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for TorchLlmArgs\n  Value "
            "error, frob size {n} must "
            "not exceed the widget size [type=value_error, input_value={{}}, input_type=dict]"
        ),
    ),
]
