# shellcheck shell=bash
# Makes sure that the tools are there. Sourced by dev/test.

is_root() {
    [ "$(id -u)" -eq 0 ]
}

can_install_packages() {
    is_root && command -v apt-get >/dev/null
}

PACKAGE_LISTS_FRESH=
install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    if [ -z "$PACKAGE_LISTS_FRESH" ]; then
        apt-get update -qq || return
        PACKAGE_LISTS_FRESH=yes
    fi
    apt-get install -y -qq --no-install-recommends "$@"
}

require_cargo() {
    if ! command -v cargo >/dev/null && [ -f "$HOME/.cargo/env" ]; then
        # A login shell would have read it; CI and cron do not start one.
        # shellcheck source=/dev/null
        . "$HOME/.cargo/env"
    fi
    if ! command -v cargo >/dev/null; then
        echo "cargo is missing: install Rust from https://rustup.rs" >&2
        return 1
    fi
    rustc --version
}

# The bundled SQLite and the TLS library are C.
require_c_compiler() {
    command -v "${CC:-cc}" >/dev/null && return
    if can_install_packages; then
        install_packages build-essential
    else
        echo "a C compiler (${CC:-cc}) is missing: install one, on Debian with \`apt-get install build-essential\`" >&2
        return 1
    fi
}

# require_component SUBCOMMAND COMPONENT
require_component() {
    cargo "$1" --version && return
    if command -v rustup >/dev/null; then
        rustup component add "$2"
    else
        echo "cargo $1 is missing: install the component $2 of your Rust toolchain" >&2
        return 1
    fi
}
