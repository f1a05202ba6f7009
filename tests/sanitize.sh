#!/usr/bin/env bash
# sanitize.sh address|thread [pytest's arguments]: builds the compiled backend under GCC's AddressSanitizer and
# UndefinedBehaviorSanitizer, or under its ThreadSanitizer, and has the tests of the kernels run on it. PYTHON needs the
# extra `test`. What a sanitizer finds ends the run.
set -eu
cd "$(dirname "$0")/.."
kind=$1
shift
python=$(realpath -s "${PYTHON:-python3}")
tree=build/sanitize-$kind
tests=(tests/test_{entries,entry_checks,layers,steps,lengths,losses,dropout,adam,threads,thread_bits}.py)
case $kind in
address)
    flags=-fsanitize=address,undefined
    # Python never frees all, and its own allocator would hide where arrays end
    export ASAN_OPTIONS=detect_leaks=0:halt_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    ;;
thread)
    flags=-fsanitize=thread
    tests=(tests/test_{threads,thread_bits}.py)
    # of what Python, NumPy and their libraries do, nothing is seen but memory and locks: no report is theirs to make
    export TSAN_OPTIONS=halt_on_error=1:ignore_noninstrumented_modules=1:report_signal_unsafe=0
    ;;
esac

rm -rf "$tree"
mkdir -p "$tree"
cp -r setup.py pyproject.toml README.md LICENSE csrc fastlstm tests "$tree"
cd "$tree"
rm -f fastlstm/kernels/cython/*.so
CC=gcc CFLAGS="$flags -fno-sanitize-recover=all -O1 -g -fno-omit-frame-pointer" FASTLSTM_BUILD_EXT=require \
    "$python" -m pip --disable-pip-version-check install --quiet --no-deps --target site .
rm -r fastlstm build # what is imported is in site
export PYTHONPATH=$PWD/site PYTHONMALLOC=malloc FASTLSTM_BACKEND=cython
LD_PRELOAD=$(gcc -print-file-name="lib${kind:0:1}san.so") "$python" -m pytest -p no:cacheprovider "${@:-${tests[@]}}"
