"""Excerpts of `kubectl describe` and of Events; excerpts.py has them all."""

from __future__ import annotations

OF_PODS: list[tuple[str, str]] = [
    (
        "K1",
        (
            "  Warning  FailedScheduling  10s  default-scheduler  0/{n} nodes are available: 2 Insufficient "
            "nvidia.com/gpu. preemption: 0/{n} nodes are available: 2 No preemption victims found for incoming pod."
        ),
    ),
    ("K1", "  Warning  FailedScheduling  9s  default-scheduler  pod has unbound immediate PersistentVolumeClaims"),
    (
        "K2",
        '  Warning  FailedMount  3s (x5)  kubelet  MountVolume.SetUp failed for volume "t" : secret "hf" not found',
    ),
    (
        "K2",
        (
            '  Warning  FailedAttachVolume  3s  attachdetach-controller  Multi-Attach error for volume "pvc-1" '
            "Volume is already used by pod(s) b-0"
        ),
    ),
    ("K3", '  Warning  Failed  2s (x3 over 9s)  kubelet  Error: secret "hf-token" not found'),
    ("K3", "  Warning  Failed  2s  kubelet  Error: couldn't find key token in Secret ml/hf"),
    (
        "K4",
        '  Warning  Failed  2s  kubelet  Failed to pull image "a/b:1": rpc error: code = NotFound desc = not found',
    ),
    ("K4", '  Normal   BackOff  2s  kubelet  Back-off pulling image "a/b:1"'),
    (
        "K5",
        (
            "  Warning  FailedCreatePodSandBox  2s  kubelet  Failed to create pod sandbox: rpc error: code = Unknown "
            "desc = no IP addresses left"
        ),
    ),
    ("K6", "  Warning  Evicted  2s  kubelet  The node was low on resource: memory. Threshold quantity: {n}Mi"),
]
