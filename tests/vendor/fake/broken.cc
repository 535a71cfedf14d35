// A library of cuDNN's or cuBLASLt's name that cannot be used: it has none of their functions.
extern "C" void doppel_broken() {}
