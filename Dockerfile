# The image of the GitHub Action, and of `docker run` anywhere else. No git binary, no compiler, no pip.
#
#   docker build -t dbt-ingest .                            root, as GitHub demands
#   docker build -t dbt-ingest:nonroot --target nonroot .   uid 10001, for clusters that refuse root
#
# The base is pinned by digest (all architectures of it); another one is BASE_IMAGE=python:3.12-slim.
ARG BASE_IMAGE=python:3.12-slim@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea

FROM ${BASE_IMAGE} AS builder
COPY requirements/runtime.txt /build/runtime.txt
# Wheels alone, and only those whose hash is written in the repository: nothing is resolved, nothing is compiled.
RUN ["python", "-m", "pip", "install", "--no-cache-dir", "--no-compile", "--disable-pip-version-check", \
     "--root-user-action=ignore", "--require-hashes", "--no-deps", "--only-binary=:all:", \
     "--prefix=/install", "--requirement", "/build/runtime.txt"]
COPY qalita_action /install/app/qalita_action
COPY packs/dbt_ingest_pack /install/app/qalita_action/pack
COPY entrypoint.py /install/app/
# Byte code once, here: a container lives for seconds and would compile everything again at each start.
# unchecked-hash: the times of copied files prove nothing.
RUN python -m compileall -q --invalidation-mode unchecked-hash -s /install/app -p /app /install/app \
 && python -m compileall -q --invalidation-mode unchecked-hash -s /install -p /usr/local /install/lib

FROM ${BASE_IMAGE} AS image
# The slim images ship the standard library without byte code, which costs each start more than the program itself.
RUN python -B -m pip uninstall --yes --quiet --root-user-action=ignore pip \
 && python -B -m compileall -q --invalidation-mode unchecked-hash \
    -x '/(test|idlelib|tkinter|turtledemo|lib2to3|ensurepip|pydoc_data|config-[^/]*)/' /usr/local/lib
# GitPython must not complain that there is no git: refs and remotes are files, and are read as files.
# Typer must not look for rich, which requirements/runtime.txt leaves out: some 14 MB for colours.
ENV GIT_PYTHON_REFRESH=quiet \
    TYPER_USE_RICH=0
COPY --from=builder /install/lib /usr/local/lib
COPY --from=builder /install/app /app
# `qalita ingest dbt ...`, as QALITA's documentation writes it, and the names that the package itself installs.
RUN for name in qalita qalita-ingest qalita-dbt-ingest; do ln -s /app/entrypoint.py "/usr/local/bin/$name"; done
ARG VERSION=0+local
ARG REVISION=
LABEL org.opencontainers.image.title="qalita/dbt-ingest" \
      org.opencontainers.image.description="The step after dbt build: what dbt's tests really found, published to QALITA once." \
      org.opencontainers.image.vendor="QALITA SAS" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/qalita/dbt-ingest" \
      org.opencontainers.image.documentation="https://github.com/qalita/dbt-ingest#readme" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# No WORKDIR: GitHub mounts its own. Exec form: a shell would lose INPUT_FAIL-ON.
# -E: a PYTHONPATH of the job must not bring modules of the checked out code into a process that holds a token.
# -B, -u: write no byte code, and keep the order of lines.
ENTRYPOINT ["python", "-EBu", "/app/entrypoint.py"]

# The same layers for clusters that refuse root. A number, since Kubernetes' runAsNonRoot cannot read a name.
FROM image AS nonroot
ENV HOME=/tmp
USER 10001:10001

# Last, so that it is what a build without --target makes. Root: GitHub mounts /github/workspace and its command
# files for root alone (https://docs.github.com/en/actions/reference/dockerfile-support).
FROM image AS action
