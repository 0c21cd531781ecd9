"""What runs inside Jobs and serving pods: reads a BuildRequest, writes a BuildResult, knows nothing of Kubernetes."""
