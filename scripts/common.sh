# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2034 # its variables are for the others
#
# What the shell scripts beside this file share. They source it; it does
# nothing by itself.

program=${0##*/}
scripts=$(cd "$(dirname "$0")" && pwd)
top=${scripts%/*}
cache=${XDG_CACHE_HOME:-${HOME:?neither HOME nor XDG_CACHE_HOME is set}/.cache}/ivshmem-flat
python=/usr/bin/python3

# One line of progress. It goes to stderr, so that stdout can carry a result.
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

# logged NAME COMMAND...: run COMMAND with its output in a log, whose end (20
# lines, or $log_lines) is shown if it fails. With V=1 there is no log: the output
# is shown as it comes.
logged() {
    log=$cache/log/$1.log
    shift
    if [ "${V:-0}" != 0 ]; then
        "$@" </dev/null >&2
        return
    fi
    mkdir -p "${log%/*}"
    "$@" </dev/null >"$log" 2>&1 || {
        tail -n "${log_lines:-20}" "$log" >&2
        say "(the whole log: $log)"
        return 1
    }
}

# lock --shared|--exclusive: keep other checkouts from rebuilding the QEMU that
# all of them use, or from using it, until this process and all that it has
# started have ended.
lock() {
    minutes=30
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock "$1" --nonblock 9 || {
        say "waiting for another build or test run to finish (for $minutes minutes at most)"
        flock "$1" --timeout $((minutes * 60)) 9 ||
            die "another build or test run still holds $cache/lock after $minutes minutes"
    }
}
