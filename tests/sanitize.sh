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
    tests=(tests/test_{entries,entry_checks,layers,steps,lengths,losses,dropout,adam,threads}.py)
    ;;
thread)
    flags=-fsanitize=thread
    # what was not compiled for it (Python, NumPy) is not watched, but for its locks
    export TSAN_OPTIONS=halt_on_error=1:ignore_noninstrumented_modules=1
    tests=(tests/test_{threads,thread_bits}.py)
    ;;
esac
only=(-k "not numba and not numpy" -p no:cacheprovider "${@:-${tests[@]}}")

# Numba's code, which some tests compare with, would be compiled very slowly under a sanitizer: here it is kept
export NUMBA_CACHE_DIR=$PWD/build/numba PYTHONMALLOC=malloc
"$python" -m pytest "${only[@]}"

copy=build/sanitize-$kind
rm -rf "$copy"
mkdir -p "$copy"
cp -r setup.py pyproject.toml README.md LICENSE csrc fastlstm tests "$copy"
cd "$copy"
CC=gcc CFLAGS="$flags -fno-sanitize-recover=all -O1 -g -fno-omit-frame-pointer" FASTLSTM_BUILD_EXT=require \
    "$python" setup.py --quiet build_ext --inplace
export LD_PRELOAD
LD_PRELOAD=$(gcc -print-file-name="lib${kind:0:1}san.so")
"$python" -c 'from fastlstm.kernels.cython import f32; print(f32.__file__)'
"$python" -m pytest "${only[@]}"
