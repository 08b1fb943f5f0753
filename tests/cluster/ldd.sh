#!/bin/bash
# ldd.sh PROGRAM: what it is linked to, as mkimage's SRC=DST words: every library and the ELF interpreter, at the same paths.
set -euo pipefail
# "libc.so.6 => /lib/… (0x…)" and "/lib64/ld-linux-x86-64.so.2 (0x…)"; the vdso has no file.
libraries=$(ldd "$1") || { echo "$1 is not a dynamic program" >&2; exit 1; }
! grep 'not found' <<<"$libraries" >&2 || exit 1
grep -o '/[^ ]* (0x' <<<"$libraries" | while read -r path _; do echo "$path=$path"; done
