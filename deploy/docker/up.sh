#!/usr/bin/env bash
# Brings the whole stack up in containers, from whatever this machine has: an engine, images, then `docker compose up --build --wait`.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
"$here/engine.sh" start
"$here/images.sh"
"$here/compose.sh" up --build --wait --wait-timeout "${SAGE_UP_SECONDS:-300}" "$@"
echo "SAGE Gateway answers on http://127.0.0.1:${SAGE_GATEWAY_PORT:-8000}/v1; end it with deploy/docker/down.sh"
