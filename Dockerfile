# Panoptes with CUDA's libraries, for `docker run` and for the pods of cluster.yaml: `docker build -t panoptes:0.1.0 .`
#
#   --build-arg EXTRAS="clip opencv …"  fewer model families; without `quality` it contains nothing noncommercial
#   --build-arg WEIGHTS=hub             contains the published weights, for machines that cannot reach the hub
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ARG EXTRAS=everything
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
RUN pip install --no-cache-dir uv==0.13.8
WORKDIR /opt/panoptes
# The dependencies first: they seldom change and are most of the image. The lock pins what the extras ask for.
COPY pyproject.toml requirements.lock ./
RUN uv venv /opt/venv \
    && uv pip install --no-cache --python /opt/venv/bin/python --constraint requirements.lock \
        --requirements pyproject.toml $(printf ' --extra %s' $EXTRAS)
COPY README.md LICENSE hatch_build.py serve_config.yaml ./
COPY configs configs
COPY deployments deployments
COPY jobs jobs
COPY serve_app serve_app
RUN uv pip install --no-cache --python /opt/venv/bin/python --no-deps --editable .

FROM python:${PYTHON}
RUN useradd --create-home --uid 1000 panoptes \
    && install -d -o panoptes -g panoptes /models /opt/panoptes/data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/panoptes /opt/panoptes
# KubeRay starts Ray in a shell. A login shell would set a PATH of its own.
RUN echo 'PATH=/opt/venv/bin:$PATH' > /etc/profile.d/venv.sh
ENV PATH=/opt/venv/bin:$PATH \
    HF_HOME=/models/huggingface TORCH_HOME=/models/torch DEEPFACE_HOME=/models/deepface \
    PYTHONUNBUFFERED=1 \
    RAY_health_check_failure_threshold=20 RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S=30 \
    RAY_worker_register_timeout_seconds=300
WORKDIR /opt/panoptes
USER 1000
ARG WEIGHTS=none
RUN mkdir -p "$HF_HOME" "$TORCH_HOME" "$DEEPFACE_HOME" \
    && if [ "$WEIGHTS" != none ]; then WEIGHTS="$WEIGHTS" python -m jobs.load_models; fi
EXPOSE 8000
# For `docker run`, healthy once the models have been loaded; Kubernetes uses the probes of cluster.yaml.
HEALTHCHECK --interval=15s --timeout=5s --start-period=300s --retries=4 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
# It listens on 127.0.0.1, so share the network of the machine: `docker run --network host`.
CMD ["sh", "-c", "python -m configs --write data/serve_config.yaml && exec python -m serve_app data/serve_config.yaml"]
