#!/usr/bin/env bash
# `docker compose` with this repository's files: `deploy/docker/compose.sh ps`. Uses the images that make-base-images.sh made, where it has.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
export COMPOSE_FILE="$root/docker-compose.yml"
if docker image inspect sage-local/python >/dev/null 2>&1; then
    export COMPOSE_FILE="$COMPOSE_FILE:$root/deploy/docker/compose.offline.yml"
    export SAGE_BASE_IMAGE="${SAGE_BASE_IMAGE:-sage-local/python}"
    export SAGE_NGINX_IMAGE="${SAGE_NGINX_IMAGE:-sage-local/nginx}"
    export SAGE_REDIS_IMAGE="${SAGE_REDIS_IMAGE:-sage-local/redis}"
fi
# docker.io comes without buildx; the classic builder says at length that it is deprecated, and does all that is needed.
if ! docker buildx version >/dev/null 2>&1; then export DOCKER_BUILDKIT=0; fi
exec docker compose "$@"
