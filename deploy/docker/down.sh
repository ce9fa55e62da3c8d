#!/usr/bin/env bash
# Ends the stack; its volumes are kept unless `--volumes` is given. A Docker engine that up.sh started is ended too.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
"$here/compose.sh" down "$@"
"$here/engine.sh" stop
