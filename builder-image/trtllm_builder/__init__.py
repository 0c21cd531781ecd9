"""Programs of Jobs and serving pods: they read a BuildRequest and write a BuildResult, without access to Kubernetes."""
