#!/usr/bin/env python3
"""Where cuDNN and cuBLASLt are when they came as Python packages: prints CUDNN_INCLUDE:CUBLASLT_INCLUDE:FOLDER|FOLDER...,
or nothing when one is missing or doppel's sources do not compile against them.

    gpu_libraries.py SOURCE
"""

import glob
import os
import subprocess
import sys
import sysconfig

source = sys.argv[1]
nvcc = subprocess.run(["sh", "-c", "command -v nvcc"], stdout=subprocess.PIPE, text=True).stdout.strip()
toolkit = os.path.dirname(os.path.dirname(os.path.realpath(nvcc))) if nvcc else "/usr/local/cuda"
roots = [sysconfig.get_paths()[key] for key in ("purelib", "platlib")] + glob.glob("/usr/lib/python3/dist-packages")
packages = [folder for root in roots for folder in sorted(glob.glob(root + "/nvidia/*"))]


def first(*patterns):
    found = [path for pattern in patterns for path in glob.glob(pattern)]
    return os.path.dirname(found[0]) if found else None


includes = [toolkit + "/include", "/usr/include", "/usr/include/*"] + [p + "/include" for p in packages]
cudnn = first(*(i + "/cudnn.h" for i in includes))
cublas = first(*(i + "/cublasLt.h" for i in includes))
libraries = {first(p + "/lib/libcudnn.so.*") for p in packages} | {first(p + "/lib/libcublasLt.so.*") for p in packages}
if not cudnn or not cublas:
    sys.exit("cudnn.h: {}, cublasLt.h: {}".format(cudnn, cublas))
compile = ["c++", "-std=c++20", "-fsyntax-only", "-DDOPPEL_CUDA", "-DDOPPEL_CUDNN", "-I" + source]
compile += ["-I" + folder for folder in (toolkit + "/include", cudnn, cublas)]
for file in glob.glob(source + "/kernels/vendor/*.cc"):
    done = subprocess.run(compile + [file], stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit("{} does not compile with {} and {}:\n{}".format(file, cudnn, cublas, done.stderr[:2000]))
print(":".join([cudnn, cublas, "|".join(sorted(filter(None, libraries)))]))
