"""The backend `numba`: loops compiled for this machine's processor, in float32. Needs the extra `fast`."""
