#!/usr/bin/env bash
# Makes sure that a Docker engine and `docker compose` answer on this machine: `engine.sh start`; `engine.sh stop` ends what start began.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
state="${SAGE_DOCKER_STATE:-/run/sage-docker}" # only root starts an engine
pid_file="$state/dockerd.pid"
log="$state/dockerd.log"

say() { printf 'engine: %s\n' "$*"; }

fail() {
    printf 'engine: %s\n' "$*" >&2
    exit 1
}

answers() { timeout 10 docker info >/dev/null 2>&1; }

install_engine() {
    if command -v docker >/dev/null && command -v dockerd >/dev/null; then return 0; fi
    command -v apt-get >/dev/null || fail "there is no Docker engine, and no apt-get to install one: install Docker and start it"
    say "installing docker.io from Debian's packages"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io ca-certificates >/dev/null
}

# One way of starting dockerd: legacy iptables for kernels without nftables, vfs for file systems that cannot carry overlays.
launch() {
    local iptables="$1" storage="$2" path="$PATH" options=()
    if [ "$iptables" = legacy ]; then
        [ -x /usr/sbin/iptables-legacy ] || return 1
        mkdir -p "$state/legacy"
        ln -sf /usr/sbin/iptables-legacy "$state/legacy/iptables"
        ln -sf /usr/sbin/ip6tables-legacy "$state/legacy/ip6tables"
        path="$state/legacy:$PATH"
    fi
    [ "$storage" = default ] || options+=("--storage-driver=$storage")
    say "starting dockerd (iptables: $iptables, storage: $storage)"
    PATH="$path" setsid nohup dockerd "${options[@]}" >"$log" 2>&1 </dev/null &
    echo "$!" >"$pid_file"
    for _ in $(seq 120); do
        if answers; then return 0; fi
        kill -0 "$(cat "$pid_file")" 2>/dev/null || break
        sleep 0.25
    done
    stop_engine
    return 1
}

start_engine() {
    if answers; then
        say "an engine already answers: $(docker version --format '{{.Server.Version}}')"
        return 0
    fi
    [ "$(id -u)" -eq 0 ] || fail "no Docker engine answers, and only root may start one: start Docker, or add yourself to the docker group"
    install_engine
    mkdir -p "$state"
    if answers; then return 0; fi # where an init system runs, the package has started it by itself
    local iptables storage
    for storage in default vfs; do
        for iptables in default legacy; do
            if launch "$iptables" "$storage"; then
                say "dockerd $(docker version --format '{{.Server.Version}}') answers (log: $log)"
                return 0
            fi
        done
    done
    tail -n 20 "$log" >&2 || true
    fail "dockerd does not start on this machine; the end of its log is above"
}

stop_engine() {
    [ -f "$pid_file" ] || return 0
    local pid
    pid="$(cat "$pid_file")"
    rm -f "$pid_file"
    [ "$(cat "/proc/$pid/comm" 2>/dev/null || true)" = dockerd ] || return 0
    kill "$pid"
    for _ in $(seq 120); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.25
    done
    kill -9 "$pid" 2>/dev/null || true
}

link_compose() {
    if docker compose version >/dev/null 2>&1; then return 0; fi
    local binary="${SAGE_VENV:-$root/.venv}/bin/docker-compose" plugins="${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins"
    [ -x "$binary" ] || fail "docker has no compose plugin, and $binary is not there: make the virtual environment first (make venv)"
    mkdir -p "$plugins"
    cp -f "$binary" "$plugins/docker-compose"
    docker compose version >/dev/null 2>&1 || fail "the compose plugin put at $plugins/docker-compose does not run"
    say "put docker-compose in as the plugin $plugins/docker-compose"
}

case "${1:-}" in
start)
    start_engine
    link_compose
    ;;
stop) stop_engine ;;
*) fail "usage: engine.sh start|stop" ;;
esac
