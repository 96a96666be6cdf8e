# For the scripts that start Sidegate: what they start, its logs and its end. Sourced, after `set -euo pipefail`.
#
# A caller sets `sidegate`, the binary. It gets `work`, a folder that is removed when it ends, and every process that it
# started is gone then, however it ends.
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
sidegate=${SIDEGATE_BIN:-$target/debug/sidegate}
work=$(mktemp -d)
started=()

# A process that does not end in time is killed: what stays behind would spoil the next run.
cleanup() {
    local pid try
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do
        timeout 5 tail -s 0.1 -f /dev/null --pid="$pid" 2>/dev/null || kill -KILL "$pid" 2>/dev/null || true
    done
    # A browser that a test has started writes to the end, and that may come after the test's.
    for try in {1..50}; do
        if rm -rf "$work" 2>/dev/null; then return; fi
        sleep 0.1
    done
    echo "${0##*/}: $work could not be removed" >&2
}
trap cleanup EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# What went wrong, and the last that every process has said.
fail() {
    echo "${0##*/}: $1" >&2
    (cd "$work" && tail -n 60 ./*.log) >&2 2>/dev/null || true
    exit 1
}

# Starts Sidegate with these arguments; what it says goes to NAME.log, and its standard output to NAME.out. When a line of
# the first or the second (`log` or `out`) matches, `ready` is that line. It fails if none has come in 20 seconds.
start() {
    local name=$1 where=$2 pattern=$3 pid
    shift 3
    # They exist before the process that writes them, or who follows them may come too early.
    touch "$work/$name.log" "$work/$name.out"
    "$sidegate" "$@" </dev/null >"$work/$name.out" 2>"$work/$name.log" &
    pid=$!
    started+=("$pid")
    ready=$(timeout 20 grep -m1 "$pattern" < <(tail -s 0.1 -n +1 -f --pid="$pid" "$work/$name.$where" 2>/dev/null) || true)
    [[ $ready ]] || fail "\`sidegate $*\` did not start"
}
