"""The local cluster: a real Kubernetes on one machine, without Docker."""
