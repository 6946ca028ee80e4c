// Weights in the order in which the blocks of correlate.cu read them: [chunk][tap][k][channel of the chunk], with zeros
// where there are none; or as cuDNN reads them and gives their gradient: [k][tap][channel].
#include "device.cuh"

#define THREADS 256
#define BLOCK 1024

enum { STRAIGHT, TURNED, PLAIN };

// `chunk` channels of x at a time, `k_padded` of y. w: (k, c, taps), or of the convolution whose gradient of x this is
// (TURNED): (c, k, taps), with the taps the other way round. PLAIN: cuDNN's order, all channels at a time.
struct Layout {
    long long c, k, taps, k_padded, chunk, order, size;
};
struct Row {
    const float* w;
    Element* packed;
    Layout as;
};

// The numbers of one block.
__device__ inline void pack_block(const float* w, Element* packed, Layout as, int block) {
    int c_all = as.c, k_all = as.k, taps = as.taps, k_padded = as.k_padded, chunk = as.chunk;
    for (int i = block * BLOCK + threadIdx.x; i < min((block + 1) * BLOCK, (int)as.size); i += THREADS) {
        int c = i % chunk, k = i / chunk % k_padded, tap = i / chunk / k_padded % taps;
        c += i / chunk / k_padded / taps * chunk;
        if (as.order == PLAIN) {
            tap = i / chunk % taps;
            k = i / chunk / taps;
        }
        float value = 0;
        if (c < c_all && k < k_all)
            value = as.order == TURNED ? w[(c * k_all + k) * taps + taps - 1 - tap] : w[(k * c_all + c) * taps + tap];
        packed[i] = narrow(value);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    pack(const float* w, Element* packed, long long c, long long k, long long taps, long long k_padded, long long chunk,
         long long order, long long size) {
    pack_block(w, packed, {c, k, taps, k_padded, chunk, order, size}, blockIdx.x);
}

// Those of a whole network: a row of the table, and of the grid, each.
extern "C" __global__ void __launch_bounds__(THREADS) pack_all(const Row* table) {
    Row row = table[blockIdx.y];
    pack_block(row.w, row.packed, row.as, blockIdx.x);
}

// The gradient of weights: packed in the order PLAIN, w (k, c, taps).
extern "C" __global__ void __launch_bounds__(THREADS) unpack(const Element* packed, float* w, int k_all, int c_all, int taps) {
    int size = k_all * c_all * taps;
    for (int i = blockIdx.x * BLOCK + threadIdx.x; i < min((int)(blockIdx.x + 1) * BLOCK, size); i += THREADS) {
        int tap = i % taps, c = i / taps % c_all, k = i / taps / c_all;
        w[i] = wide(packed[(k * taps + tap) * c_all + c]);
    }
}
