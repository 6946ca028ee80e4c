"""Weights to and from other programs: PyTorch's files, safetensors, ONNX. None of them is needed to read or write.

export_run(run, "torch")                       the bytes of a file
import_run("weights.pt", "runs/there", …)      a run folder
"""
