# Sets up a development machine: sourced by ./run, ./test and .ci/, with the repository as the working directory.
# Everything here is idempotent and says on stderr what it does; Debian 12, Debian 13 and Raspberry Pi OS need nothing installed by hand.

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$(basename "$0"): $*"
    exit 1
}

# as_root COMMAND…: the machine's packages are the only thing that needs more than the user's own rights.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        say "As root, so sudo may ask for your password: $*"
        sudo "$@"
    fi
}

# install_packages WHY PACKAGE…: by apt-get, after saying why.
install_packages() {
    why=$1
    shift
    say "Installing $* ($why)"
    command -v apt-get >/dev/null 2>&1 || die "there is no apt-get here: install $* by your system's own means, then try again"
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null 2>&1 ||
        die "this needs root and there is no sudo. Run this as root, then try again:  apt-get update && apt-get install -y --no-install-recommends $*"
    # An old package list names versions that the mirror no longer has, so it is renewed first.
    as_root apt-get -q -o=Dpkg::Use-Pty=0 update >&2 || say "apt-get update failed: going on with the package lists that are here"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o=Dpkg::Use-Pty=0 install -y --no-install-recommends "$@" >&2 ||
        die "apt-get could not install $*: its message above says why"
}

# usable PYTHON: it runs, is 3.11 or newer and can make virtual environments (Debian leaves that out of python3).
usable() { "$1" -I -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# first_usable CANDIDATE…: prints the first of them that is usable. A name on the path may be a pyenv shim that runs nothing.
first_usable() {
    for candidate in "$@"; do
        if usable "$candidate"; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

find_python() {
    first_usable python3 python3.13 python3.12 python3.11 && return
    install_packages "Python 3.11 or newer that can make virtual environments" python3 python3-venv
    first_usable python3 || die "python3 here is $(python3 --version 2>&1): 3.11 or newer is needed (Debian 12 has it)"
}

# find_python_version X.Y: that version, on the path or from pyenv; its absence is an error.
find_python_version() {
    first_usable "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/"python$1" /usr/local/bin/"python$1" ||
        die "no working Python $1 found (on the path, in pyenv or in /usr/local/bin): install it, for example with  pyenv install $1"
}

# environment DIR PYTHON EXTRAS: a virtual environment in DIR with the gateway (editable) and its extras.
# A stamp keeps the checksum of what was asked for, so that an unchanged environment costs milliseconds.
environment() {
    wanted=$("$2" -I -c 'import sys; print(sys.version)' | cat - setup.cfg pyproject.toml | cksum)
    stamp=$1/.installed-$(printf '%s' "$3" | tr ',' '-')
    if [ -x "$1/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted $(pwd)" ]; then
        return
    fi
    if ! same_version "$1/bin/python" "$2"; then
        say "Making the virtual environment $1"
        rm -rf "$1"
        "$2" -m venv "$1" || die "$2 could not make a virtual environment in $(pwd)/$1"
    fi
    case ",$3," in *,test,*) compiler "$1/bin/python" ;; esac
    say "Installing the gateway and what it needs into $1"
    "$1/bin/python" -m pip install -qq --disable-pip-version-check --editable ".[$3]" >&2 ||
        die "pip could not install the gateway: its message above says why. Without a network, only a machine set up before can run it"
    printf '%s\n' "$wanted $(pwd)" >"$stamp"
}

# compiler PYTHON: for the tests' preload shim, and for spidev and sensirion-gas-index-algorithm, which have no wheels. Debian keeps Python's headers apart.
compiler() {
    printf '#include <stdio.h>\n#include <linux/spi/spidev.h>\n' | cc -E - >/dev/null 2>&1 ||
        install_packages "the tests compile a small C library" gcc libc6-dev
    [ -e "$("$1" -I -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] ||
        install_packages "to compile spidev and Sensirion's gas index, which have no wheels" python3-dev
}

same_version() {
    [ -x "$1" ] && [ "$("$1" -I -c 'import sys; print(sys.version)' 2>/dev/null)" = "$("$2" -I -c 'import sys; print(sys.version)')" ]
}

# journal_library DIR: makes systemd-python importable in the environment DIR. It has no wheel, so Debian's build is
# linked in where the Python version is the same; otherwise it is compiled.
journal_library() {
    "$1/bin/python" -I -c 'import systemd.journal' 2>/dev/null && return
    tag=$("$1/bin/python" -I -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
    debian=/usr/lib/python3/dist-packages/systemd
    if same_as_debian "$1"; then
        [ -e "$debian/_journal$tag" ] || install_packages "journal logging, tested with the real library" python3-systemd
    fi
    if [ -e "$debian/_journal$tag" ]; then
        ln -sfn "$debian" "$("$1/bin/python" -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/systemd"
        return
    fi
    install_packages "to compile systemd-python, which has no wheel" gcc libc6-dev pkg-config libsystemd-dev
    "$1/bin/python" -m pip install -qq --disable-pip-version-check ".[journal]" >&2 || die "pip could not build systemd-python: its message above says why"
}

# same_as_debian DIR: whether Debian's python3 is of the same X.Y as the environment DIR.
same_as_debian() {
    has=$(/usr/bin/python3 -I -c 'import sys; print(sys.version_info[:2])' 2>/dev/null) &&
        [ "$has" = "$("$1/bin/python" -I -c 'import sys; print(sys.version_info[:2])')" ]
}

# program NAME: whether it is there; Debian keeps daemons out of an ordinary user's path.
program() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

# broker: a real Mosquitto and its clients. Only the programs are wanted: where systemd runs, the package must not start or
# enable a service of its own.
broker() {
    program openssl || install_packages "the tests make certificates for the broker" openssl
    program mosquitto && program mosquitto_sub && return
    if program mosquitto || [ ! -d /run/systemd/system ]; then
        install_packages "the tests speak with a real MQTT broker" mosquitto mosquitto-clients
        return
    fi
    as_root systemctl --quiet mask mosquitto.service || die "mosquitto's own service could not be kept from starting: systemctl said why"
    install_packages "the tests speak with a real MQTT broker" mosquitto mosquitto-clients
    as_root systemctl --quiet unmask mosquitto.service
    as_root systemctl --quiet disable mosquitto.service
}
