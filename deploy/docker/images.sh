#!/usr/bin/env bash
# Sees to it that the base images are there: pulled from their registry or, where it is out of reach, made from Debian's packages.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

# Must name the defaults of docker-compose.yml; tests/compose/test_files.py compares them.
public=(
    "${SAGE_BASE_IMAGE:-python:3.11-slim-bookworm}"
    "${SAGE_NGINX_IMAGE:-nginx:1.29}"
    "${SAGE_REDIS_IMAGE:-redis:8}"
    "${SAGE_QDRANT_IMAGE:-qdrant/qdrant:v1.20.0}"
)

pull_all() {
    local image
    for image in "${public[@]}"; do
        docker image inspect "$image" >/dev/null 2>&1 && continue
        echo "images: pulling $image"
        timeout 300 docker pull --quiet "$image" || return 1
    done
}

if [ "${SAGE_IMAGES:-}" != local ] && pull_all; then
    # compose.sh takes the ones made here wherever they are; they are no longer wanted.
    docker image rm sage-local/python sage-local/nginx sage-local/redis >/dev/null 2>&1 || true
    exit 0
fi
echo "images: no image registry is in reach, so they are made from Debian's packages"
exec "$here/make-base-images.sh"
