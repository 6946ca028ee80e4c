// Random numbers from a counter: four of 32 bits that depend on (key, counter) alone, so that any thread can have its
// own without a state, and a step that is repeated sees the same.
// Philox 4 x 32, ten rounds. Source: Salmon, Moraes, Dror and Shaw, 2011, "Parallel random numbers: as easy as 1, 2, 3".
struct Random {
    unsigned of[4];

    __device__ Random(unsigned key0, unsigned key1, unsigned c0, unsigned c1, unsigned c2, unsigned c3) : of{c0, c1, c2, c3} {
        for (int round = 0; round < 10; round++) {
            unsigned high0 = __umulhi(0xD2511F53u, of[0]), low0 = 0xD2511F53u * of[0];
            unsigned high1 = __umulhi(0xCD9E8D57u, of[2]), low1 = 0xCD9E8D57u * of[2];
            unsigned first = high1 ^ of[1] ^ key0, third = high0 ^ of[3] ^ key1;
            of[0] = first;
            of[1] = low1;
            of[2] = third;
            of[3] = low0;
            key0 += 0x9E3779B9u;
            key1 += 0xBB67AE85u;
        }
    }

    // Number i as a whole number from 0 to count - 1.
    __device__ int below(int i, int count) const { return (int)__umulhi(of[i], (unsigned)count); }
};
