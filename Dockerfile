# The operator. Any base with Python 3.11 or newer will do; the local cluster gives its own.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}

COPY requirements/operator.txt /tmp/operator.txt
RUN python -m pip install --no-cache-dir --no-compile --require-hashes --target /opt/trtllm/site-packages -r /tmp/operator.txt \
    && rm /tmp/operator.txt

COPY crds/trtllm_api /opt/trtllm/app/trtllm_api
COPY diagnosis/trtllm_diagnosis /opt/trtllm/app/trtllm_diagnosis
COPY planner/trtllm_planner /opt/trtllm/app/trtllm_planner
COPY operator/trtllm_operator /opt/trtllm/app/trtllm_operator

ENV PYTHONPATH=/opt/trtllm/app:/opt/trtllm/site-packages \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
USER 65532:65532
ENTRYPOINT ["python", "-m", "trtllm_operator"]
