#!/bin/sh
# Fetches the CUDA libraries the tests use on machines without a GPU. Idempotent, and tolerant: a
# library that is not to be had is reported and its tests skip with the reason.
#
#   NVRTC 11.8        apt, Debian's non-free component (needs root)    -> system library folder
#   NVRTC 13.0        pip, the nvidia-cuda-nvrtc wheel                 -> $CACHE/nvrtc13
#   nvdisasm          pip, the nvidia-cuda-nvdisasm wheel, else the
#                     one in Triton's wheel, else apt, 11.8: that one
#                     file unpacked                                    -> $CACHE/nvdisasm
#   libcuda (no GPU)  apt, Debian's non-free component, unpacked only  -> $CACHE/libcuda
#
# libcuda is not installed: on a machine with a GPU it would shadow the real driver's.
set -u
CACHE="${HYDRANT_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/hydrant}/cuda"
SOURCES=/etc/apt/sources.list.d/debian.sources
mkdir -p "$CACHE"

say() { echo "install-cuda: $*"; }
run() { timeout "$1" sh -c "$2" >"$CACHE/last.log" 2>&1; }

refreshed=0
with_non_free() {
  [ "$refreshed" = 1 ] && return 0
  if [ -w "$SOURCES" ]; then
    sed -i '/^Components:/{/\bnon-free\b/!s/$/ non-free/}' "$SOURCES"
  fi
  run 120 "apt-get update" || return 1
  refreshed=1
}

find_system() { find /usr/lib /usr/local/lib -name "$1" 2>/dev/null | head -n 1; }

if [ -n "$(find_system 'libnvrtc.so.11*')" ]; then
  say "NVRTC 11.8 is here"
elif ! command -v apt-get >/dev/null; then
  say "NVRTC 11.8 skipped: no apt-get"
elif [ "$(id -u)" != 0 ]; then
  say "NVRTC 11.8 skipped: apt-get install needs root"
elif with_non_free &&
  run 300 "DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends libnvrtc11.2"; then
  say "NVRTC 11.8 installed"
else
  say "NVRTC 11.8 skipped: $(tail -n 1 "$CACHE/last.log")"
fi

if [ -n "$(find "$CACHE/nvrtc13" -name 'libnvrtc.so.13' 2>/dev/null)" ]; then
  say "NVRTC 13.0 is here"
elif ! command -v python3 >/dev/null; then
  say "NVRTC 13.0 skipped: no python3"
elif run 300 "python3 -m pip install -q --retries 0 --timeout 5 --no-deps --target '$CACHE/nvrtc13.part' nvidia-cuda-nvrtc==13.0.88"; then
  # The alternative builds in the wheel are half its size and never loaded.
  find "$CACHE/nvrtc13.part" -name '*.alt.so.*' -delete
  mv "$CACHE/nvrtc13.part" "$CACHE/nvrtc13" && say "NVRTC 13.0 installed"
else
  rm -rf "$CACHE/nvrtc13.part"
  say "NVRTC 13.0 skipped: $(tail -n 1 "$CACHE/last.log")"
fi

rm -rf "$CACHE/nvdisasm.part"
if command -v nvdisasm >/dev/null || [ -n "$(find "$CACHE/nvdisasm" -name nvdisasm 2>/dev/null)" ]; then
  say "nvdisasm is here"
elif command -v python3 >/dev/null &&
  run 120 "python3 -m pip install -q --retries 0 --timeout 5 --no-deps --target '$CACHE/nvdisasm.part' nvidia-cuda-nvdisasm"; then
  mv "$CACHE/nvdisasm.part" "$CACHE/nvdisasm" && say "nvdisasm installed from its wheel"
elif command -v python3 >/dev/null && mkdir -p "$CACHE/nvdisasm.part" &&
  run 300 "cd '$CACHE/nvdisasm.part' && python3 -m pip download -q --retries 0 --timeout 5 --no-deps -d . triton && python3 -c '
import glob, zipfile
[wheel] = glob.glob(\"triton*.whl\")
zipfile.ZipFile(wheel).extract(\"triton/backends/nvidia/bin/nvdisasm\")' && rm triton*.whl && chmod +x triton/backends/nvidia/bin/nvdisasm"; then
  mv "$CACHE/nvdisasm.part" "$CACHE/nvdisasm" && say "nvdisasm unpacked from Triton's wheel"
elif ! command -v dpkg >/dev/null || ! command -v apt-get >/dev/null; then
  say "nvdisasm skipped: no wheel of it, and not a Debian system"
elif { [ -n "$(apt-cache policy nvidia-cuda-toolkit 2>/dev/null | grep -v none | grep Candidate)" ] || with_non_free; } &&
  mkdir -p "$CACHE/nvdisasm.part" &&
  run 300 "cd '$CACHE/nvdisasm.part' && apt-get download -q nvidia-cuda-toolkit && dpkg --fsys-tarfile nvidia-cuda-toolkit*.deb | tar -x ./usr/bin/nvdisasm && rm -f nvidia-cuda-toolkit*.deb"; then
  mv "$CACHE/nvdisasm.part" "$CACHE/nvdisasm" && say "nvdisasm 11.8 unpacked"
else
  rm -rf "$CACHE/nvdisasm.part"
  say "nvdisasm skipped: $(tail -n 1 "$CACHE/last.log")"
fi

if [ -n "$(find "$CACHE/libcuda" -name 'libcuda.so.1' 2>/dev/null)" ]; then
  say "libcuda is here"
elif ! command -v dpkg >/dev/null || ! command -v apt-get >/dev/null; then
  say "libcuda skipped: not a Debian system"
elif { [ -n "$(apt-cache policy libcuda1 2>/dev/null | grep -v none | grep Candidate)" ] || with_non_free; } &&
  mkdir -p "$CACHE/libcuda.part" &&
  run 300 "cd '$CACHE/libcuda.part' && apt-get download -q libcuda1 && dpkg -x libcuda1*.deb . && rm -f libcuda1*.deb"; then
  mv "$CACHE/libcuda.part" "$CACHE/libcuda" && say "libcuda unpacked"
else
  rm -rf "$CACHE/libcuda.part"
  say "libcuda skipped: $(tail -n 1 "$CACHE/last.log")"
fi
exit 0
