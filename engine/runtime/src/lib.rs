//! The kernel's door: cores, files, buffers, messages and clocks, over io_uring or a simulation.
