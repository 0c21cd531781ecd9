"""What runs inside Jobs and serving pods. It has no Kubernetes credentials: it reads a BuildRequest, writes a BuildResult."""
