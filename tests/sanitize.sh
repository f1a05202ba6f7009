#!/usr/bin/env bash
# sanitize.sh address|thread [pytest's arguments]: has the tests of kernels run on a compiled backend that is built, in a
# copy, for GCC's AddressSanitizer and UndefinedBehaviorSanitizer, or for its ThreadSanitizer. The first thing that they
# find ends the run. PYTHON needs the extra `test`.
set -eu
cd "$(dirname "$0")/.."
python=$(realpath -s "${PYTHON:-python3}")
kind=$1
shift
case $kind in
address)
    flags=-fsanitize=address,undefined
    # Python leaves memory to the end of the process
    export ASAN_OPTIONS=detect_leaks=0:halt_on_error=1:malloc_context_size=8 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    tests=(@tests/kernels.txt)
    ;;
thread)
    flags=-fsanitize=thread
    # what was not compiled for it (Python, NumPy) is not watched, but for its locks
    export TSAN_OPTIONS=halt_on_error=1:ignore_noninstrumented_modules=1
    tests=(tests/test_{threads,thread_bits}.py)
    ;;
esac
# Python's own allocator would hide where arrays end
export PYTHONMALLOC=malloc NUMBA_CACHE_DIR=$PWD/build/numba
if [ $kind = address ]; then # Numba's code, which these compare with, is made before: that takes ages under a sanitizer
    "$python" -m pytest tests/test_entries.py
fi

copy=build/sanitize-$kind
rm -rf "$copy"
mkdir -p "$copy"
cp -r setup.py pyproject.toml README.md LICENSE csrc fastlstm tests "$copy"
cd "$copy"
CC=gcc CFLAGS="$flags -fno-sanitize-recover=all -O1 -g -fno-omit-frame-pointer" FASTLSTM_BUILD_EXT=require \
    "$python" -W ignore setup.py --quiet build_ext --inplace
export LD_PRELOAD
LD_PRELOAD=$(gcc -print-file-name="lib${kind:0:1}san.so")
"$python" -c 'from fastlstm.kernels.cython import f32; print(f32.__file__)'
# what sanitizers print is not captured, or the end of the process would take it along
"$python" -m pytest --capture=sys -p no:cacheprovider --only-cython "${@:-${tests[@]}}"
