#!/bin/sh
# Builds the event guests with Debian's gcc and the headers of libxen-dev into the folder given, as
# flat images for address 1 MiB: two-level-64.bin and so on. tools/generate calls it.
set -eu
here=$(CDPATH='' cd "$(dirname "$0")" && pwd -P)
out=$1
for abi in two-level three-level fifo; do
  for width in 64 32; do
    emulation=elf_x86_64
    [ $width = 64 ] || emulation=elf_i386
    flags="-m$width -O2 -std=gnu11 -Wall -Wextra -ffreestanding -fno-pic -fno-stack-protector
      -fno-asynchronous-unwind-tables -fno-builtin -fcf-protection=none -mgeneral-regs-only -mno-red-zone"
    for source in start.S main.c $abi.c; do
      # shellcheck disable=SC2086
      gcc $flags -I"$here" -c "$here/$source" -o "$out/$source.o"
    done
    ld -m $emulation -z noexecstack --no-warn-rwx-segments -T "$here/link.ld" \
      -o "$out/$abi-$width.bin" "$out/start.S.o" "$out/main.c.o" "$out/$abi.c.o"
  done
done
