#!/usr/bin/env bash
# Makes this clone ready: Debian packages (only those that are missing), .venv, build/cpu with the program in it.
#
#     jobs/setup.sh          what a run and its report need
#     jobs/setup.sh --test   what the tests need as well
#
# Cost: about 15 minutes on two cores the first time (torch is 3 GB of downloads), seconds when nothing has changed.
# MOESWEEP_PRESET picks another preset of CMakePresets.json. With CI=true, compiler warnings are errors.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tests=no
case "${1:-}" in
    "") ;;
    --test) tests=yes ;;
    *) echo "setup: unknown option $1, expected --test or nothing" >&2; exit 64 ;;
esac
preset=${MOESWEEP_PRESET:-cpu}

packages=(g++ ninja-build python3-venv pkg-config libopenmpi-dev openmpi-bin libhdf5-dev libboost-program-options-dev
          libfmt-dev catch2 nlohmann-json3-dev libpcre2-dev libutf8proc-dev libssl-dev)

is_installed() { [[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]; }

install_packages() {
    local missing=() package as_root=()
    for package in "${packages[@]}"; do is_installed "$package" || missing+=("$package"); done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    if [[ $(id -u) -ne 0 ]]; then
        if ! command -v sudo >/dev/null; then
            echo "setup: these Debian packages are missing, install them as root: ${missing[*]}" >&2
            exit 1
        fi
        as_root=(sudo)
    fi
    echo "setup: installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

make_venv() {
    .venv/bin/python -c '' 2>/dev/null && return
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        { echo "setup: Python 3.10 or newer is needed, python3 is $(python3 --version 2>&1)" >&2; exit 1; }
    python3 -m venv --clear .venv
}

# A stamp in .venv holds the hash of what was installed from a file, so that an unchanged file costs nothing.
install_requirements() {
    local file=$1 stamp=.venv/$1.sha256 hash
    shift
    hash=$(sha256sum "$file")
    [[ "$(cat "$stamp" 2>/dev/null)" != "$hash" ]] || return 0
    echo "setup: installing $file into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input "$@" -r "$file"
    echo "$hash" >"$stamp"
}

build() {
    local options=() targets=(--target moesweep)
    [[ "${CI:-}" != true ]] || options=(-DMOESWEEP_WERROR=ON)
    [[ $tests == no ]] || targets=()
    .venv/bin/cmake --preset "$preset" "${options[@]}"
    .venv/bin/cmake --build --preset "$preset" --parallel "$(env -u OMP_NUM_THREADS nproc)" "${targets[@]}"
}

install_packages
make_venv
install_requirements requirements.txt
[[ $preset != cuda ]] || install_requirements requirements-cuda.txt --no-deps
[[ $tests == no ]] || install_requirements requirements-test.txt
build
