"""The backend `cuda`: kernels in CUDA C++ (`src/`), in float32 and float16. Needs the extra `cuda12` or `cuda13`."""
