// Elementwise work on maps (…, C): a thread has V neighbouring channels at once, 16 bytes where C allows it.
#include "device.cuh"

#define V (C % (4 * WORD_CHANNELS) == 0 ? 4 * WORD_CHANNELS : 1)
#define GROUPS (C / V)

struct __align__(V * sizeof(Element)) Vector { Element of[V]; };

__device__ inline Vector load(const Element* x, long place) { return *(const Vector*)(x + place); }
__device__ inline void store(Element* x, long place, const Vector& v) { *(Vector*)(x + place) = v; }
