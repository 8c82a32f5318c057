# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2034 # its variables are for the others
#
# Functions and variables for the other shell scripts, which source this file.

program=${0##*/}
scripts=$(cd "$(dirname "$0")" && pwd)
top=${scripts%/*}
cache=${XDG_CACHE_HOME:-${HOME:?neither HOME nor XDG_CACHE_HOME is set}/.cache}/ivshmem-flat
python=/usr/bin/python3
verbose=
[ "${V:-0}" = 0 ] || verbose=1

# All checkouts share compiler results. Paths below a checkout count as relative to it.
# 'make check' runs builds from Python, which sets LC_CTYPE for them.
export CCACHE_DIR="${CCACHE_DIR:-$cache/ccache}" CCACHE_BASEDIR="$top" CCACHE_DEPEND=1 \
    CCACHE_SLOPPINESS="${CCACHE_SLOPPINESS:+$CCACHE_SLOPPINESS,}locale"

# Print a line of progress on stderr. stdout is for results.
say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "$program: $*"
    exit 1
}

have() {
    command -v "$1" >/dev/null
}

can_be_root() {
    [ "$(id -u)" = 0 ] || have sudo
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# The TARGETS that have boards in guest/
firmware_targets() {
    for target in ${TARGETS:-arm}; do
        ! grep -q "^BOARDS_$target " "$top/guest/Makefile" || echo "$target"
    done
}

# Show a counter of seconds on one line, until killed.
count_seconds() {
    seconds=0
    while kill -0 $$ 2>/dev/null; do
        printf '\r  %d s ' "$seconds" >&2
        seconds=$((seconds + 1))
        sleep 1
    done
}

# step LOG TEXT COMMAND...: print TEXT, a description with the usual duration, and run
# COMMAND with its output in a log. If it fails, print the end of the log (20 lines, or
# $log_lines). On a terminal, show a counter of seconds. With V=1, print all output
# instead of writing a log.
step() {
    log=$top/build/log/$1.log
    [ -z "$2" ] || say "$2"
    shift 2
    if [ -n "$verbose" ]; then
        "$@" </dev/null >&2
        return
    fi
    mkdir -p "${log%/*}"
    counter=
    if [ -t 2 ]; then
        count_seconds &
        counter=$!
    fi
    status=0
    "$@" </dev/null >"$log" 2>&1 || status=$?
    if [ -n "$counter" ]; then
        kill $counter
        printf '\r\033[K' >&2
    fi
    [ $status = 0 ] || {
        tail -n "${log_lines:-20}" "$log" >&2
        say "(full log: $log)"
    }
    return $status
}

# ninja_step LOG TEXT DIRECTORY TARGET...: the same with ninja, which shows its own
# progress on a terminal. Prints TEXT only if a target does not exist yet.
ninja_step() {
    ninja_log=$1 first_time=$2 folder=$3 text=
    shift 3
    for target; do
        [ -e "$folder/$target" ] || text=$first_time
    done
    if [ -t 2 ] && [ -z "$verbose" ]; then
        [ -z "$text" ] || say "$text"
        ninja -C "$folder" "$@" >&2
    else
        log_lines=40 step "$ninja_log" "$text" ninja ${verbose:+-v} -C "$folder" "$@" || return
        [ -n "$verbose" ] || grep 'warning: ' "$log" >&2 || :
    fi
}

# Lock the cache against other checkouts until this process ends.
lock_cache() {
    minutes=15
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock --nonblock 9 || {
        say "waiting until another checkout has fetched its sources ($minutes minutes at most)"
        flock --timeout $((minutes * 60)) 9 ||
            die "another process still holds $cache/lock after $minutes minutes:" \
                "find it with 'fuser $cache/lock'"
    }
}

# The version of this project
project_version() {
    sed -n "s/^ *version: '\([^']*\)',$/\1/p" "$top/server/meson.build"
}

# Update apt's package lists, which can be missing, as in a fresh container, or out of
# date. An error is ignored, because the failing list may not be needed.
update_apt() {
    step apt-get-update "updating apt's package lists, usually 5 s" \
        as_root apt-get update -o Acquire::Retries=3 || :
}

machines_mirror() {
    # shellcheck disable=SC2016 # apt expands these
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
        sed -n 's/^Debian|Debian|//p' | head -n 1
}

# DEBIAN_MIRROR, or the Debian mirror that this machine's apt uses.
debian_mirror() {
    mirror=${DEBIAN_MIRROR:-}
    if [ -z "$mirror" ]; then
        mirror=$(machines_mirror)
        # Without apt's package lists, the mirror is not known.
        if [ -z "$mirror" ] && can_be_root; then
            update_apt
            mirror=$(machines_mirror)
        fi
    fi
    [ -n "$mirror" ] || die "this machine's apt has no Debian mirror: set DEBIAN_MIRROR=URL"
    echo "$mirror"
}
