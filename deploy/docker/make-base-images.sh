#!/usr/bin/env bash
# Makes the base images from Debian's packages, for machines that no image registry can be reached from.
#
#   sage-local/python  python3 with venv and pip, in place of python:3.11-slim-bookworm
#   sage-local/nginx   nginx and curl, in place of nginx:1.29
#   sage-local/redis   redis-server and redis-cli, in place of redis:8
#
# An image is made again only when what it is made from has changed, or with `--force`.
set -euo pipefail

suite="${SAGE_DEBIAN_SUITE:-bookworm}"
mirror="${SAGE_DEBIAN_MIRROR:-}" # empty: what mmdebstrap takes by itself
# Builds trust what this machine trusts: a company's own certificate authority has to be known inside the images too.
ca_bundle="${SAGE_CA_BUNDLE:-/etc/ssl/certs/ca-certificates.crt}"
force="${1:-}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

say() { printf 'base images: %s\n' "$*"; }

fail() {
    printf 'base images: %s\n' "$*" >&2
    exit 1
}

need_mmdebstrap() {
    if command -v mmdebstrap >/dev/null; then return 0; fi
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        fail "mmdebstrap is not installed, and only root with apt-get could install it"
    fi
    say "installing mmdebstrap from Debian's packages"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
}

# A tar of a minimal Debian with the packages named; the hook is shell that finds the tree's root in $1.
bootstrap() {
    local packages="$1" tar="$2" hook="$3" options=() path
    for path in doc man info locale; do options+=("--dpkgopt=path-exclude=/usr/share/$path/*"); done
    # Without apt and package lists the images are half the size; nothing is installed into them later.
    mmdebstrap --quiet --variant=essential --include="$packages" "${options[@]}" --customize-hook="$hook" \
        "$suite" "$tar" ${mirror:+"$mirror"}
}

make_image() {
    local name="$1" packages="$2" hook="$3" recipe
    shift 3
    recipe="$(printf '%s\n' "$suite" "$packages" "$hook" "$@" | cat - "$ca_bundle" | sha256sum | cut -c1-16)"
    if [ "$force" != --force ] && [ "$(made_from "$name")" = "$recipe" ]; then
        say "sage-local/$name is there"
        return 0
    fi
    say "making sage-local/$name from ${packages//,/, }"
    need_mmdebstrap
    bootstrap "$packages" "$work/$name.tar" "$hook"
    local changes=(--change "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") change
    for change in "LABEL sage.recipe=$recipe" "$@"; do changes+=(--change "$change"); done
    docker import "${changes[@]}" "$work/$name.tar" "sage-local/$name" >/dev/null
    rm -f "$work/$name.tar"
}

made_from() { docker image inspect --format '{{index .Config.Labels "sage.recipe"}}' "sage-local/$1" 2>/dev/null || true; }

# The settings of pip that the environment names travel into the image; addresses stay out of the repository that way.
pip_settings() {
    local name
    for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_DEFAULT_TIMEOUT; do
        [ -z "${!name:-}" ] || printf 'ENV %s="%s"\n' "$name" "${!name}"
    done
}

[ -r "$ca_bundle" ] || fail "there is no $ca_bundle: name this machine's certificate authorities with SAGE_CA_BUNDLE"
mapfile -t pip_changes < <(pip_settings)
copy_ca="install -D -m 644 '$ca_bundle' \"\$1/etc/ssl/certs/ca-certificates.crt\""

make_image python ca-certificates,libgomp1,libstdc++6,python3,python3-venv \
    "$copy_ca && ln -s python3 \"\$1/usr/bin/python\"" \
    "ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt" "${pip_changes[@]}" "CMD [\"python3\"]"

make_image nginx nginx,curl \
    "ln -sf /dev/stdout \"\$1/var/log/nginx/access.log\" && ln -sf /dev/stderr \"\$1/var/log/nginx/error.log\"" \
    "EXPOSE 80" "CMD [\"nginx\", \"-g\", \"daemon off;\"]"

make_image redis redis-server \
    "mkdir -p \"\$1/data\" && chroot \"\$1\" chown redis:redis /data" \
    "USER redis" "WORKDIR /data" "EXPOSE 6379" "CMD [\"redis-server\", \"--bind\", \"*\", \"--protected-mode\", \"no\"]"
